/* about: Less usual calls about memory: the break, locking that begins at a fault, barriers of others. */
/* calls: brk membarrier mlock2 */
#include "../check.h"
int main(void)
{
    long now = syscall(SYS_brk, 0L);
    TRY(syscall(SYS_brk, 0L) == now);
    TRY(syscall(SYS_brk, 1L) == now);
    char *p = TRYP(mmap(0, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    TRY(syscall(SYS_mlock2, p, 8192L, 1 /* MLOCK_ONFAULT */));
    p[0] = 1;
    TRY(syscall(SYS_mlock2, p, 8192L, 0));
    TRY(syscall(SYS_mlock2, p, 8192L, 2));
    TRY(syscall(SYS_mlock, p, 4096L));
    TRY(syscall(SYS_munlock, p, 8192L));
    munmap(p + 8192, 8192);
    TRY(syscall(SYS_mlock2, p, 16384L, 0));
    TRY(syscall(SYS_munlock, p, 16384L));
    TRY(syscall(SYS_membarrier, 0, 0, 0) > 0);
    TRY(syscall(SYS_membarrier, 8 /* PRIVATE_EXPEDITED */, 0, 0));
    TRY(syscall(SYS_membarrier, 16 /* REGISTER_PRIVATE_EXPEDITED */, 0, 0));
    TRY(syscall(SYS_membarrier, 8, 0, 0));
    TRY(syscall(SYS_membarrier, 1 << 30, 0, 0));
    return 0;
}
