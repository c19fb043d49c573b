/* Tries what a hostile guest would. Modes are at the end; each says what every attempt came to. */
#include "../../../linux/check.h"

/* Races: a thread puts one descriptor, then another one, under a number that is judged and used. */
static int allowed, forbidden, swapped;
static volatile int stop;
static void *swap(void *unused)
{
	while (!stop) {
		dup2(forbidden, swapped);
		dup2(allowed, swapped);
	}
	return unused;
}
static long long mark_of(int fd)
{
	struct stat s;
	fstat(fd, &s);
	char value[8] = "";
	long attribute = fgetxattr(fd, "user.mark", value, 8);
	return s.st_mode * 1000003LL + s.st_uid * 10007LL + s.st_mtime * 17 + s.st_nlink * 3 + attribute;
}
typedef long attempt(void);
static long a_fchmod(void) { return fchmod(swapped, 0666); }
static long a_fchown(void) { return fchown(swapped, 7, 7); }
static long a_fsetxattr(void) { return fsetxattr(swapped, "user.mark", "x", 1, 0); }
static long a_fremovexattr(void) { return fremovexattr(swapped, "user.there"); }
static long a_futimens(void) { return futimens(swapped, (struct timespec[2]){ { 5, 5 }, { 5, 5 } }); }
static long a_fchownat(void) { return syscall(SYS_fchownat, swapped, "", 8, 8, AT_EMPTY_PATH); }
static long a_fchmodat2(void) { return syscall(452, swapped, "", 0606, AT_EMPTY_PATH); }
static long a_linkat(void)
{
	static int n;
	char name[32];
	snprintf(name, 32, "/w/link%d", n++);
	return linkat(swapped, "", AT_FDCWD, name, AT_EMPTY_PATH);
}
static long a_by_link(void)
{
	char link[64];
	snprintf(link, 64, "/proc/self/fd/%d", swapped);
	return chmod(link, 0666);
}
static long a_write(void)
{
	char link[64];
	snprintf(link, 64, "/proc/self/fd/%d", swapped);
	int fd = open(link, O_WRONLY | O_TRUNC);
	if (fd >= 0) close(fd);
	return fd < 0 ? -1 : 0;
}
static void race(const char *name, attempt *try)
{
	long long before = mark_of(forbidden);
	stop = 0;
	pthread_t thread;
	pthread_create(&thread, 0, swap, 0);
	long done = 0, calls = 0;
	struct timespec start, now;
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		for (int i = 0; i < 100; i++) {
			calls++;
			if (!try()) done++;
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < 700);
	stop = 1;
	pthread_join(thread, 0);
	say("%s: %s, %s", name, calls ? "tried" : "not tried", before == mark_of(forbidden) ? "unchanged" : "CHANGED");
	(void)done;
}
static int races(void)
{
	int at = open("/w/own", O_RDWR | O_CREAT, 0600);
	allowed = at;
	forbidden = open("/g/file", O_RDONLY);
	swapped = dup(allowed);
#define RACE(name) race(#name, a_##name)
	RACE(fchmod);
	RACE(fchown);
	RACE(fsetxattr);
	RACE(fremovexattr);
	RACE(futimens);
	RACE(fchownat);
	RACE(fchmodat2);
	RACE(linkat);
	RACE(by_link);
	RACE(write);
	return 0;
}

/* What is hidden, looked at through a number that is swapped. `forbidden` comes from outside, as 5. */
static int hidden(void)
{
	allowed = open("/w", O_RDONLY);
	forbidden = 5;
	swapped = dup(allowed);
	struct stat mine, secret, s;
	fstat(allowed, &mine);
	if (fstat(forbidden, &secret) == 0) say("the hidden one is seen without a race");
	stop = 0;
	pthread_t thread;
	pthread_create(&thread, 0, swap, 0);
	long seen = 0;
	for (int i = 0; i < 20000; i++) {
		struct statfs f;
		struct { long long all[32]; } x;
		if (!fstat(swapped, &s) && s.st_ino != mine.st_ino) seen++;
		if (!fstatat(swapped, "", &s, AT_EMPTY_PATH) && s.st_ino != mine.st_ino) seen++;
		if (!syscall(SYS_statx, swapped, "", AT_EMPTY_PATH, 0x7ff, &x) && x.all[4] != (long long)mine.st_ino) seen++;
		(void)fstatfs(swapped, &f);
		if (!fchdir(swapped)) {
			if (!stat(".", &s) && s.st_ino != mine.st_ino) seen++;
			chdir("/w");
		}
	}
	stop = 1;
	pthread_join(thread, 0);
	say("hidden: %s", seen ? "SEEN" : "unseen");
	return 0;
}

