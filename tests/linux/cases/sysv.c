/* about: System V shared memory, semaphores and messages: attachments of all kinds, across fork, with threads of
 * control that wait, and what is left of a segment that was mapped over. */
/* calls: msgctl msgget msgrcv msgsnd semctl semget semop semtimedop shmat shmctl shmdt shmget */
#include "../check.h"
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#define PAGE 4096
static void attached(int id)
{
	struct shmid_ds d;
	if (shmctl(id, IPC_STAT, &d)) say("stat: %s", name_of(errno));
	else say("%d attached, size %d, mode %o, by me %d", (int)d.shm_nattch, (int)d.shm_segsz,
		d.shm_perm.mode & 01777, d.shm_cpid == getpid());
}
static void shared(void)
{
	int id = shmget(IPC_PRIVATE, 3 * PAGE - 10, IPC_CREAT | 0600);
	attached(id);
	char *p = shmat(id, 0, 0), *q = shmat(id, 0, SHM_RDONLY);
	say("%d %d", p != (void *)-1, q != p);
	attached(id);
	strcpy(p + PAGE, "through the other");
	say("%s", q + PAGE);
	CHILD(({ strcpy(p, "from a child"); attached(id); q[0] = 1; }));
	say("%s", p);
	attached(id);
	TRY(shmdt(q));
	TRY(shmdt(q));
	TRY(shmdt(p + PAGE));
	attached(id);
	/* At a place. */
	char *hole = mmap(0, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TRY(shmat(id, hole, 0) == (void *)-1);
	TRY(shmat(id, hole + 1, SHM_REMAP) == (void *)-1);
	TRY(shmat(id, 0, SHM_REMAP) == (void *)-1);
	TRY(shmat(id, hole + PAGE + 7, SHM_REMAP | SHM_RND) == hole + PAGE);
	say("%s", hole + PAGE);
	munmap(hole + 6 * PAGE, PAGE);
	TRY(shmat(id, hole + 6 * PAGE, 0) == (void *)-1);
	/* What is mapped over is no part of it any more. */
	mmap(hole + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	strcpy(hole + 2 * PAGE, "mine");
	attached(id);
	TRY(shmdt(hole + PAGE));
	say("%s", hole + 2 * PAGE);
	CHILD(*(volatile char *)(hole + PAGE));
	CHILD(*(volatile char *)(hole + 3 * PAGE));
	TRY(shmdt(hole + PAGE));
	TRY(mprotect(p, PAGE, PROT_READ));
	CHILD(*(volatile char *)p = 1);
	TRY(shmctl(id, IPC_RMID, 0));
	attached(id);
	TRY(shmat(id, 0, 0) != (void *)-1);
	TRY(munmap(p, 3 * PAGE));
	TRY(shmget(IPC_PRIVATE, 0, IPC_CREAT | 0600));
	TRY(shmget(77, 1, 0));
	TRY(shmat(-1, 0, 0) == (void *)-1);
	TRY(shmctl(id, 12345, 0));
	TRY(shmdt(0));
}
static void by_key(void)
{
	int id = shmget(0x1234, PAGE, IPC_CREAT | IPC_EXCL | 0640);
	say("%d", id >= 0);
	TRY(shmget(0x1234, PAGE, IPC_CREAT | IPC_EXCL | 0640));
	TRY(shmget(0x1234, 2 * PAGE, 0));
	say("same %d", shmget(0x1234, 0, 0) == id);
	struct shmid_ds d;
	shmctl(id, IPC_STAT, &d);
	d.shm_perm.mode = 0600;
	TRY(shmctl(id, IPC_SET, &d));
	attached(id);
	say("key %x", d.shm_perm.__key);
	TRY(shmctl(id, IPC_RMID, 0));
	TRY(shmget(0x1234, 0, 0));
}
union semun { int val; struct semid_ds *buf; unsigned short *array; };
static void semaphores(void)
{
	int id = semget(IPC_PRIVATE, 3, 0600);
	unsigned short all[3] = { 1, 2, 3 }, got[3];
	union semun u = { .array = all };
	TRY(semctl(id, 0, SETALL, u));
	u.array = got;
	TRY(semctl(id, 0, GETALL, u));
	say("%d %d %d", got[0], got[1], got[2]);
	u.val = 7;
	TRY(semctl(id, 1, SETVAL, u));
	TRY(semctl(id, 1, GETVAL));
	TRY(semctl(id, 5, GETVAL));
	u.val = -1;
	TRY(semctl(id, 1, SETVAL, u));
	struct semid_ds d;
	u.buf = &d;
	TRY(semctl(id, 0, IPC_STAT, u));
	say("%d semaphores, mode %o", (int)d.sem_nsems, d.sem_perm.mode);
	struct sembuf take = { 0, -2, 0 }, give = { 0, 2, 0 }, now = { 0, -9, IPC_NOWAIT };
	TRY(semop(id, &now, 1));
	pid_t p = fork();
	if (!p) _exit(semop(id, &take, 1) ? 1 : 0);
	while (semctl(id, 0, GETNCNT) == 0) usleep(1000);
	TRY(semop(id, &give, 1));
	int s;
	waitpid(p, &s, 0);
	say_status("waited", s);
	TRY(semctl(id, 0, GETVAL));
	struct timespec t = { 0, 20000000 };
	TRY(semtimedop(id, &take, 1, &t));
	/* Given back when the process ends. */
	struct sembuf undone = { 2, -3, SEM_UNDO };
	CHILD(({ semop(id, &undone, 1); say("%d", semctl(id, 2, GETVAL)); }));
	TRY(semctl(id, 2, GETVAL));
	/* A signal ends the wait. */
	signal(SIGALRM, (void (*)(int))exit);
	CHILD(({ struct sigaction a = { .sa_handler = (void (*)(int))say_status, .sa_flags = SA_RESTART };
		a.sa_handler = SIG_IGN; sigaction(SIGALRM, &a, 0); alarm(1);
		struct timespec l = { 1, 300000000 }; TRY(semtimedop(id, &take, 1, &l)); }));
	TRY(semctl(id, 0, IPC_RMID));
	TRY(semop(id, &give, 1));
}
static void nothing(int s) { (void)s; }
struct message { long type; char text[32]; };
static void messages(void)
{
	int id = msgget(IPC_PRIVATE, 0600);
	struct message m = { 2, "second" }, got;
	TRY(msgsnd(id, &m, 7, 0));
	m = (struct message){ 1, "first" };
	TRY(msgsnd(id, &m, 6, 0));
	struct msqid_ds d;
	TRY(msgctl(id, IPC_STAT, &d));
	say("%d messages", (int)d.msg_qnum);
	TRY(msgrcv(id, &got, 3, 1, 0));
	TRY(msgrcv(id, &got, 32, 1, 0));
	say("%ld %s", got.type, got.text);
	TRY(msgrcv(id, &got, 3, 0, MSG_NOERROR));
	say("%ld %.3s", got.type, got.text);
	TRY(msgrcv(id, &got, 32, 0, IPC_NOWAIT));
	m.type = 0;
	TRY(msgsnd(id, &m, 1, 0));
	m.type = 1;
	TRY(msgsnd(id, &m, -1, 0));
	pid_t p = fork();
	if (!p) { usleep(20000); m.type = 5; strcpy(m.text, "late"); msgsnd(id, &m, 5, 0); _exit(0); }
	TRY(msgrcv(id, &got, 32, 5, 0));
	say("%s", got.text);
	waitpid(p, 0, 0);
	struct sigaction a = { .sa_handler = nothing, .sa_flags = SA_RESTART };
	sigaction(SIGALRM, &a, 0);
	struct itimerval t = { { 0, 0 }, { 0, 30000 } };
	setitimer(ITIMER_REAL, &t, 0);
	TRY(msgrcv(id, &got, 32, 0, 0));
	TRY(msgctl(id, IPC_RMID, 0));
	TRY(msgsnd(id, &m, 1, 0));
}
int main(void)
{
	shared();
	by_key();
	semaphores();
	messages();
	return 0;
}
