/* Times whole processes: start, run, exit, wait; rounds are interleaved so that the machine's
 * moods hit all contenders alike.
 *
 *   spawn ROUNDS COMMAND... [--- COMMAND...]...
 *
 * Prints, per command, the minimum and the median wall time in microseconds. Standard output of
 * the commands goes to /dev/null. A command that fails ends the run with status 1: a benchmark of
 * a failing program means nothing. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { MAX_COMMANDS = 16 };

extern char **environ;

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec * 1e-3;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    char **commands[MAX_COMMANDS];
    int count = 0, rounds;
    double *times[MAX_COMMANDS];
    posix_spawn_file_actions_t actions;

    if (argc < 3 || (rounds = atoi(argv[1])) < 1) {
        fprintf(stderr, "usage: spawn ROUNDS COMMAND... [--- COMMAND...]...\n");
        return 2;
    }
    commands[count++] = argv + 2;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "---") == 0 && count < MAX_COMMANDS) {
            argv[i] = NULL;
            commands[count++] = argv + i + 1;
        }
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    for (int c = 0; c < count; c++)
        times[c] = malloc(sizeof(double) * rounds);
    for (int round = -2; round < rounds; round++) { /* two rounds to warm up */
        for (int c = 0; c < count; c++) {
            pid_t pid;
            int status;
            double start = now_us();
            if (posix_spawnp(&pid, commands[c][0], &actions, NULL, commands[c], environ) != 0 ||
                waitpid(pid, &status, 0) != pid || status != 0) {
                fprintf(stderr, "spawn: %s failed\n", commands[c][0]);
                return 1;
            }
            if (round >= 0)
                times[c][round] = now_us() - start;
        }
    }
    for (int c = 0; c < count; c++) {
        qsort(times[c], rounds, sizeof(double), by_value);
        printf("%.1f %.1f\n", times[c][0], times[c][rounds / 2]);
    }
    return 0;
}
