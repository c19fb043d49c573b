/* A program of another toolchain for the interface: its long has 64 bits, as the interface's structures have
 * them, and it needs no C library. Compiled by the test for a target that is so. */
typedef unsigned size_t;
_Static_assert(sizeof(long) == 8 && sizeof(void *) == 4, "64-bit long");

#define CALL(name) __attribute__((__import_module__("wali"), __import_name__("SYS_" #name))) long name
long CALL(write)(int, const void *, size_t);
long CALL(openat)(int, const char *, int, unsigned);
long CALL(fstat)(int, void *);
long CALL(lseek)(int, long, int);
long CALL(mmap)(void *, size_t, int, int, int, long);
long CALL(clock_gettime)(int, void *);
long CALL(nanosleep)(const void *, void *);
long CALL(uname)(void *);
long CALL(exit_group)(int);

struct timespec { long sec, nsec; };
struct stat { unsigned long dev, ino, nlink; unsigned mode, uid, gid, pad; unsigned long rdev; long size; long rest[11]; };

static void check(int ok, int status)
{
	if (!ok) exit_group(status);
}

__attribute__((export_name("_start"))) void start(void)
{
	struct stat s;
	struct timespec before, after, wrong = { 0, 1L << 40 }, some = { 0, 1000 };
	int file = (int)openat(-100, "/tmp/wide", 0102, 0600);
	check(file >= 0, 1);
	check(lseek(file, 5L << 32, 0) == 5L << 32, 2);
	check(write(file, "x", 1) == 1, 3);
	check(fstat(file, &s) == 0 && s.size == (5L << 32) + 1 && s.nlink == 1, 4);
	check(clock_gettime(1, &before) == 0 && nanosleep(&some, 0) == 0 && clock_gettime(1, &after) == 0, 5);
	check(after.sec > before.sec || after.nsec > before.nsec, 6);
	/* All 64 bits of a time count. */
	check(nanosleep(&wrong, 0) == -22, 7);
	long *page = (long *)(size_t)mmap(0, 4096, 3, 0x22, -1, 0);
	check(page[5] == 0, 8);
	page[5] = 1L << 40;
	char names[6][65];
	check(uname(names) == 0 && names[0][0] == 'L', 9);
	write(1, "64-bit long\n", 12);
	exit_group(page[5] == 1L << 40 ? 7 : 10);
}