/* Listening where the policy does not allow it: by another socket, and by another state of the same one. */
static int listening(int fd)
{
	int on = 0;
	socklen_t len = sizeof on;
	getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len);
	return on;
}
static volatile int same;
static void *disconnects(void *unused)
{
	struct sockaddr_in loop = { .sin_family = AF_INET, .sin_port = htons(1), .sin_addr.s_addr = htonl(0x7f000001) };
	struct sockaddr_in none = { .sin_family = AF_UNSPEC };
	while (!stop) {
		connect(same, (void *)&loop, sizeof loop);
		connect(same, (void *)&none, sizeof none);
	}
	return unused;
}
static int listens(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001) };
	allowed = socket(AF_INET, SOCK_STREAM, 0);
	forbidden = socket(AF_INET, SOCK_STREAM, 0);
	TRY(bind(allowed, (void *)&a, sizeof a));
	a.sin_addr.s_addr = 0;
	TRY(bind(forbidden, (void *)&a, sizeof a));
	TRY(listen(forbidden, 1));
	swapped = dup(allowed);
	pthread_t thread;
	pthread_create(&thread, 0, swap, 0);
	int bad = 0;
	for (int i = 0; i < 60000 && !bad; i++) {
		listen(swapped, 1);
		if (i % 100 == 0) bad = listening(forbidden);
	}
	stop = 1;
	pthread_join(thread, 0);
	say("another socket: %s", bad || listening(forbidden) ? "LISTENS" : "does not listen");
	stop = bad = 0;
	same = socket(AF_INET, SOCK_STREAM, 0);
	pthread_create(&thread, 0, disconnects, 0);
	for (int i = 0; i < 30000; i++) {
		listen(same, 1);
		struct sockaddr_in own = { 0 };
		socklen_t len = sizeof own;
		getsockname(same, (void *)&own, &len);
		if (listening(same) && own.sin_addr.s_addr != htonl(0x7f000001) && listening(same)) {
			struct timespec moment = { 0, 2000000 };
			nanosleep(&moment, 0);
			bad += listening(same);
		}
	}
	stop = 1;
	pthread_join(thread, 0);
	say("the same socket: %s", bad ? "LISTENS" : "does not listen");
	return 0;
}

