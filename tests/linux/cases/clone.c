/* about: New processes by the calls below fork: clone, vfork. */
/* calls: clone vfork */
#include "../check.h"
/* Natively the parent's stack is the child's too: only the C library can make the call. */
#ifdef __wasm__
#define vfork() (pid_t) syscall(SYS_vfork)
#endif
static long clone_(long flags) { return syscall(SYS_clone, flags, 0L, 0L, 0L, 0L); }
int main(void)
{
    int s, q[2];
    volatile int mine = 1;
    pipe(q);
    long p = clone_(SIGCHLD);
    if (!p) {
        mine = 2;
        write(q[1], "from the child", 14);
        _exit(mine);
    }
    char text[32] = "";
    TRY(read(q[0], text, 31));
    say("%s", text);
    TRY(waitpid(p, &s, 0) == p);
    say_status("clone", s);
    say("mine %d", mine);
    p = vfork();
    if (!p) _exit(5);
    TRY(waitpid(p, &s, 0) == p);
    say_status("vfork", s);
    p = vfork();
    if (!p) {
        execl("/bin/none", "none", (char *)0);
        _exit(errno == ENOENT ? 6 : 7);
    }
    TRY(waitpid(p, &s, 0) == p);
    say_status("vfork and execve", s);
    TRY(clone_(CLONE_THREAD));
    TRY(clone_(CLONE_SIGHAND));
    TRY(clone_(CLONE_NEWNS | CLONE_FS));
    TRY(waitpid(-1, &s, 0));
    return 0;
}
