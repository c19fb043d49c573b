/* about: execve of what is no program: random bytes, and first lines that lead nowhere. */
#include "../check.h"
static unsigned long state = 88172645463325252ul;
static unsigned next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state >> 20;
}
static int execute(const char *text, int len)
{
    char *args[] = {"garbage", "told", 0}, *env[] = {0};
    int fd = open("x", O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0755);
    if (fd < 0 || write(fd, text, len) != len) say("write: %s", name_of(errno));
    close(fd);
    int s;
    pid_t p = fork();
    if (!p) {
        execve("./x", args, env);
        _exit(errno);
    }
    waitpid(p, &s, 0);
    return s;
}
int main(int argc, char **argv)
{
    if (argc > 1) {
        for (int i = 0; i < argc; i++) say("argv[%d] `%.40s' %d", i, argv[i], (int)strlen(argv[i]));
        return 99;
    }
    umask(0);
    int no_format = 0;
    for (int i = 0; i < 300; i++) {
        char text[600];
        int len = next() % sizeof text;
        for (int k = 0; k < len; k++) text[k] = next();
        /* ELF and WebAssembly have a case of their own, and so have first lines. */
        if (len > 0 && (text[0] == '#' || text[0] == 0x7f || text[0] == 0)) text[0] = 'x';
        int s = execute(text, len);
        no_format += WIFEXITED(s) && WEXITSTATUS(s) == ENOEXEC;
    }
    say("no format: %d", no_format);
    static const struct { const char *text; int len; } lines[] = {
#define L(text) {text, sizeof text - 1}
        L("#"), L("#!"), L("#!\n"), L("#! \t\n"), L("#!/"), L("#!/\n"), L("#!.\n"), L("#!bin/garbage\n"),
        L("#!/bin/garbage"), L("#!/bin/garbage\n"), L("#!/bin/garbage\0 x\n"), L("#!\0/bin/garbage\n"),
        L("#!  /bin/garbage  \t a  b\t \n"), L("#!/bin/garbage\r\n"), L("#!/bin/garbage \xff\xfe\n"),
        L("#!/dev/null\n"), L("#!/w/x\n"), L("#!/bin/garbage a\0b\n"),
        L(" #!/bin/garbage\n"), L("\n#!/bin/garbage\n"), L("#!/bin/../bin/./garbage\n"),
        L("\xef\xbb\xbf#!/bin/garbage\n"), L("#!/bin\n"), L("#!/bin/garbage/\n"),
    };
    for (unsigned i = 0; i < sizeof lines / sizeof *lines; i++) {
        int s = execute(lines[i].text, lines[i].len);
        if (WIFEXITED(s)) say("line %u: %s", i, WEXITSTATUS(s) == 99 ? "ran" : name_of(WEXITSTATUS(s)));
        else say_status("line", s);
    }
    /* Lines that are too long for an argument, and for a path. */
    static char text[8192];
    for (int len = 240; len < 270; len += 3) {
        int n = snprintf(text, sizeof text, "#!/bin/garbage ");
        memset(text + n, 'a', len - n);
        text[len] = '\n';
        int s = execute(text, len + 1);
        say("argument %d: %d", len, WIFEXITED(s) ? WEXITSTATUS(s) : -1);
        memset(text + 2, '/', len - 2);
        memcpy(text + len - 11, "bin/garbage\n", 12);
        s = execute(text, len + 1);
        say("path %d: %d", len, WIFEXITED(s) ? WEXITSTATUS(s) : -1);
    }
    return 0;
}