/* Objects that are no plain files. */
static char where[64];
static const char *child_file(pid_t child, const char *name)
{
	snprintf(where, 64, "/proc/%d/%s", child, name);
	return where;
}
static int opens(const char *path, int flags)
{
	int fd = open(path, flags);
	if (fd >= 0) close(fd);
	return fd < 0 ? -1 : 0;
}
/* What is masked is empty. */
static long reads(const char *path)
{
	char byte;
	int fd = open(path, O_RDONLY);
	long len = fd < 0 ? -1 : read(fd, &byte, 1);
	if (fd >= 0) close(fd);
	return len;
}
static void *in_thread(void *unused)
{
	TRY(opens("/proc/self/mem", O_RDONLY));
	TRY(opens("/proc/thread-self/maps", O_RDONLY));
	TRY(opens("/proc/thread-self/syscall", O_RDONLY));
	TRY(opens("/proc/self/smaps", O_RDONLY));
	chdir("/proc/self");
	TRY(opens("mem", O_RDONLY));
	TRY(opens("auxv", O_RDONLY));
	TRY(opens("/proc/self/cwd/pagemap", O_RDONLY));
	chdir("/w");
	return unused;
}
static int objects(void)
{
	pid_t child = fork();
	if (!child) {
		pause();
		_exit(0);
	}
	static const char *const names[] = { "mem", "smaps", "smaps_rollup", "numa_maps", "pagemap", "auxv", "syscall",
		"stack", "map_files", 0 };
	for (const char *const *name = names; *name; name++)
		for (int other = 0; other < 2; other++) {
			int r = opens(child_file(other ? child : getpid(), *name), O_RDONLY);
			say("%s of %s: %s", *name, other ? "a child" : "itself", r ? name_of(errno) : "OPENED");
		}
	TRY(opens(child_file(child, "maps"), O_RDONLY));
	TRY(opens(child_file(child, "mem"), O_RDWR));
	TRY(opens(child_file(child, "task"), O_RDONLY));
	symlink("/proc/self/mem", "/w/link");
	TRY(opens("/w/link", O_RDONLY));
	int folder = open("/proc/self", O_RDONLY | O_DIRECTORY), place = open("/proc/self/mem", O_PATH);
	TRY(openat(folder, "mem", O_RDONLY));
	snprintf(where, 64, "/proc/self/fd/%d", place);
	TRY(opens(where, O_RDONLY));
	snprintf(where, 64, "/proc/self/task/%d/mem", getpid());
	TRY(opens(where, O_RDONLY));
	/* What is shown instead has no address of the host's. */
	char text[16384];
	int fd = open("/proc/self/maps", O_RDONLY);
	long len = read(fd, text, sizeof text - 1);
	text[len < 0 ? 0 : len] = 0;
	int lines = 0, wide = 0;
	for (char *line = strtok(text, "\n"); line; line = strtok(0, "\n")) {
		lines++;
		if (line[8] != '-' || line[17] != ' ') wide++;
	}
	say("own map: %s, %s", lines > 0 ? "there" : "empty", wide ? "ADDRESSES" : "the guest's");
	fd = open("/proc/self/stat", O_RDONLY);
	len = read(fd, text, sizeof text - 1);
	text[len < 0 ? 0 : len] = 0;
	char *rest = strrchr(text, ')');
	int field = 2, addresses = 0;
	for (char *word = strtok(rest ? rest + 1 : text, " \n"); word; word = strtok(0, " \n")) {
		field++;
		if (((field >= 26 && field <= 30) || field >= 45) && field < 52 && strcmp(word, "0")) addresses++;
	}
	say("stat: %s, %s", field == 52 ? "whole" : "cut", addresses ? "ADDRESSES" : "no addresses");
	/* Host-wide entries. */
	TRY(chmod("/proc/vmallocinfo", 0644));
	TRY(chown("/proc/vmallocinfo", 1000, 1000));
	TRY(lchown("/proc/vmallocinfo", 1000, 1000));
	TRY(chmod("/proc/sys/kernel/hostname", 0666));
	TRY(fchmod(open("/proc/version", O_RDONLY), 0666));
	TRY(fchown(open("/proc/version", O_RDONLY), 1, 1));
	TRY(utimensat(AT_FDCWD, "/proc/version", 0, 0));
	TRY(setxattr("/proc/version", "user.x", "x", 1, 0));
	TRY(chmod("/dev/null", 0600));
	TRY(chown("/dev/zero", 1, 1));
	TRY(lchown("/dev/zero", 1, 1));
	TRY(fchmod(open("/dev/null", O_RDWR), 0600));
	TRY(syscall(SYS_fchmodat, AT_FDCWD, "/dev/full", 0600));
	TRY(utimensat(AT_FDCWD, "/dev/null", 0, AT_SYMLINK_NOFOLLOW));
	TRY(opens("/proc/sys/kernel/hostname", O_WRONLY));
	TRY(opens("/proc/sysrq-trigger", O_WRONLY));
	TRY(reads("/proc/kcore"));
	TRY(reads("/proc/kallsyms"));
	TRY(mknod("/w/disk", S_IFBLK | 0600, 0x800));
	TRY(mknod("/w/mem", S_IFCHR | 0600, 0x101));
	TRY(mknod("/w/kmsg", S_IFCHR | 0600, 0x10b));
	TRY(mknod("/w/null", S_IFCHR | 0600, 0x103));
	TRY(mkfifo("/w/fifo", 0600));
	pthread_t thread;
	pthread_create(&thread, 0, in_thread, 0);
	pthread_join(thread, 0);
	/* The vkernel's own descriptors, by the links that lead to them. */
	int reached = 0;
	for (int n = 900; n < 1100; n++) {
		snprintf(where, 64, "/proc/self/fd/%d", n);
		if (!chmod(where, 0777)) reached++;
		if (!chown(where, 7, 7)) reached++;
		if (!truncate(where, 0)) reached++;
		if (!utimensat(AT_FDCWD, where, 0, 0)) reached++;
		if (!setxattr(where, "user.x", "x", 1, 0)) reached++;
		if (!opens(where, O_WRONLY | O_APPEND)) reached++;
		if (!linkat(AT_FDCWD, where, AT_FDCWD, "/w/own", AT_SYMLINK_FOLLOW)) reached++;
	}
	say("the vkernel's own: %s", reached ? "REACHED" : "out of reach");
	kill(child, SIGKILL);
	return 0;
}

