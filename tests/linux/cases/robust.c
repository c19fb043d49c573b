/* about: Robust mutexes: who waits for one whose owner has ended is told, however the owner ended. */
/* calls: get_robust_list set_robust_list */
/* flags: -pthread */
#include "../check.h"
struct shared {
    pthread_mutex_t first, second;
    int step;
};
static struct shared *s;
static void fresh(int shared)
{
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    TRY0(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST));
    if (shared) TRY0(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED));
    memset(s, 0, sizeof *s);
    TRY0(pthread_mutex_init(&s->first, &a));
    TRY0(pthread_mutex_init(&s->second, &a));
}
static void take(const char *how)
{
    say("%s: %s %s", how, name_of(pthread_mutex_lock(&s->first)),
        name_of(pthread_mutex_trylock(&s->second)));
    TRY0(pthread_mutex_consistent(&s->first));
    TRY0(pthread_mutex_unlock(&s->first));
    TRY0(pthread_mutex_lock(&s->first));
    TRY0(pthread_mutex_unlock(&s->first));
    /* Not made consistent: lost for good. */
    TRY0(pthread_mutex_unlock(&s->second));
    TRY0(pthread_mutex_lock(&s->second));
}
static void both(void)
{
    pthread_mutex_lock(&s->first);
    pthread_mutex_lock(&s->second);
}
static void *returns(void *x) { both(); return 0; }
static void *exits(void *x) { both(); pthread_exit(0); }
static void *leaves(void *x)
{
    both();
    __atomic_store_n(&s->step, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_exit, 0);
    return 0;
}
static void *waits(void *x)
{
    int e = pthread_mutex_lock(&s->first);
    pthread_mutex_consistent(&s->first);
    pthread_mutex_unlock(&s->first);
    return (void *)name_of(e);
}
static void *holds(void *x)
{
    both();
    __atomic_store_n(&s->step, 1, __ATOMIC_SEQ_CST);
    for (;;) pause();
}
static void after(const char *how, void (*end)(void))
{
    fresh(1);
    pid_t p = fork();
    if (!p) {
        end();
        _exit(1);
    }
    int status;
    waitpid(p, &status, 0);
    say_status(how, status);
    take(how);
}
static void by_exit(void) { both(); exit(3); }
static void by_exit_of_another(void)
{
    pthread_t t;
    pthread_create(&t, 0, holds, 0);
    while (!__atomic_load_n(&s->step, __ATOMIC_SEQ_CST)) pause_ms(1);
    _exit(4);
}
static void by_execve(void)
{
    both();
    char *args[] = {"robust", "again", 0};
    execv("/bin/robust", args);
}
static void by_return(void) { both(); syscall(SYS_exit, 0); }
int main(int argc, char **argv)
{
    if (argc > 1) return 5;
    pthread_t t;
    void *r;
    s = mmap(0, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    void *head = 0;
    size_t len = 0;
    TRY(syscall(SYS_get_robust_list, 0, &head, &len));
    say("%d", len == 3 * sizeof(void *) || len == 24);
    TRY(syscall(SYS_get_robust_list, 2000000000, &head, &len) == -1);
    TRY(syscall(SYS_set_robust_list, head, 5L));
    fresh(0);
    pthread_create(&t, 0, returns, 0);
    pthread_join(t, 0);
    take("a thread that returns");
    fresh(0);
    pthread_create(&t, 0, exits, 0);
    pthread_join(t, 0);
    take("a thread that exits");
    fresh(0);
    pthread_mutex_lock(&s->first);
    pthread_t w;
    pthread_create(&w, 0, waits, 0);
    pause_ms(20);
    pthread_mutex_unlock(&s->first);
    pthread_join(w, &r);
    say("nobody died: %s", (char *)r);
    after("exit", by_exit);
    after("exit while another holds them", by_exit_of_another);
    after("execve", by_execve);
    after("the thread's end", by_return);
    /* One that waits while the owner ends. */
    fresh(1);
    pid_t p = fork();
    if (!p) {
        pthread_mutex_lock(&s->first);
        __atomic_store_n(&s->step, 1, __ATOMIC_SEQ_CST);
        pause_ms(100);
        _exit(0);
    }
    while (!__atomic_load_n(&s->step, __ATOMIC_SEQ_CST)) pause_ms(1);
    take("while waiting");
    int status;
    waitpid(p, &status, 0);
    return 0;
}
