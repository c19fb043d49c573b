/* about: posix_spawn, system, popen. No shell in the root: what then happens. */
#include "../check.h"
#include <spawn.h>
extern char **environ;
int main(int argc, char **argv)
{
    if (argc > 1) {
        say("spawned %s %s", argv[1], getenv("V") ? getenv("V") : "-");
        sigset_t m;
        sigprocmask(0, 0, &m);
        say("blocked %d group %d fd9 %d", sigismember(&m, SIGUSR1), getpgrp() == getpid(),
            fcntl(9, F_GETFD));
        char b[20] = "";
        read(0, b, 19);
        fprintf(stderr, "stderr %s\n", b);
        return atoi(argv[1]);
    }
    pid_t p;
    int s;
    char *a[] = {"spawn", "31", 0}, *e[] = {"V=env", 0};
    int r = posix_spawn(&p, "/bin/spawn", 0, 0, a, e);
    waitpid(p, &s, 0);
    say("spawned %s", name_of(r));
    say_status("plain", s);
    TRY0(posix_spawn(&p, "/bin/none", 0, 0, a, e));
    r = posix_spawnp(&p, "spawn", 0, 0, a, environ);
    waitpid(p, &s, 0);
    say("spawned %s", name_of(r));
    say_status("path", s);
    put("in", "from a file");
    posix_spawn_file_actions_t f;
    posix_spawn_file_actions_init(&f);
    posix_spawn_file_actions_addopen(&f, 0, "in", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&f, 1, 2);
    posix_spawn_file_actions_adddup2(&f, 0, 9);
    posix_spawnattr_t t;
    posix_spawnattr_init(&t);
    sigset_t m;
    sigemptyset(&m);
    sigaddset(&m, SIGUSR1);
    posix_spawnattr_setsigmask(&t, &m);
    posix_spawnattr_setpgroup(&t, 0);
    posix_spawnattr_setflags(&t, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    r = posix_spawn(&p, "/bin/spawn", &f, &t, a, e);
    waitpid(p, &s, 0);
    say("spawned %s", name_of(r));
    say_status("actions", s);
    posix_spawn_file_actions_addopen(&f, 5, "missing", O_RDONLY, 0);
    TRY0(posix_spawn(&p, "/bin/spawn", &f, 0, a, e));
    TRY(system(0) != 0 || 1);
    s = system("exit 3");
    say("system %d", s == 0);
    FILE *o = popen("echo x", "r");
    char b[9] = "";
    if (o) {
        TRYP(fgets(b, 9, o));
        s = pclose(o);
        say_status("popen", s);
    }
    return 0;
}
