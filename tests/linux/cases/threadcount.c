/* about: How many threads /proc/self/stat counts: alone, with others, in a child, when the first has ended. */
/* flags: -pthread */
#include "../check.h"
#include <pthread.h>
#include <semaphore.h>
static sem_t begun, go, over;
/* The 20th field; the name, the second, may hold anything. */
static int counted(const char *file)
{
    char b[4096];
    int f = open(file, O_RDONLY), n = read(f, b, sizeof b - 1);
    close(f);
    if (n <= 0) return -1;
    b[n] = 0;
    char *at = strrchr(b, ')');
    for (int field = 2; at && field < 20; field++) at = strchr(at + 1, ' ');
    return at ? atoi(at) : -1;
}
static void *waits(void *unused)
{
    sem_post(&begun);
    sem_wait(&go);
    return unused;
}
static void *last(void *first)
{
    pthread_join(*(pthread_t *)first, 0);
    say("the first has ended: %d", counted("/proc/self/stat"));
    exit(0);
}
int main(void)
{
    pthread_t two[2], main_thread = pthread_self();
    char task[64];
    sem_init(&begun, 0, 0);
    sem_init(&go, 0, 0);
    sem_init(&over, 0, 0);
    say("alone: %d", counted("/proc/self/stat"));
    for (int i = 0; i < 2; i++) {
        pthread_create(&two[i], 0, waits, 0);
        sem_wait(&begun);
    }
    say("two others: %d", counted("/proc/self/stat"));
    snprintf(task, sizeof task, "/proc/self/task/%d/stat", getpid());
    say("of the task: %d", counted(task));
    int child = fork(), status = 0;
    if (!child) {
        say("in a child: %d", counted("/proc/self/stat"));
        snprintf(task, sizeof task, "/proc/%d/stat", getppid());
        say("of the parent, there is something: %d", counted(task) > 0);
        _exit(0);
    }
    waitpid(child, &status, 0);
    sem_post(&go);
    sem_post(&go);
    for (int i = 0; i < 2; i++) pthread_join(two[i], 0);
    /* The last of a joined thread is what the kernel takes away, a moment later. */
    for (int i = 0; i < 100 && counted("/proc/self/stat") > 1; i++) usleep(10000);
    say("alone again: %d", counted("/proc/self/stat"));
    pthread_create(&two[0], 0, last, &main_thread);
    pthread_exit(0);
}
