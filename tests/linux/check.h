/* What all cases share: they say what they observe, in lines that must be equal in both worlds. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

/* One write a line: no buffer that fork could double. */
__attribute__((unused, format(printf, 1, 2))) static void say(const char *format, ...)
{
	char line[4096];
	va_list args;
	va_start(args, format);
	int len = vsnprintf(line, sizeof line - 1, format, args);
	va_end(args);
	if (len > (int)sizeof line - 2) len = sizeof line - 2;
	line[len++] = '\n';
	if (write(1, line, len) != len) _exit(99);
}

__attribute__((unused)) static const char *name_of(int error)
{
#define NAMES \
	X(EPERM) X(ENOENT) X(ESRCH) X(EINTR) X(EIO) X(ENXIO) X(E2BIG) X(ENOEXEC) X(EBADF) X(ECHILD) \
	X(EAGAIN) X(ENOMEM) X(EACCES) X(EFAULT) X(ENOTBLK) X(EBUSY) X(EEXIST) X(EXDEV) X(ENODEV) \
	X(ENOTDIR) X(EISDIR) X(EINVAL) X(ENFILE) X(EMFILE) X(ENOTTY) X(ETXTBSY) X(EFBIG) X(ENOSPC) \
	X(ESPIPE) X(EROFS) X(EMLINK) X(EPIPE) X(EDOM) X(ERANGE) X(EDEADLK) X(ENAMETOOLONG) \
	X(ENOLCK) X(ENOSYS) X(ENOTEMPTY) X(ELOOP) X(ENODATA) X(EOVERFLOW) X(ENOTSOCK) \
	X(EDESTADDRREQ) X(EMSGSIZE) X(EPROTOTYPE) X(ENOPROTOOPT) X(EPROTONOSUPPORT) \
	X(EOPNOTSUPP) X(EAFNOSUPPORT) X(EADDRINUSE) X(EADDRNOTAVAIL) X(ENETUNREACH) \
	X(ECONNABORTED) X(ECONNRESET) X(ENOBUFS) X(EISCONN) X(ENOTCONN) X(ETIMEDOUT) \
	X(ECONNREFUSED) X(EALREADY) X(EINPROGRESS) X(ESTALE) X(ECANCELED) X(EOWNERDEAD) \
	X(ENOTRECOVERABLE) X(ESOCKTNOSUPPORT) X(ETOOMANYREFS)
	switch (error) {
#define X(name) case name: return #name;
	NAMES
#undef X
	}
	static char other[16];
	snprintf(other, sizeof other, "%d", error);
	return error ? other : "-";
}

__attribute__((unused)) static long long tried(const char *what, long long result, int error)
{
	if (result == -1) say("%s: %s", what, name_of(error));
	else say("%s: %lld", what, result);
	return result;
}

/* Evaluates a call and says its result or error. */
#define TRY(call) ({ errno = 0; long long r_ = (long long)(call); int e_ = errno; tried(#call, r_, e_); r_; })
/* The same for calls that give 0 or an error number. */
#define TRY0(call) ({ int e_ = (call); say("%s: %s", #call, name_of(e_)); e_; })
/* The same for calls that give a pointer. */
#define TRYP(call) ({ errno = 0; char *r_ = (char *)(call); int e_ = errno; \
	int bad_ = !r_ || r_ == (char *)MAP_FAILED; \
	say("%s: %s", #call, bad_ ? name_of(e_) : "pointer"); bad_ ? NULL : (void *)r_; })

__attribute__((unused)) static void say_status(const char *what, int status)
{
	if (WIFEXITED(status)) say("%s: exit %d", what, WEXITSTATUS(status));
	else if (WIFSIGNALED(status)) say("%s: signal %d", what, WTERMSIG(status));
	else if (WIFSTOPPED(status)) say("%s: stopped %d", what, WSTOPSIG(status));
	else if (WIFCONTINUED(status)) say("%s: continued", what);
	else say("%s: status %x", what, status);
}

/* Runs a function in a child and says how that ended; what the child says on stderr is dropped. */
#define CHILD(function) ({ pid_t p_ = fork(); int s_ = -1; \
	if (p_ == 0) { int n_ = open("/dev/null", O_WRONLY); if (n_ >= 0) dup2(n_, 2); \
		function; _exit(0); } \
	waitpid(p_, &s_, 0); say_status(#function, s_); s_; })

__attribute__((unused)) static void put(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) < 0) say("put %s: %s", path, name_of(errno));
	close(fd);
}

__attribute__((unused)) static void show(const char *path)
{
	char text[2048];
	int fd = open(path, O_RDONLY);
	long len = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (len < 0) { say("show %s: %s", path, name_of(errno)); if (fd >= 0) close(fd); return; }
	text[len] = 0;
	for (char *c = text; *c; c++) if (*c == '\n') *c = '|';
	say("show %s: %ld `%s'", path, len, text);
	close(fd);
}

__attribute__((unused)) static void pause_ms(int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };
	while (nanosleep(&t, &t) && errno == EINTR) ;
}
