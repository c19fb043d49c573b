/* about: Cancellation, clean-up handlers, robust and shared mutexes, exits with threads. */
/* flags: -pthread */
#include "../check.h"
static int p[2];
static void clean(void *x) { say("clean %s", (char *)x); }
static void *reads(void *x)
{
    char b;
    pthread_cleanup_push(clean, "read");
    read(p[0], &b, 1);
    pthread_cleanup_pop(0);
    return 0;
}
static void *sleeps(void *x)
{
    pthread_cleanup_push(clean, "outer");
    pthread_cleanup_push(clean, "inner");
    sleep(50);
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(0);
    return 0;
}
static volatile int go, ready;
static void *off(void *x)
{
    int o;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &o);
    ready = 1;
    while (!go) pause_ms(1);
    say("not yet");
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &o);
    pthread_testcancel();
    say("not reached");
    return 0;
}
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static void unlock(void *x)
{
    pthread_mutex_unlock(&m);
    say("unlocked");
}
static void *conds(void *x)
{
    pthread_mutex_lock(&m);
    pthread_cleanup_push(unlock, 0);
    ready = 2;
    for (;;) pthread_cond_wait(&c, &m);
    pthread_cleanup_pop(1);
    return 0;
}
static pthread_mutex_t rob;
static void *dies(void *x)
{
    pthread_mutex_lock(&rob);
    return 0;
}
static void *leaves(void *x)
{
    pause_ms(30);
    say("the last thread");
    return 0;
}
static void *crash(void *x)
{
    raise(SIGTERM);
    return 0;
}
static void *quits(void *x) { exit(12); }
static void end_first(void)
{
    pthread_t t;
    pthread_create(&t, 0, leaves, 0);
    pthread_exit(0);
}
static void kills(void)
{
    pthread_t t;
    pthread_create(&t, 0, crash, 0);
    pause();
    pause();
}
static void exits(void)
{
    pthread_t t;
    pthread_create(&t, 0, quits, 0);
    pthread_join(t, 0);
}
static void *faults(void *x)
{
    volatile char *q = mmap(0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)*q;
    return 0;
}
static void fault(void)
{
    pthread_t t;
    pthread_create(&t, 0, faults, 0);
    pthread_join(t, 0);
}
int main(void)
{
    pthread_t t;
    void *r;
    pipe(p);
    pthread_create(&t, 0, reads, 0);
    pause_ms(20);
    int cancelled = pthread_cancel(t);
    pthread_join(t, &r);
    say("cancel %s", name_of(cancelled));
    say("%d", r == PTHREAD_CANCELED);
    pthread_create(&t, 0, sleeps, 0);
    cancelled = pthread_cancel(t);
    pthread_join(t, &r);
    say("cancel %s", name_of(cancelled));
    say("%d", r == PTHREAD_CANCELED);
    pthread_create(&t, 0, off, 0);
    while (!ready) pause_ms(1);
    pthread_cancel(t);
    go = 1;
    pthread_join(t, &r);
    say("%d", r == PTHREAD_CANCELED);
    pthread_create(&t, 0, conds, 0);
    while (ready != 2) pause_ms(1);
    pause_ms(10);
    pthread_cancel(t);
    pthread_join(t, &r);
    say("%d", r == PTHREAD_CANCELED);
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&rob, &a);
    pthread_create(&t, 0, dies, 0);
    pthread_join(t, 0);
    TRY0(pthread_mutex_lock(&rob));
    TRY0(pthread_mutex_consistent(&rob));
    TRY0(pthread_mutex_unlock(&rob));
    TRY0(pthread_mutex_lock(&rob));
    TRY0(pthread_mutex_unlock(&rob));
    pthread_mutex_t *s = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_STALLED);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(s, &a);
    volatile int *n = (void *)((char *)s + 4096);
    pid_t k[4];
    for (int i = 0; i < 4; i++)
        if (!(k[i] = fork())) {
            for (int j = 0; j < 5000; j++) {
                pthread_mutex_lock(s);
                ++*n;
                pthread_mutex_unlock(s);
            }
            _exit(0);
        }
    for (int i = 0; i < 4; i++) waitpid(k[i], 0, 0);
    say("shared %d", *n);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(s, &a);
    pid_t q = fork();
    if (!q) {
        pthread_mutex_lock(s);
        _exit(0);
    }
    waitpid(q, 0, 0);
    TRY0(pthread_mutex_lock(s));
    TRY0(pthread_mutex_consistent(s));
    TRY0(pthread_mutex_unlock(s));
    CHILD(end_first());
    CHILD(kills());
    CHILD(exits());
    CHILD(fault());
    return 0;
}
