/* flags: -pthread */
/* about: Maps at fixed places that fail, moves that fail, and ranges that a child does not get. */
#include "../check.h"
#define PAGE 4096L
#define RW (PROT_READ | PROT_WRITE)
static char *base;
static int at(int fd, int flags, long offset)
{
	void *p = mmap(base + PAGE, PAGE, PROT_READ, flags | MAP_FIXED, fd, offset);
	return p == MAP_FAILED ? -1 : 0;
}
static void touches(char *p) { *(volatile char *)p = 1; }
int main(void)
{
	base = mmap(0, 64 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int pair[2], ends[2];
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	pipe(ends);
	int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET6, SOCK_DGRAM, 0);
	int version = open("/proc/version", O_RDONLY), limits = open("/proc/self/limits", O_RDONLY);
	int folder = open("/", O_RDONLY), null = open("/dev/null", O_RDWR), place = open("/", O_PATH);
	int epoll = epoll_create1(0), event = eventfd(0, 0), timer = timerfd_create(CLOCK_MONOTONIC, 0);
	int watch = inotify_init1(0), set = signalfd(-1, &(sigset_t){ 0 }, 0);
	put("file", "contents");
	int writes = open("file", O_WRONLY), reads = open("file", O_RDONLY);
	TRY(at(pair[0], MAP_PRIVATE, 0));
	TRY(at(pair[0], MAP_SHARED, 0));
	TRY(at(tcp, MAP_PRIVATE, 0));
	TRY(at(udp, MAP_SHARED, 0));
	TRY(at(ends[0], MAP_PRIVATE, 0));
	TRY(at(version, MAP_PRIVATE, 0));
	TRY(at(limits, MAP_SHARED, 0));
	TRY(at(folder, MAP_PRIVATE, 0));
	TRY(at(null, MAP_PRIVATE, 0));
	TRY(at(place, MAP_PRIVATE, 0));
	TRY(at(epoll, MAP_PRIVATE, 0));
	TRY(at(event, MAP_SHARED, 0));
	TRY(at(timer, MAP_PRIVATE, 0));
	TRY(at(watch, MAP_PRIVATE, 0));
	TRY(at(set, MAP_PRIVATE, 0));
	TRY(at(writes, MAP_PRIVATE, 0));
	TRY(at(reads, MAP_SHARED, 1));
	TRY(at(99, MAP_PRIVATE, 0));
	TRY(at(reads, 0, 0));
	TRY(at(reads, MAP_PRIVATE, 0));
	say("%.8s", base + PAGE);
	/* Moves. */
	char *other = mmap(0, 16 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	strcpy(other, "moved");
	TRY(mremap(other, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, other) == MAP_FAILED ? -1 : 0);
	TRY(mremap(base + PAGE, 0, PAGE, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
	TRY(mremap(other, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, base + 8 * PAGE) == base + 8 * PAGE);
	say("%s", base + 8 * PAGE);
	CHILD(touches(other));
	/* What a child does not get. */
	char *secret = mmap(0, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TRY(madvise(secret, 2 * PAGE, MADV_DONTFORK));
	TRY(madvise(secret + PAGE, PAGE, MADV_DOFORK));
	CHILD(touches(secret));
	CHILD(touches(secret + PAGE));
	CHILD(touches(secret + 2 * PAGE));
	touches(secret);
	TRY(mmap(secret, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == secret);
	CHILD(touches(secret));
	TRY(madvise(secret, PAGE, 0x7fff));
	return 0;
}