/* Sockets that are none of those that policies know. */
static int sockets(void)
{
	static const struct { int family, type, protocol; } all[] = {
		{ AF_INET, SOCK_SEQPACKET, 0 }, { AF_INET, SOCK_SEQPACKET, 132 }, { AF_INET, SOCK_STREAM, 132 },
		{ AF_INET6, SOCK_SEQPACKET, 0 }, { AF_INET6, SOCK_STREAM, 132 }, { AF_INET, SOCK_STREAM, 262 },
		{ AF_INET, SOCK_DGRAM, 136 }, { AF_INET, SOCK_DGRAM, 33 }, { AF_INET, 6, 33 }, { AF_INET, SOCK_RAW, 255 },
		{ AF_INET, SOCK_RDM, 0 }, { AF_INET, 10, 3 }, { AF_NETLINK, SOCK_RAW, 0 }, { AF_PACKET, SOCK_DGRAM, 0 },
		{ 40, SOCK_STREAM, 0 }, { 38, SOCK_SEQPACKET, 0 }, { 30, SOCK_STREAM, 0 }, { 41, SOCK_DGRAM, 0 },
		{ 16, SOCK_DGRAM, 15 }, { 44, SOCK_RAW, 0 }, { 21, SOCK_SEQPACKET, 0 }, { AF_UNIX, SOCK_RDM, 0 },
		{ AF_UNIX, SOCK_STREAM, 6 }, { -1, -1, -1 },
	};
	int made = 0, pair[2];
	for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
		if (socket(all[i].family, all[i].type, all[i].protocol) >= 0) {
			say("MADE %d %d %d", all[i].family, all[i].type, all[i].protocol);
			made++;
		}
		if (!socketpair(all[i].family, all[i].type, all[i].protocol, pair)) {
			say("PAIR %d %d %d", all[i].family, all[i].type, all[i].protocol);
			made++;
		}
	}
	say("%s", made ? "BAD" : "none of them");
	/* The host kernel would write to an address in the value. */
	int tcp = socket(AF_INET, SOCK_STREAM, 0);
	char value[64] = "";
	socklen_t size = sizeof value;
	TRY(getsockopt(tcp, IPPROTO_TCP, 35, value, &size));
	TRY(setsockopt(tcp, IPPROTO_TCP, 35, value, size));
	TRY(setsockopt(tcp, IPPROTO_IP, 64, value, size));
	TRY(getsockopt(tcp, IPPROTO_IP, 1024 + 64, value, &size));
	TRY(getsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, value, &size));
	TRY(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP) >= 0);
	TRY(socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, IPPROTO_UDP) >= 0);
	TRY(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	return 0;
}

/* Outlives its limits if it can: standard error, and the audit's stream, are pipes that nobody reads. */
static void fill(int fd)
{
	static char text[65536];
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	while (write(fd, text, sizeof text) > 0) ;
	while (write(fd, text, 1) > 0) ;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
}
static void *writes(void *unused)
{
	for (;;) (void)!write(2, "x", 1);
	return unused;
}
static volatile unsigned long sum;
static int outlives(const char *how)
{
	int ends[2];
	pipe(ends);
	fill(ends[1]);
	pthread_t thread;
	sigset_t all;
	sigfillset(&all);
	if (strchr(how, 'e')) dup2(ends[1], 2);
	if (strchr(how, 't')) pthread_create(&thread, 0, writes, 0);
	if (strchr(how, 'm')) sigprocmask(SIG_BLOCK, &all, 0);
	if (strchr(how, 'd')) for (int id = 0; id < 64; id++) {
		struct itimerspec never = { 0 };
		syscall(SYS_timer_settime, id, 0, &never, 0);
		syscall(SYS_timer_delete, id);
	}
	if (strchr(how, 'k')) for (int tid = getpid(); tid < getpid() + 20; tid++) {
		for (int s = 1; s < 65; s++)
			if (s != SIGKILL && s != SIGSTOP && s != SIGSEGV && tid != getpid()) syscall(SYS_tgkill, getpid(), tid, s);
	}
	if (strchr(how, 's')) kill(getpid(), SIGSTOP);
	if (strchr(how, 'w')) for (;;) (void)!write(ends[1], "x", 1);
	if (strchr(how, 'p')) for (;;) pause();
	for (;;) sum++;
	return 0;
}

/* A second table of descriptors would keep what the vkernel held in the first while it was copied. */
static void *unshares(void *unused)
{
	for (long flags = 2; flags <= 6; flags += 4) TRY(syscall(SYS_close_range, 900L, 901L, flags));
	TRY(unshare(CLONE_FILES));
	TRY(close(50));
	return unused;
}
static int tables(void)
{
	pthread_t thread;
	dup2(1, 50);
	pthread_create(&thread, 0, unshares, 0);
	pthread_join(thread, 0);
	TRY(fcntl(50, F_GETFD));
	return 0;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	if (!strcmp(mode, "races")) return races();
	if (!strcmp(mode, "hidden")) return hidden();
	if (!strcmp(mode, "listens")) return listens();
	if (!strcmp(mode, "objects")) return objects();
	if (!strcmp(mode, "sockets")) return sockets();
	if (!strcmp(mode, "tables")) return tables();
	if (!strcmp(mode, "outlives") && argc > 2) return outlives(argv[2]);
	return 2;
}
