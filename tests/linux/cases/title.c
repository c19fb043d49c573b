/* about: A program writes over its arguments, and everybody sees it: the title of a daemon. */
#include "../check.h"
static void shown(const char *when, pid_t pid, unsigned first)
{
    char path[50], b[4096];
    sprintf(path, "/proc/%d/cmdline", pid);
    int f = open(path, O_RDONLY), n = read(f, b, sizeof b);
    close(f);
    say("%s: %d bytes from the second argument on", when, n - (int)first);
    for (int i = first; i < n; i += strlen(b + i) + 1) say("  %s", b + i);
}
int main(int argc, char **argv)
{
    unsigned first = argv[1] - argv[0];
    shown("at first", getpid(), first);
    argv[1][0] = 'O';
    memcpy(argv[2], "2\0words", 7);
    shown("changed", getpid(), first);
    pid_t child = fork();
    if (!child) {
        argv[1][1] = 'N';
        shown("the child", getpid(), first);
        shown("its parent", getppid(), first);
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, 0, 0);
    shown("not the parent", getpid(), first);
    /* Up to the last byte: then it goes on where the environment was, up to a NUL. */
    char *last = argv[argc - 1];
    memset(argv[1], 't', last + strlen(last) + 1 - argv[1]);
    shown("longer than the arguments", getpid(), first);
    return 0;
}
