/* about: Writing to the host kernel's own files and making memory executable: refused by design. */
#include "../check.h"
#define RWX (PROT_READ | PROT_WRITE | PROT_EXEC)
int main(void)
{
    TRY(open("/proc/self/mem", O_RDWR) >= 0 ? 0 : -1);
    TRY(open("/proc/self/mem", O_WRONLY) >= 0 ? 0 : -1);
    TRY(open("/proc/self/oom_score_adj", O_WRONLY) >= 0 ? 0 : -1);
    TRY(open("/proc/self/comm", O_WRONLY) >= 0 ? 0 : -1);
    TRYP(mmap(0, 4096, RWX, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    void *p = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TRY(mprotect(p, 4096, RWX));
    TRY(socket(AF_NETLINK, SOCK_RAW, 0) >= 0 ? 0 : -1);
    TRY(socket(AF_INET, SOCK_RAW, 1) >= 0 ? 0 : -1);
    TRY(socket(AF_PACKET, SOCK_RAW, 0) >= 0 ? 0 : -1);
    TRY(syscall(SYS_ptrace, 0, 0, 0, 0));
    TRY(chroot("/w"));
    TRY(sethostname("x", 1));
    TRY(syscall(SYS_mount, "x", "/w", "tmpfs", 0L, 0));
    TRY(syscall(SYS_unshare, 0L));
    TRY(syscall(SYS_bpf, 0, 0, 0L));
    TRY(syscall(SYS_process_vm_readv, getpid(), 0, 0L, 0, 0L, 0L));
    TRY(syscall(SYS_io_uring_setup, 1, 0));
    TRY(syscall(SYS_kexec_load, 0L, 0L, 0, 0L));
    return 0;
}
