/* What a program finds around it, and whether it can get at what is not its own. The first argument
 * says what to try; each answer is one line. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int said(const char *what, long result) {
    if (result < 0)
        printf("%s: %s\n", what, strerror(errno));
    else
        printf("%s: %ld\n", what, result);
    return 0;
}

static int show(const char *path) {
    char text[65536];
    int file = open(path, O_RDONLY);
    if (file < 0)
        return said(path, -1);
    long got, all = 0;
    while ((got = read(file, text + all, sizeof text - all)) > 0)
        all += got;
    fwrite(text, 1, all, stdout);
    return 0;
}

static int list(const char *path) {
    DIR *folder = opendir(path);
    if (!folder)
        return said(path, -1);
    struct dirent *entry;
    while ((entry = readdir(folder)))
        printf("%s\n", entry->d_name);
    return 0;
}

static int abstract_socket(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path + 1, name, strlen(name));
    socklen_t length = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name);
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    return said("connect", connect(s, (struct sockaddr *)&address, length));
}

int main(int count, char **words) {
    const char *act = count > 1 ? words[1] : "";
    const char *on = count > 2 ? words[2] : "";
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!strcmp(act, "descriptors")) {
        for (int fd = 0; fd < 5000; fd++)
            if (fcntl(fd, F_GETFD) >= 0)
                printf("%d\n", fd);
        return 0;
    }
    if (!strcmp(act, "id"))
        return said("pid", getpid());
    if (!strcmp(act, "list"))
        return list(on);
    if (!strcmp(act, "show"))
        return show(on);
    if (!strcmp(act, "write")) {
        int file = open(on, O_CREAT | O_WRONLY, 0644);
        return said("write", file < 0 ? -1 : write(file, "planted\n", 8));
    }
    if (!strcmp(act, "kill"))
        return said("kill", kill(atoi(on), 0));
    if (!strcmp(act, "killgroup"))
        /* Itself is left out by a signal that it ignores. */
        return signal(SIGUSR1, SIG_IGN), said("kill", kill(0, SIGUSR1));
    if (!strcmp(act, "hostname"))
        return said("sethostname", sethostname(on, strlen(on)));
    if (!strcmp(act, "abstract"))
        return abstract_socket(on);
    if (!strcmp(act, "type"))
        return said("TIOCSTI", ioctl(0, TIOCSTI, "x"));
    if (!strcmp(act, "exit"))
        return atoi(on);
    if (!strcmp(act, "die"))
        return said("kill", kill(getpid(), atoi(on)));
    if (!strcmp(act, "stop")) {
        puts("stopping");
        kill(getpid(), SIGTSTP);
        puts("going on");
        return 7;
    }
    if (!strcmp(act, "leave")) {
        /* A child that outlives its parent, and would say so. */
        if (fork() == 0) {
            sleep(2);
            int file = open(on, O_CREAT | O_WRONLY, 0644);
            write(file, "outlived\n", 9);
            return 0;
        }
        return 0;
    }
    if (!strcmp(act, "orphan")) {
        /* An orphan is collected by the first process, and its own parent is that. */
        int ends[2];
        pipe(ends);
        pid_t middle = fork();
        if (middle == 0) {
            if (fork() == 0) {
                while (getppid() != 1)
                    usleep(1000);
                return write(ends[1], "1", 1) != 1;
            }
            return 0;
        }
        char one;
        waitpid(middle, NULL, 0);
        return said("orphan", read(ends[0], &one, 1));
    }
    if (!strcmp(act, "wait")) {
        puts("waiting");
        char one;
        return said("read", read(0, &one, 1));
    }
    if (!strcmp(act, "devices")) {
        struct stat shm, terminal;
        struct statvfs room;
        stat("/dev/shm", &shm);
        statvfs("/dev/shm", &room);
        printf("shm %o, %lu KiB\n", shm.st_mode & 07777, (unsigned long)(room.f_blocks * room.f_frsize / 1024));
        int master = posix_openpt(O_RDWR | O_NOCTTY);
        said("grantpt", grantpt(master));
        said("unlockpt", unlockpt(master));
        char *name = ptsname(master);
        printf("%s %d\n", name, stat(name, &terminal) || !S_ISCHR(terminal.st_mode));
        int slave = open(name, O_RDWR | O_NOCTTY);
        said("to the terminal", write(slave, "x", 1));
        char one = 0;
        said("from it", read(master, &one, 1));
        return said("a file of 1 MiB", ftruncate(open("/dev/shm/f", O_CREAT | O_RDWR, 0600), 1 << 20));
    }
    if (!strcmp(act, "ignored")) {
        static const struct { int number; const char *name; } all[] = {
            { SIGHUP, "HUP" }, { SIGINT, "INT" }, { SIGQUIT, "QUIT" }, { SIGUSR1, "USR1" },
            { SIGPIPE, "PIPE" }, { SIGTERM, "TERM" }, { SIGCHLD, "CHLD" }, { SIGXFSZ, "XFSZ" } };
        for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
            struct sigaction now;
            sigaction(all[i].number, NULL, &now);
            if (now.sa_handler == SIG_IGN) printf("%s ", all[i].name);
        }
        kill(getpid(), SIGTERM);
        puts("goes on");
        return 0;
    }
    if (!strcmp(act, "close")) {
        /* Who reads its output sees the end before it ends. */
        puts("closing");
        close(1);
        close(2);
        pause();
    }
    return 2;
}
