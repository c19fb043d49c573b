/* What the policies over the network and over amounts leave to a program. Modes are at the end. */
#include "../../../linux/check.h"

static struct sockaddr_in v4(const char *ip, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	inet_pton(AF_INET, ip, &a.sin_addr);
	return a;
}
static struct sockaddr_in6 v6(const char *ip, int port)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	inet_pton(AF_INET6, ip, &a.sin6_addr);
	return a;
}

/* A socket that a server of ours listens on, and its port. */
static int server(int family, int *port)
{
	int s = socket(family, SOCK_STREAM, 0);
	union { struct sockaddr_in four; struct sockaddr_in6 six; struct sockaddr any; } a;
	socklen_t len = sizeof a;
	if (family == AF_INET) a.four = v4("127.0.0.1", *port);
	else a.six = v6("::1", *port);
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	TRY(bind(s, &a.any, family == AF_INET ? sizeof a.four : sizeof a.six));
	TRY(listen(s, 5));
	getsockname(s, &a.any, &len);
	*port = ntohs(a.four.sin_port);
	return s;
}

static int by(int call, int family, int type, struct sockaddr *a, socklen_t len)
{
	int s = socket(family, type, 0), r = -1;
	if (s < 0) return -1;
	struct iovec v = { "x", 1 };
	struct mmsghdr m = { .msg_hdr = { .msg_name = a, .msg_namelen = len, .msg_iov = &v, .msg_iovlen = 1 } };
	if (call == 0) r = connect(s, a, len);
	if (call == 1) r = sendto(s, "x", 1, MSG_NOSIGNAL, a, len);
	if (call == 2) r = sendmsg(s, &m.msg_hdr, 0);
	if (call == 3) r = sendmmsg(s, &m, 1, 0);
	if (call == 4) r = bind(s, a, len);
	if (call == 5) r = bind(s, a, len) ? -1 : listen(s, 1);
	int e = errno;
	close(s);
	errno = e;
	return r < 0 ? -1 : 0;
}
static int to4(int call, int type, const char *ip, int port)
{
	struct sockaddr_in a = v4(ip, port);
	return by(call, AF_INET, type, (void *)&a, sizeof a);
}
static int to6(int call, int type, const char *ip, int port)
{
	struct sockaddr_in6 a = v6(ip, port);
	return by(call, AF_INET6, type, (void *)&a, sizeof a);
}
/* An address without a family is one of IPv4 in messages. */
static int no_family(int call, int type, const char *ip, int port)
{
	struct sockaddr_in a = v4(ip, port);
	a.sin_family = AF_UNSPEC;
	return by(call, AF_INET, type, (void *)&a, sizeof a);
}
static int routed(void)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	unsigned char option[] = { 0x83, 7, 4, 192, 0, 2, 1, 0 };
	return setsockopt(s, IPPROTO_IP, IP_OPTIONS, option, sizeof option);
}
static int routed_message(void)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in a = v4("127.0.0.1", 9);
	struct iovec v = { "x", 1 };
	char control[CMSG_SPACE(8)] = { 0 };
	struct msghdr m = { .msg_name = &a, .msg_namelen = sizeof a, .msg_iov = &v, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof control };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_RETOPTS;
	c->cmsg_len = CMSG_LEN(8);
	memcpy(CMSG_DATA(c), (unsigned char[]){ 0x83, 7, 4, 192, 0, 2, 1, 0 }, 8);
	return sendmsg(s, &m, 0) < 0 ? -1 : 0;
}
static int listen_anywhere(void)
{
	int s = socket(AF_INET, SOCK_STREAM, 0);
	return listen(s, 1);
}
static int listen_on_any_port(void)
{
	int s = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in a = v4("0.0.0.0", 0);
	return bind(s, (void *)&a, sizeof a) ? -1 : listen(s, 1);
}

/* Two threads race: one changes the address that the other gives. */
static struct sockaddr_in shared;
static void *flip(void *unused)
{
	(void)unused;
	for (;;) {
		*(volatile uint32_t *)&shared.sin_addr.s_addr = htonl(0x7f000001);
		*(volatile uint32_t *)&shared.sin_addr.s_addr = htonl(0x7f000002);
	}
	return NULL;
}

