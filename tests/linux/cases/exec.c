/* about: execve of itself: arguments, environment, close-on-exec, masks, ignored signals; scripts; errors. */
/* calls: execve execveat */
#include "../check.h"
extern char **environ;
static int told(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) say("argv[%d]=%s", i, argv[i]);
    for (char **e = environ; *e; e++) say("env %s", *e);
    for (int fd = 3; fd < 12; fd++) say("fd %d %s", fd, fcntl(fd, F_GETFD) < 0 ? "closed" : "open");
    sigset_t s, p;
    sigprocmask(0, 0, &s);
    sigpending(&p);
    struct sigaction a;
    say("usr1 blocked %d pending %d", sigismember(&s, SIGUSR1), sigismember(&p, SIGUSR1));
    sigaction(SIGUSR2, 0, &a);
    say("usr2 ignored %d", a.sa_handler == SIG_IGN);
    sigaction(SIGHUP, 0, &a);
    say("hup default %d", a.sa_handler == SIG_DFL);
    stack_t st;
    sigaltstack(0, &st);
    say("altstack %d", st.ss_flags);
    char c[200];
    say("cwd %s", getcwd(c, 200));
    say("umask %o", umask(0));
    char comm[17] = "";
    prctl(PR_GET_NAME, comm);
    say("comm %s", comm);
    return 40;
}
static void nothing(int s) {}
static char room[16384];
int main(int argc, char **argv)
{
    if (argc > 1) return told(argc, argv);
    char *args[] = {"its own name", "one", "two words", "", "\xff\xfe", 0},
         *env[] = {"A=1", "B=", "LONG=x y z", "NOEQUALS", 0};
    int s;
    open("f", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    open("f", O_RDWR);
    int d = open("f", O_RDONLY);
    fcntl(d, F_SETFD, FD_CLOEXEC);
    dup2(3, 10);
    dup3(3, 11, O_CLOEXEC);
    sigset_t m;
    sigemptyset(&m);
    sigaddset(&m, SIGUSR1);
    sigprocmask(SIG_BLOCK, &m, 0);
    signal(SIGUSR2, SIG_IGN);
    signal(SIGHUP, nothing);
    umask(031);
    stack_t st = {room, 0, sizeof room};
    sigaltstack(&st, 0);
    pid_t p = fork();
    if (!p) {
        raise(SIGUSR1);
        chdir("/");
        execve("/bin/exec", args, env);
        say("failed %s", name_of(errno));
        _exit(1);
    }
    waitpid(p, &s, 0);
    say_status("exec", s);
    int script = open("s", O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
    write(script, "#!/bin/exec with an argument\nbody\n", 34);
    close(script);
    chmod("s", 0755);
    p = fork();
    if (!p) {
        execle("./s", "s", "x", "y", (char *)0, env);
        say("failed %s", name_of(errno));
        _exit(1);
    }
    waitpid(p, &s, 0);
    say_status("script", s);
    put("t", "#!/w/s\n");
    chmod("t", 0755);
    p = fork();
    if (!p) {
        execle("/w/t", "t", "z", (char *)0, env);
        say("failed %s", name_of(errno));
        _exit(1);
    }
    waitpid(p, &s, 0);
    say_status("script of script", s);
    put("none", "#!/bin/none\n");
    chmod("none", 0755);
    put("noexec", "#!/bin/exec x\n");
    mkdir("dir", 0755);
    put("empty", "");
    chmod("empty", 0755);
    put("loop", "#!/w/loop\n");
    chmod("loop", 0755);
    TRY(execve("none", args, env));
    TRY(execve("noexec", args, env));
    TRY(execve("dir", args, env));
    TRY(execve("missing", args, env));
    TRY(execve("f/x", args, env));
    TRY(execve("", args, env));
    TRY(execve("empty", args, env));
    TRY(execve("loop", args, env));
    put("garbage", "\x7f"
                   "ELFgarbage");
    chmod("garbage", 0755);
    TRY(execve("garbage", args, env));
    put("text", "echo hello\n");
    TRY(execve("text", args, env));
    chmod("text", 0755);
    TRY(execve("text", args, env));
    TRY(execve("/w/text", args, env));
    put("by text", "#!/w/text\n");
    chmod("by text", 0755);
    TRY(execve("by text", args, env));
    int text = open("text", O_RDONLY | O_CLOEXEC);
    TRY(syscall(SYS_execveat, text, "", args, env, AT_EMPTY_PATH));
    close(text);
    int module = open("module", O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
    write(module, "\0asm\1\0\0", 8);
    TRY(fchmod(module, 0755));
    close(module);
    TRY(execve("module", args, env));
    int zeroes = open("zeroes", O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
    TRY(fchmod(zeroes, 0755));
    TRY(ftruncate(zeroes, 70 << 20));
    close(zeroes);
    TRY(execve("zeroes", args, env));
    symlink("/bin/exec", "link");
    p = fork();
    if (!p) {
        execl("link", "link", "arg", (char *)0);
        _exit(1);
    }
    waitpid(p, &s, 0);
    say_status("link", s);
    int x = open("/bin/exec", O_PATH | O_CLOEXEC);
    p = fork();
    if (!p) {
        char *a[] = {"fexec", "arg", 0};
        fexecve(x, a, env);
        say("failed %s", name_of(errno));
        _exit(1);
    }
    waitpid(p, &s, 0);
    say_status("fexecve", s);
    static char big[200000];
    memset(big, 'b', sizeof big - 1);
    char *large[] = {"x", big, 0};
    TRY(execve("/bin/exec", large, env));
    setenv("PATH", "/none:/bin", 1);
    p = fork();
    if (!p) {
        execlp("exec", "exec", "path", (char *)0);
        _exit(1);
    }
    waitpid(p, &s, 0);
    say_status("execlp", s);
    p = fork();
    if (!p) {
        execl("/proc/self/exe", "myself", "again", (char *)0);
        say("failed %s", name_of(errno));
        _exit(1);
    }
    waitpid(p, &s, 0);
    say_status("/proc/self/exe", s);
    TRY(execlp("nowhere", "x", (char *)0));
    TRY(execv("/bin/exec/x", args));
    return 3;
}
