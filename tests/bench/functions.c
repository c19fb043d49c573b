/* Runs a program and the processes that it forks instruction by instruction, and prints the addresses
 * that they execute in the program's file, each once, in the order of first use:
 *
 *     functions PROGRAM [ARGUMENT]...
 *
 * One hexadecimal offset from the program's base a line, on standard error, after a `+` for the
 * processes that it forks: their first use is looked for on its own. Addresses are rounded down to 16
 * bytes, which is what compilers align functions to.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GRAIN = 16, SPAN = 64 << 20 };

static unsigned char seen[2][SPAN / GRAIN];

/* The lowest address of the program, from its first mapping. */
static unsigned long long base_of(pid_t pid)
{
    char path[64];
    unsigned long long base = 0;
    FILE *maps;

    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    maps = fopen(path, "r");
    if (maps == NULL || fscanf(maps, "%llx", &base) != 1)
        perror(path);
    if (maps != NULL)
        fclose(maps);
    return base;
}

int main(int argc, char **argv)
{
    struct user_regs_struct registers;
    unsigned long long base;
    int status;
    pid_t pid, first, stepped;

    if (argc < 2) {
        fputs("usage: functions PROGRAM [ARGUMENT]...\n", stderr);
        return 2;
    }
    pid = fork();
    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        execv(argv[1], argv + 1);
        perror(argv[1]);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) {
        fputs("functions: the program did not start\n", stderr);
        return 1;
    }
    base = base_of(pid);
    ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_EXITKILL);
    first = stepped = pid;
    for (;;) {
        /* Signals other than the step's own trap are the program's; a new process has a stop that is
         * nobody's. */
        int signal = WSTOPSIG(status) == SIGTRAP || WSTOPSIG(status) == SIGSTOP ? 0 : WSTOPSIG(status);

        if (WIFSTOPPED(status)) {
            if (ptrace(PTRACE_GETREGS, stepped, NULL, &registers) == 0 && registers.rip - base < SPAN) {
                unsigned long long grain = (registers.rip - base) / GRAIN;

                if (!seen[stepped != first][grain]) {
                    seen[stepped != first][grain] = 1;
                    fprintf(stderr, "%s%llx\n", stepped == first ? "" : "+", grain * GRAIN);
                }
            }
            ptrace(PTRACE_SINGLESTEP, stepped, NULL, signal);
        } else if (stepped == first) {
            break;
        }
        stepped = waitpid(-1, &status, __WALL);
        if (stepped < 0)
            break;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