/* Only 127.0.0.1:PORT is allowed; a server of the test's listens on 127.0.0.2:PORT. */
static void race(int port, long rounds)
{
	pthread_t t;
	shared = v4("127.0.0.1", port);
	pthread_create(&t, NULL, flip, NULL);
	int refused = 0, sent = 0, other = 0;
	for (long n = 0; n < rounds; n++) {
		int s = socket(AF_INET, SOCK_DGRAM, 0);
		struct sockaddr_in peer;
		socklen_t len = sizeof peer;
		if (connect(s, (void *)&shared, sizeof shared) == 0) {
			sent = 1;
			getpeername(s, (void *)&peer, &len);
			if (peer.sin_addr.s_addr != htonl(0x7f000001)) other++;
		} else if (errno == EACCES) refused = 1;
		close(s);
	}
	say("sent %d refused %d other %d", sent, refused, other);
	_exit(0);
}

static void network(int port)
{
	TRY(socket(AF_NETLINK, SOCK_RAW, 0));
	TRY(socket(AF_PACKET, SOCK_RAW, 0));
	TRY(socket(AF_INET, SOCK_RAW, 1));
	TRY(socket(AF_INET6, SOCK_RAW, 58));
	TRY(socket(AF_INET, SOCK_PACKET, 3));
	TRY(socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
	TRY(socket(AF_INET, SOCK_STREAM, 0) >= 0);
	TRY(socket(AF_INET, SOCK_STREAM, 262));
	TRY(to4(0, SOCK_STREAM, "127.0.0.1", port));
	TRY(to4(0, SOCK_DGRAM, "127.0.0.1", port));
	TRY(to4(0, SOCK_STREAM, "0.0.0.0", port));
	TRY(to4(0, SOCK_DGRAM, "192.0.2.1", 53));
	TRY(to4(1, SOCK_DGRAM, "192.0.2.1", 53));
	TRY(to4(2, SOCK_DGRAM, "192.0.2.1", 53));
	TRY(to4(3, SOCK_DGRAM, "192.0.2.1", 53));
	TRY(to4(1, SOCK_STREAM, "192.0.2.1", 53));
	TRY(no_family(1, SOCK_DGRAM, "192.0.2.1", 53));
	TRY(no_family(0, SOCK_DGRAM, "192.0.2.1", 53));
	TRY(to6(0, SOCK_DGRAM, "::ffff:192.0.2.1", 53));
	TRY(to6(1, SOCK_DGRAM, "::ffff:192.0.2.1", 53));
	TRY(to6(0, SOCK_DGRAM, "2001:db8::1", 53));
	TRY(to6(0, SOCK_DGRAM, "::1", 53));
	TRY(to4(4, SOCK_DGRAM, "127.0.0.1", 0));
	TRY(to4(4, SOCK_DGRAM, "0.0.0.0", 0));
	TRY(to4(4, SOCK_DGRAM, "0.0.0.0", port));
	TRY(no_family(4, SOCK_DGRAM, "0.0.0.0", port));
	TRY(to4(5, SOCK_STREAM, "127.0.0.1", 0));
	TRY(listen_anywhere());
	TRY(listen_on_any_port());
	TRY(to6(5, SOCK_STREAM, "::1", 0));
	TRY(to6(5, SOCK_STREAM, "::", 0));
	TRY(routed());
	TRY(routed_message());
}

static void echo(void)
{
	int port = 0, s = server(AF_INET, &port);
	struct sockaddr_in a = v4("127.0.0.1", port);
	int c = socket(AF_INET, SOCK_STREAM, 0);
	TRY(connect(c, (void *)&a, sizeof a));
	int d = accept(s, NULL, NULL);
	char text[8] = "";
	TRY(write(c, "hello", 5));
	TRY(read(d, text, 5));
	say("%s", text);
}

static void processes(void)
{
	int made = 0, error = 0;
	pid_t last = 0;
	for (int n = 0; n < 100; n++) {
		pid_t p = fork();
		if (p < 0) { error = errno; break; }
		if (!p) for (;;) pause();
		last = p;
		made++;
	}
	say("made %d, then %s", made, name_of(error));
	/* One that is killed makes room for another. */
	kill(last, SIGKILL);
	waitpid(last, NULL, 0);
	pid_t p = fork();
	if (!p) _exit(7);
	int status;
	waitpid(p, &status, 0);
	say_status("another", status);
	for (int n = 0; n < 200; n++) {
		p = fork();
		if (!p) _exit(0);
		if (p < 0) { say("after %d: %s", n, name_of(errno)); break; }
		waitpid(p, NULL, 0);
	}
	kill(0, SIGTERM);
}

static void bomb(void)
{
	for (;;) fork();
}

static void *wait_for_ever(void *unused) { for (;;) pause(); return unused; }
static void threads(void)
{
	int made = 1, error;
	pthread_t t;
	while (!(error = pthread_create(&t, NULL, wait_for_ever, NULL)) && made < 1000) made++;
	say("threads %d, then %s", made, name_of(error));
	pthread_cancel(t);
	pthread_join(t, NULL);
	/* It has ended for the program a little before it has for the kernel. */
	for (int n = 0; n < 100 && (error = pthread_create(&t, NULL, wait_for_ever, NULL)); n++) pause_ms(10);
	say("another: %s", name_of(error));
}

static void files(long most)
{
	long opened = 0;
	int last = 0;
	for (int fd = 0; fd < most; fd++) opened += fcntl(fd, F_GETFD) >= 0;
	for (;;) {
		int fd = open("/dev/null", O_RDONLY);
		if (fd < 0) break;
		opened++;
		last = fd;
	}
	say("opened %s: %s", opened == most ? "all" : "too few", name_of(errno));
	say("last %d", last);
	struct rlimit l = { 1 << 21, 1 << 21 };
	TRY(setrlimit(RLIMIT_NOFILE, &l));
}

static void file_size(void)
{
	signal(SIGXFSZ, SIG_IGN);
	char block[4096] = { 0 };
	int fd = open("/w/big", O_CREAT | O_WRONLY, 0600);
	long size = 0, n;
	while ((n = write(fd, block, sizeof block)) > 0) size += n;
	say("wrote %ld: %s", size, name_of(errno));
	TRY(ftruncate(fd, 1 << 30));
	TRY(fallocate(fd, 0, 0, 1 << 30));
	struct rlimit l = { RLIM_INFINITY, RLIM_INFINITY };
	TRY(setrlimit(RLIMIT_FSIZE, &l));
}

static void memory(void)
{
	long got = 0;
	while (got < 4096 && mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) got++;
	say("mapped %s: %s", got < 64 ? "less than 64 MiB" : "more", name_of(errno));
}

/* Does all that could keep a limit from being noticed. */
static void stubborn(int busy)
{
	sigset_t all;
	sigfillset(&all);
	for (int s = 1; s < 65; s++) signal(s, SIG_IGN);
	sigprocmask(SIG_BLOCK, &all, NULL);
	alarm(0);
	struct itimerval none = { 0 };
	for (int i = 0; i < 3; i++) setitimer(i, &none, NULL);
	for (long i = 0; i < 8; i++) syscall(SYS_timer_delete, i);
	say("begins");
	for (volatile long n = 0;; n++) if (!busy) pause_ms(50);
}

/* Tries to write to the audit's stream, to end it, and to put another file in its place. */
static void audit(char *self)
{
	/* Every number: a listing does not show the vkernel's. */
	int forged = 0, found = 0;
	for (int n = 0; n < 2048; n++) {
		char path[64], target[PATH_MAX] = "";
		snprintf(path, sizeof path, "/proc/self/fd/%d", n);
		readlink(path, target, sizeof target - 1);
		if (strcmp(target, "/tmp/audit")) continue;
		int fd = open(path, O_WRONLY | O_APPEND);
		found++;
		if (fd >= 0 && write(fd, "FORGED\n", 7) == 7) forged++;
		close(fd);
		close(n);
		dup2(1, n);
	}
	say("tried %s, forged %d", found ? "some" : "none", forged);
	TRY(open("/tmp/audit", O_WRONLY | O_APPEND));
	TRY(truncate("/tmp/audit", 0));
	/* What is written from here on would not fit, nor could the limit be raised again. */
	struct rlimit l = { 10, 10 };
	TRY(setrlimit(RLIMIT_FSIZE, &l));
	char *argv[] = { self, "echo", NULL };
	execv(self, argv);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	long n = argc > 2 ? atol(argv[2]) : 0;
	if (!strcmp(mode, "network")) network(n);
	else if (!strcmp(mode, "echo")) echo();
	else if (!strcmp(mode, "race")) race(n, 20000);
	else if (!strcmp(mode, "processes")) processes();
	else if (!strcmp(mode, "bomb")) bomb();
	else if (!strcmp(mode, "threads")) threads();
	else if (!strcmp(mode, "files")) files(n);
	else if (!strcmp(mode, "file-size")) file_size();
	else if (!strcmp(mode, "memory")) memory();
	else if (!strcmp(mode, "audit")) audit("/usr/bin/limits");
	else if (!strcmp(mode, "sleep")) stubborn(0);
	else if (!strcmp(mode, "work")) stubborn(1);
	else if (!strcmp(mode, "child")) {
		if (!fork()) stubborn(0);
		stubborn(0);
	}
	return 0;
}
