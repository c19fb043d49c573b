/* about: Threads: creation, joining, detaching, mutexes, conditions, barriers, read-write locks, once,
 * TLS, semaphores. */
/* calls: exit futex set_tid_address */
/* flags: -pthread */
#include "../check.h"
#include <semaphore.h>
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t bar;
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static sem_t sem;
static long total;
static int turns, onces;
static __thread int mine = 5;
static pthread_key_t key;
static int destroyed;
static _Atomic int atomic;
static void init(void) { onces++; }
static void gone(void *p) { __atomic_add_fetch(&destroyed, (int)(intptr_t)p, 5); }
static void *add(void *x)
{
    for (int i = 0; i < 20000; i++) {
        pthread_mutex_lock(&m);
        total++;
        pthread_mutex_unlock(&m);
        atomic++;
    }
    pthread_once(&once, init);
    mine += (int)(intptr_t)x;
    pthread_setspecific(key, x);
    return (void *)(intptr_t)mine;
}
static void *ping(void *x)
{
    int me = (int)(intptr_t)x;
    for (int i = 0; i < 500; i++) {
        pthread_mutex_lock(&m);
        while (turns % 2 != me) pthread_cond_wait(&c, &m);
        turns++;
        pthread_cond_broadcast(&c);
        pthread_mutex_unlock(&m);
    }
    return 0;
}
static void *meet(void *x)
{
    int r = pthread_barrier_wait(&bar);
    return (void *)(intptr_t)(r == PTHREAD_BARRIER_SERIAL_THREAD);
}
static void *reader(void *x)
{
    pthread_rwlock_rdlock(&rw);
    long v = total;
    pthread_rwlock_unlock(&rw);
    return (void *)v;
}
static void *waiter(void *x)
{
    sem_wait(&sem);
    return 0;
}
static void *quick(void *x)
{
    sem_post(&sem);
    return 0;
}
static void *leave(void *x) { pthread_exit((void *)77); }
int main(void)
{
    pthread_t t[8];
    void *r;
    pthread_key_create(&key, gone);
    for (long i = 0; i < 8; i++)
        if (pthread_create(t + i, 0, add, (void *)i)) say("create");
    long sum = 0;
    for (int i = 0; i < 8; i++) {
        pthread_join(t[i], &r);
        sum += (long)r;
    }
    say("total %ld atomic %d sum %ld onces %d mine %d destroyed %d", total, atomic, sum, onces,
        mine, destroyed);
    for (long i = 0; i < 2; i++) pthread_create(t + i, 0, ping, (void *)i);
    for (int i = 0; i < 2; i++) pthread_join(t[i], 0);
    say("turns %d", turns);
    pthread_barrier_init(&bar, 0, 4);
    for (int i = 0; i < 4; i++) pthread_create(t + i, 0, meet, 0);
    sum = 0;
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], &r);
        sum += (long)r;
    }
    say("serial %ld", sum);
    pthread_rwlock_wrlock(&rw);
    pthread_create(t, 0, reader, 0);
    TRY0(pthread_rwlock_tryrdlock(&rw));
    total = 5;
    pthread_rwlock_unlock(&rw);
    pthread_join(*t, &r);
    say("read %ld", (long)r);
    sem_init(&sem, 0, 0);
    pthread_create(t, 0, waiter, 0);
    sem_post(&sem);
    TRY0(pthread_join(*t, 0));
    TRY(sem_trywait(&sem));
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    ts.tv_nsec += 10000000;
    if (ts.tv_nsec >= 1000000000) {
        ts.tv_sec++;
        ts.tv_nsec -= 1000000000;
    }
    TRY(sem_timedwait(&sem, &ts));
    pthread_mutex_lock(&m);
    TRY0(pthread_cond_timedwait(&c, &m, &ts));
    TRY0(pthread_mutex_trylock(&m));
    pthread_mutex_unlock(&m);
    pthread_attr_t a;
    pthread_attr_init(&a);
    TRY0(pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED));
    TRY0(pthread_create(t, &a, quick, 0));
    TRY(sem_wait(&sem));
    TRY0(pthread_attr_setstacksize(&a, 1));
    pthread_create(t, 0, leave, 0);
    pthread_join(*t, &r);
    say("%ld", (long)r);
    pthread_create(t, 0, leave, 0);
    TRY0(pthread_detach(*t));
    TRY0(pthread_equal(pthread_self(), pthread_self()) ? 0 : 1);
    pthread_mutexattr_t ma;
    pthread_mutexattr_init(&ma);
    pthread_mutex_t x;
    pthread_mutexattr_settype(&ma, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&x, &ma);
    TRY0(pthread_mutex_lock(&x));
    TRY0(pthread_mutex_lock(&x));
    TRY0(pthread_mutex_unlock(&x));
    TRY0(pthread_mutex_unlock(&x));
    TRY0(pthread_mutex_unlock(&x));
    pthread_mutexattr_settype(&ma, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&x, &ma);
    TRY0(pthread_mutex_lock(&x));
    TRY0(pthread_mutex_lock(&x));
    TRY0(pthread_mutex_unlock(&x));
    for (int i = 0; i < 200; i++) {
        pthread_create(t, 0, leave, 0);
        pthread_join(*t, 0);
    }
    say("200 more");
    for (int i = 0; i < 8; i++) pthread_create(t + i, 0, waiter, 0);
    pid_t p = fork();
    if (!p) {
        say("child of a process with threads");
        pthread_create(t, 0, leave, 0);
        pthread_join(*t, &r);
        say("its thread %ld", (long)r);
        _exit(3);
    }
    int s;
    waitpid(p, &s, 0);
    say_status("child", s);
    for (int i = 0; i < 8; i++) sem_post(&sem);
    for (int i = 0; i < 8; i++) pthread_join(t[i], 0);
    pthread_create(t, 0, waiter, 0);
    exit(9);
}
