/* about: Files of /proc and /dev that programs read. */
#include "../check.h"
/* A file of words that are ended by zeroes, as those of proc(5) are. */
static void line(const char *file, const char *key);
static void words(const char *file)
{
    static char b[70000];
    int f = open(file, O_RDONLY), n = 0, r;
    while ((r = read(f, b + n, sizeof b - n)) > 0) n += r;
    close(f);
    say("%s: %d bytes", file, n);
    for (char *c = b; c < b + n && c < b + 2000; c += strlen(c) + 1) say("%.60s", c);
}
static void told(void)
{
    words("/proc/self/cmdline");
    words("/proc/self/environ");
    line("/proc/self/comm", "");
}
static void line(const char *file, const char *key)
{
    FILE *f = fopen(file, "r");
    char b[4096];
    if (!f) {
        say("%s: %s", file, name_of(errno));
        return;
    }
    while (fgets(b, 4096, f))
        if (!strncmp(b, key, strlen(key))) {
            b[strcspn(b, "\n")] = 0;
            for (char *c = b; *c; c++)
                if (*c == '\t') *c = ' ';
            say("%s", b);
            break;
        }
    fclose(f);
}
int main(int argc, char **argv)
{
    if (argc > 2) {
        told();
        return 5;
    }
    char b[5000] = "";
    TRY(readlink("/proc/self/exe", b, 5000));
    say("%s", b);
    memset(b, 0, 50);
    TRY(readlink("/proc/self/cwd", b, 5000));
    say("%s", b);
    memset(b, 0, 50);
    TRY(readlink("/proc/self/root", b, 5000));
    say("%s", b);
    char l[64];
    snprintf(l, 64, "/proc/%d/exe", getpid());
    memset(b, 0, 50);
    TRY(readlink(l, b, 5000));
    say("%s", b);
    TRY(readlink("/proc/self/exe", b, 3));
    TRY(readlinkat(open("/proc/self", O_RDONLY), "exe", b, 5000));
    int f = open("/proc/self/cmdline", O_RDONLY);
    memset(b, 0, 200);
    int n = read(f, b, 5000);
    {
        char *last = b;
        for (int i = 0; i < n; i += strlen(b + i) + 1) last = b + i;
        say("last %s", last);
    }
    told();
    char *env[] = {"A=b c", "EMPTY=", 0}, *none[] = {0};
    static char large[60000];
    memset(large, 'l', sizeof large - 1);
    char *few[] = {"its own name", "one", "", "two words", "\xff", 0},
         *many[] = {"", "", large, "end", 0};
    put("a script with a long name", "#!/bin/proc of words\n");
    chmod("a script with a long name", 0755);
    for (int i = 0; i < 4; i++) {
        int s;
        /* The child reads the parent's, too. */
        pid_t child = fork();
        if (!child) {
            snprintf(l, 64, "/proc/%d/comm", getppid());
            line(l, "");
            if (i == 0) told();
            if (i == 1) execve("/bin/proc", few, env);
            if (i == 2) execve("/bin/proc", many, none);
            if (i == 3) execv("./a script with a long name", few);
            _exit(0);
        }
        waitpid(child, &s, 0);
        say_status("child", s);
    }
    TRY(prctl(PR_SET_NAME, "renamed"));
    line("/proc/self/comm", "");
    TRY(prctl(PR_SET_NAME, "proc"));
    f = open("file", O_CREAT | O_RDWR, 0600);
    snprintf(l, 64, "/proc/self/fd/%d", f);
    memset(b, 0, 50);
    TRY(readlink(l, b, 5000));
    say("%s", b);
    DIR *d = opendir("/proc/self/fd");
    int c = 0, high = 0;
    struct dirent *e;
    while ((e = readdir(d)))
        if (isdigit(*e->d_name)) {
            c++;
            if (atoi(e->d_name) > 50) high++;
        }
    closedir(d);
    line("/proc/self/status", "Name:");
    line("/proc/self/status", "Uid:");
    line("/proc/self/status", "Threads:");
    line("/proc/self/status", "SigIgn:");
    line("/proc/meminfo", "MemTotal");
    line("/proc/cpuinfo", "processor");
    line("/proc/mounts", "proc");
    line("/proc/self/stat", "x");
    f = open("/proc/self/maps", O_RDONLY);
    TRY(read(f, b, 100) > 0);
    struct stat s;
    TRY(stat("/proc/self/exe", &s));
    say("%d", S_ISREG(s.st_mode));
    f = TRY(open("/proc/self/exe", O_RDONLY) >= 0);
    TRY(open("/proc/self/fd/99", O_RDONLY));
    f = open("file", O_RDWR);
    TRY(write(f, "via fd", 6));
    snprintf(l, 64, "/proc/self/fd/%d", f);
    show(l);
    snprintf(l, 64, "/dev/fd/%d", f);
    TRY(access(l, F_OK));
    TRY(access("/proc/1/status", R_OK));
    f = open("/dev/null", O_RDWR);
    TRY(read(f, b, 10));
    TRY(write(f, b, 10));
    f = open("/dev/zero", O_RDONLY);
    b[5] = 1;
    TRY(read(f, b, 10));
    say("%d", b[5]);
    f = open("/dev/full", O_RDWR);
    TRY(write(f, "x", 1));
    TRY(read(f, b, 3));
    f = open("/dev/urandom", O_RDONLY);
    TRY(read(f, b, 16));
    TRY(ioctl(f, 0x80045200, b));
    TRY(open("/dev/tty", O_RDWR));
    int sh = TRY(shm_open("/shm-test", O_CREAT | O_RDWR, 0600) >= 0);
    (void)sh;
    TRY(shm_unlink("/shm-test"));
    return 0;
}
