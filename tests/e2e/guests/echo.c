/* Shows what a program is given: arguments, environment, standard input; exits as told. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "exit") == 0)
        return atoi(argv[2]);
    if (argc > 1 && strcmp(argv[1], "args") == 0) {
        for (int i = 0; i < argc; i++)
            printf("[%s]\n", argv[i]);
    } else if (argc > 1 && strcmp(argv[1], "env") == 0) {
        for (char **e = environ; *e; e++)
            puts(*e);
    } else if (argc > 1 && strcmp(argv[1], "cat") == 0) {
        static char buffer[65536];
        ssize_t n;
        while ((n = read(0, buffer, sizeof buffer)) > 0)
            for (ssize_t at = 0, m; at < n; at += m)
                if ((m = write(1, buffer + at, n - at)) < 0) {
                    fprintf(stderr, "write: %s\n", strerror(errno));
                    return 1;
                }
        if (n < 0) {
            fprintf(stderr, "read: %s\n", strerror(errno));
            return 1;
        }
    } else if (argc > 1 && strcmp(argv[1], "yes") == 0) {
        /* Until the reader is gone. */
        for (;;)
            if (write(1, "y\n", 2) < 0) {
                fprintf(stderr, "errno %d epipe %d\n", errno, errno == EPIPE);
                return 3;
            }
    } else if (argc > 1 && strcmp(argv[1], "close") == 0) {
        int a = close(0), b = close(1), again = close(1);
        fprintf(stderr, "%d %d %d %d\n", a, b, again, errno == EBADF);
        fprintf(stderr, "%d %d\n", (int)write(1, "x", 1), errno == EBADF);
        close(2);
        return 5;
    } else if (argc > 1 && strcmp(argv[1], "cwd") == 0) {
        char here[256];
        puts(getcwd(here, sizeof here) ? here : "?");
    }
    return 0;
}
