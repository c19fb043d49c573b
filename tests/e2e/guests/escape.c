/* Tries to reach what is outside its root. Prints what it could read, one line per success.
 *
 * escape TARGET SECRET-NAME   every way that it knows, once
 * escape race PATH COUNT      opens PATH again and again while somebody swaps its folders
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int found;

static void show(const char *path, int fd) {
    char text[256];
    ssize_t n = read(fd, text, sizeof text - 1);
    if (n > 0 && strstr((text[n] = 0, text), "SECRET")) {
        printf("reached %s\n", path);
        found = 1;
    }
    close(fd);
}

static void try_path(const char *path) {
    int fd = open(path, O_RDONLY);
    if (fd >= 0)
        show(path, fd);
    fd = open(path, O_WRONLY | O_APPEND);
    if (fd >= 0) {
        struct stat st;
        /* The secret's own size. */
        if (fstat(fd, &st) == 0 && st.st_size == 4242) {
            printf("could write %s\n", path);
            found = 1;
        }
        close(fd);
    }
    struct stat st;
    if (stat(path, &st) == 0 && st.st_size == 4242) {
        printf("saw %s\n", path);
        found = 1;
    }
}

static void join(const char *before, const char *target) {
    char path[4096];
    snprintf(path, sizeof path, "%s%s", before, target);
    try_path(path);
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "race") == 0) {
        int opened = 0, failed = 0;
        for (int i = 0, count = atoi(argv[3]); i < count; i++) {
            int fd = open(argv[2], O_RDONLY);
            if (fd < 0) {
                failed++;
                continue;
            }
            opened++;
            show(argv[2], fd);
        }
        printf("opened %d, failed %d\n", opened > 0, failed > 0);
        return found;
    }
    if (argc < 2)
        return 2;
    const char *target = argv[1];
    char up[2048] = "";
    for (int depth = 0; depth < 40; depth++) {
        strcat(up, "../");
        char before[4096];
        join(up, target + 1);
        snprintf(before, sizeof before, "/%s", up);
        join(before, target + 1);
        snprintf(before, sizeof before, "/w/%s", up);
        join(before, target + 1);
        snprintf(before, sizeof before, "/w/./%s./", up);
        join(before, target + 1);
    }
    join("", target);
    join("/", target);
    const char *const proc[] = {
        "/proc/self/root", "/proc/1/root", "/proc/self/cwd/../../../../..", "/proc/thread-self/root",
        "/proc/self/task/1/root", "/proc/self/fd/3", "/proc/self/fd/4", "/proc/self/fd/5",
        "/dev/fd/3", "/dev/fd/4", "/proc/../..", "/proc/self/cwd/..",
    };
    for (unsigned i = 0; i < sizeof proc / sizeof *proc; i++)
        join(proc[i], target);
    /* Links: absolute, climbing, through another, through /proc. */
    char climbing[4096];
    snprintf(climbing, sizeof climbing, "%s%s", up, target + 1);
    const char *const targets[] = {target, climbing, "/proc/self/root", "/proc/1/root", "..", "/../..", "/"};
    for (unsigned i = 0; i < sizeof targets / sizeof *targets; i++) {
        char name[64], through[4200];
        snprintf(name, sizeof name, "link%u", i);
        unlink(name);
        if (symlink(targets[i], name) != 0)
            continue;
        try_path(name);
        join(name, target);
        snprintf(through, sizeof through, "%s/..", name);
        join(through, target);
        snprintf(through, sizeof through, "hard%u", i);
        if (linkat(AT_FDCWD, name, AT_FDCWD, through, AT_SYMLINK_FOLLOW) == 0)
            try_path(through);
        snprintf(through, sizeof through, "moved%u", i);
        if (rename(name, through) == 0)
            try_path(through);
    }
    /* From every descriptor that it was given. */
    for (int fd = 0; fd < 32; fd++) {
        for (int way = 0; way < 3; way++) {
            int got = openat(fd, way == 0 ? target : way == 1 ? climbing : "..", O_RDONLY);
            if (got >= 0 && way == 2) {
                int inner = openat(got, climbing, O_RDONLY);
                if (inner >= 0)
                    show("descriptor/..", inner);
                close(got);
            } else if (got >= 0)
                show("descriptor", got);
        }
    }
    printf("done\n");
    return found;
}
