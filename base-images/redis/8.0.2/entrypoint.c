/*
 * The entrypoint of the redis image, which has no shell: decides what runs and as whom, and executes it.
 *
 * - Arguments that begin with an option or with a configuration file are redis-server's.
 * - The server does not run as root: as root, this takes over what is in the working folder (/data) for the
 *   user redis, whose the files of an older container or of a mounted folder may not be, and becomes that user.
 *   Where the container may not change owners or users, a line says so, and it goes on with what it has.
 * - What it writes is for its user alone (umask 077), unless the container's umask is another than the usual.
 *
 * The folder may have been written by a server that was taken over: nothing is followed out of it, and a file
 * with several names is left alone, because one of them may be elsewhere.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char SERVER[] = "redis-server";
static const char USER[] = "redis";

/* Status of what cannot be executed, and of what is not there, as shells have them. */
enum { CANNOT = 126, MISSING = 127 };

/* Folders in each other; more is no data of redis. */
enum { DEEPEST = 32 };

static void warn(const char *doing)
{
    fprintf(stderr, "docker-entrypoint: %s: %s\n", doing, strerror(errno));
}

static int ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length > tail && strcmp(text + length - tail, end) == 0;
}

static int give_contents(int fd, const struct passwd *user, int deep);

/*
 * Gives one node, and all that is in it, to the user. What is looked at is what is changed: one descriptor,
 * whatever becomes of the name meanwhile. Returns 0, or -1 with errno.
 */
static int give(int folder, const char *name, const struct passwd *user, int deep)
{
    int fd = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT ? 0 : -1;
    struct stat now;
    int result = fstat(fd, &now);
    int is_folder = result == 0 && S_ISDIR(now.st_mode);
    if (result == 0 && now.st_uid != user->pw_uid && (is_folder || now.st_nlink == 1))
        result = fchownat(fd, "", user->pw_uid, user->pw_gid, AT_EMPTY_PATH);
    if (result == 0 && is_folder && deep < DEEPEST) {
        int inner = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        result = inner < 0 ? -1 : give_contents(inner, user, deep + 1);
    }
    int error = errno;
    close(fd);
    errno = error;
    return result;
}

/* Gives all that is in the open folder to the user; closes it. Returns 0, or -1 with errno. */
static int give_contents(int fd, const struct passwd *user, int deep)
{
    DIR *folder = fdopendir(fd);
    if (!folder) {
        close(fd);
        return -1;
    }
    int result = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(folder));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            result = give(dirfd(folder), entry->d_name, user, deep);
    int error = errno;
    closedir(folder);
    errno = error;
    return result;
}

/* Gives the working folder to the user; not where somebody made the root folder the working folder. */
static int give_folder(const struct passwd *user)
{
    struct stat here, root;
    if (stat(".", &here) || stat("/", &root)) return -1;
    if (root.st_dev == here.st_dev && root.st_ino == here.st_ino) return 0;
    return give(AT_FDCWD, ".", user, 0);
}

static void leave_root(void)
{
    errno = 0;
    const struct passwd *user = getpwnam(USER);
    if (!user) {
        fprintf(stderr, "docker-entrypoint: /etc/passwd has no user %s; the server runs as root\n", USER);
        return;
    }
    if (give_folder(user)) warn("the working folder stays whose it is");
    if (setgroups(0, NULL) || setgid(user->pw_gid)) {
        warn("the server runs as root, because the container may not change its user");
        return;
    }
    if (setuid(user->pw_uid)) {
        /* Half of it: neither root's groups nor another user. */
        warn("cannot become the user redis");
        exit(CANNOT);
    }
}

int main(int count, char **arguments)
{
    char **command = arguments + 1;
    if (count < 2 || arguments[1][0] == '-' || ends_with(arguments[1], ".conf")) {
        /* `arguments` has room for one more: its own name goes. */
        arguments[0] = (char *)SERVER;
        command = arguments;
    }
    if (strcmp(command[0], SERVER) == 0) {
        if (geteuid() == 0) leave_root();
        mode_t mask = umask(077);
        if (mask != 022) umask(mask);
    }
    execvp(command[0], command);
    int error = errno;
    fprintf(stderr, "docker-entrypoint: cannot execute %s: %s\n", command[0], strerror(error));
    return error == ENOENT ? MISSING : CANNOT;
}
