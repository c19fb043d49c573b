/* about: Arguments, environment, working directory, exit handlers. */
/* calls: fchdir */
#include "../check.h"
extern char **environ;
static void last(void) { say("last"); }
static void first(void) { say("first"); }
__attribute__((constructor)) static void before(void) { say("constructor"); }
__attribute__((destructor)) static void after(void) { say("destructor"); }
int main(int argc, char **argv)
{
    for (int i = 0; i <= argc; i++) say("%d %s", i, argv[i] ? argv[i] : "null");
    for (char **e = environ; *e; e++) say("%s", *e);
    say("%s", getenv("NONE") ? "?" : "none");
    TRY(setenv("NEW", "value", 0));
    TRY(setenv("NEW", "other", 0));
    say("%s", getenv("NEW"));
    TRY(setenv("NEW", "other", 1));
    say("%s", getenv("NEW"));
    TRY(unsetenv("NEW"));
    TRY(setenv("A=B", "x", 1));
    TRY(setenv("", "x", 1));
    TRY(putenv("PUT=x"));
    say("%s", getenv("PUT"));
    TRY(clearenv());
    say("%d", environ == 0 || *environ == 0);
    char b[5000];
    TRYP(getcwd(b, 5000));
    say("%s", b);
    TRYP(getcwd(b, 2));
    TRYP(getcwd(b, 0));
    mkdir("d", 0700);
    TRY(chdir("d"));
    getcwd(b, 5000);
    say("%s", b);
    int d = open(".", O_RDONLY);
    TRY(chdir(".."));
    TRY(fchdir(d));
    getcwd(b, 5000);
    say("%s", b);
    TRY(chdir("none"));
    put("f", "");
    TRY(chdir("f"));
    TRY(fchdir(open("f", O_RDONLY)));
    TRY(fchdir(99));
    TRY(chdir("../../../../.."));
    getcwd(b, 5000);
    say("%s", b);
    TRY(syscall(SYS_getcwd, b, 5000L));
    TRY(access("/w/d", F_OK));
    TRY(access("/../../w/d", F_OK));
    char *l = TRYP(getcwd(0, 0));
    say("%s", l);
    atexit(last);
    atexit(first);
    say("%s", program_invocation_short_name);
    opterr = 0;
    optind = 1;
    char *av[] = {"x", "-a", "-b", "val", "-z", "file", 0};
    int o;
    while ((o = getopt(6, av, "ab:")) != -1) say("%c %s", o, o == 'b' ? optarg : "");
    say("%d", optind);
    exit(255 + 5);
}
