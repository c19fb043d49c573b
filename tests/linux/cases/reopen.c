/* about: Opening what a process has by its name: its standard input, its own descriptors, its program. */
#include "../check.h"
static void shown(const char *what, int f)
{
	char b[8] = "";
	int n = f < 0 ? -1 : read(f, b, 4);
	say("%s: %s %d %s", what, f < 0 ? name_of(errno) : "open", n, n > 0 ? b : "");
	if (f >= 0) close(f);
}
int main(void)
{
	put("f", "12345678");
	int f = open("f", O_RDWR), o = open("f", O_WRONLY | O_APPEND), r = open("f", O_RDONLY);
	char path[32];
	snprintf(path, sizeof path, "/dev/fd/%d", f);
	shown(path, open(path, O_RDONLY));
	snprintf(path, sizeof path, "/proc/self/fd/%d", r);
	shown("read-only again", open(path, O_RDONLY));
	shown("read-only for writing", open(path, O_WRONLY));
	snprintf(path, sizeof path, "/proc/%d/fd/%d", getpid(), o);
	shown("write-only for reading", open(path, O_RDONLY));
	shown("none", open("/dev/fd/77", O_RDONLY));
	shown("no number", open("/dev/fd/x", O_RDONLY));
	/* Standard input is /dev/null here, of another mount than the one at that name. */
	shown("standard input", open("/dev/stdin", O_RDONLY));
	shown("standard input, written", open("/dev/fd/0", O_WRONLY | O_CREAT | O_TRUNC, 0666));
	TRY(fcntl(open("/dev/stdout", O_WRONLY), F_GETFD) >= 0);
	/* The program is what is executed: it can be read, and not written. */
	char own[4096], is[4096];
	int e = open("/proc/self/exe", O_RDONLY), n = readlink("/proc/self/exe", own, sizeof own - 1);
	own[n > 0 ? n : 0] = 0;
	struct stat a, b;
	say("%d", e >= 0 && !fstat(e, &a) && !stat(own, &b) && a.st_ino == b.st_ino);
	(void)is;
	TRY(open("/proc/self/exe", O_WRONLY));
	TRY(open("/proc/self/exe", O_RDWR | O_TRUNC));
	TRY(open("/proc/self/exe", O_PATH) >= 0);
	TRY(open("/proc/self/exe", O_RDONLY | O_NOFOLLOW));
	TRY(open("/proc/self/exe", O_RDONLY | O_CREAT | O_EXCL, 0600));
	TRY(open("/proc/self/exe", O_RDONLY | O_DIRECTORY));
	return 0;
}
