/* Tries every system call that takes a path on what a policy guards, by every way that leads there,
   and says what each call came to. Modes are at the end. */
#include "../../../linux/check.h"
#include <sys/fsuid.h>
#include <utime.h>

/* Different results of one call, in the order they came. */
static char results[512];

static void begin(void) { results[0] = 0; }

static void note(long result)
{
	const char *name = result < 0 ? name_of(errno) : "ok";
	char padded[64], all[600];
	snprintf(padded, sizeof padded, " %s ", name);
	snprintf(all, sizeof all, " %s ", results);
	if (strstr(all, padded)) return;
	snprintf(all, sizeof all, "%s%s%s", results, *results ? " " : "", name);
	strcpy(results, all);
}

static void end(const char *name) { say("%s: %s", name, results); }

/* A path of the guarded file and of the folder it is in, spelt in one way. */
struct way { const char *file, *folder; };

static struct way ways[32];
static int count;

static char *join(const char *a, const char *b, const char *c)
{
	char *s = malloc(PATH_MAX);
	snprintf(s, PATH_MAX, "%s%s%s", a, b, c);
	return s;
}

/* FILE is FOLDER/NAME, both absolute; MORE are other spellings of the folder. */
static void find_ways(const char *folder, const char *name, char **more)
{
	mkdir("/w/way", 0777);
	symlink(folder, "/w/way/folder");
	symlink(join("../..", folder, ""), "/w/way/relative");
	const char *folders[] = {
		folder, join("/", folder, ""), join("/w/..", folder, ""), "/w/way/folder", "/w/way/relative",
		join("/proc/self/root", folder, ""), join("/proc/self/cwd/..", folder, ""),
		join("/proc/thread-self/root/w/.", "./", folder + 1), join("..", folder, ""),
	};
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
		ways[count++] = (struct way){ join(folders[i], "/", name), folders[i] };
	for (; *more && count < (int)(sizeof ways / sizeof *ways); more++)
		ways[count++] = (struct way){ join(*more, "/", name), *more };
}

/* Evaluates a call for every way; FILE and FOLDER are its paths there. */
#define T(name, call) do { begin(); \
	for (int w_ = 0; w_ < count; w_++) { \
		const char *PATH = ways[w_].file, *FOLDER = ways[w_].folder; (void)FOLDER; (void)PATH; \
		errno = 0; note((long)(call)); } \
	end(#name); } while (0)

#define NEW join(FOLDER, "/", "new")
#define DIRECTORY join(FOLDER, "/", "dir")
#define LINK join(FOLDER, "/", "link")
/* A file of our own. */
static const char *own(void) { put("/w/own", "x"); return "/w/own"; }

static char buffer[4096];
struct how { uint64_t flags, mode, resolve; };
static struct how *how(uint64_t flags)
{
	static struct how h;
	h = (struct how){ flags, flags & O_CREAT ? 0600 : 0, 0 };
	return &h;
}

/* Closes what could be opened. */
static long shut(long fd)
{
	int e = errno;
	if (fd >= 0) close(fd);
	errno = e;
	return fd;
}

static struct sockaddr_un *unix_name(const char *path)
{
	static struct sockaddr_un a;
	memset(&a, 0, sizeof a);
	a.sun_family = AF_UNIX;
	strncpy(a.sun_path, path, sizeof a.sun_path - 1);
	return &a;
}

static long to(int type, const char *path, int call)
{
	int s = socket(AF_UNIX, type, 0);
	struct sockaddr_un *a = unix_name(path);
	struct iovec v = { "x", 1 };
	struct mmsghdr m = { .msg_hdr = { .msg_name = a, .msg_namelen = sizeof *a, .msg_iov = &v, .msg_iovlen = 1 } };
	long r = -1;
	if (call == 0) r = bind(s, (void *)a, sizeof *a);
	if (call == 1) r = connect(s, (void *)a, sizeof *a);
	if (call == 2) r = sendto(s, "x", 1, 0, (void *)a, sizeof *a);
	if (call == 3) r = sendmsg(s, &m.msg_hdr, 0);
	if (call == 4) r = sendmmsg(s, &m, 1, 0);
	int e = errno;
	close(s);
	errno = e;
	return r;
}

/* In a child, whose working directory and program may change. */
static long apart(long (*act)(const char *), const char *path)
{
	pid_t p = fork();
	if (!p) {
		errno = 0;
		long r = act(path);
		_exit(r < 0 ? errno : 0);
	}
	int s;
	waitpid(p, &s, 0);
	if (!WIFEXITED(s)) return 0;
	errno = WEXITSTATUS(s);
	return errno ? -1 : 0;
}
static long change_folder(const char *path) { return chdir(path); }
static long change_by_descriptor(const char *path)
{
	int fd = open(path, O_RDONLY);
	return fd < 0 ? -1 : fchdir(fd);
}
static long by_descriptor(const char *path, int which)
{
	struct stat st;
	struct statfs fs;
	int fd = open(path, O_RDONLY);
	if (fd < 0) return -1;
	long r = which ? fstatfs(fd, &fs) : fstat(fd, &st);
	return shut(fd), r;
}
static long execute(const char *path)
{
	char *argv[] = { "x", NULL };
	return execve(path, argv, argv + 1);
}
static long execute_at(const char *path)
{
	char *argv[] = { "x", NULL };
	return syscall(SYS_execveat, AT_FDCWD, path, argv, argv + 1, 0);
}

static long listed(const char *folder, long number)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY);
	if (fd < 0) return -1;
	long r = number == SYS_getdents64 ? syscall(SYS_getdents64, fd, buffer, sizeof buffer)
					   : syscall(SYS_getdents, fd, buffer, sizeof buffer);
	return shut(fd), r;
}

static int inotify = -1;

static void looks(void)
{
	struct stat st;
	struct statfs fs;
	inotify = inotify_init();
	T(open, shut(open(PATH, O_RDONLY)));
	T(openat, shut(openat(AT_FDCWD, PATH, O_PATH)));
	T(openat2, shut(syscall(SYS_openat2, AT_FDCWD, PATH, how(O_RDONLY), sizeof(struct how))));
	T(stat, stat(PATH, &st));
	T(lstat, lstat(PATH, &st));
	T(newfstatat, fstatat(AT_FDCWD, LINK, &st, AT_SYMLINK_NOFOLLOW));
	T(newfstatat, fstatat(AT_FDCWD, PATH, &st, 0));
	T(statx, syscall(SYS_statx, AT_FDCWD, PATH, 0, 0, buffer));
	T(statfs, statfs(PATH, &fs));
	T(access, syscall(SYS_access, PATH, R_OK));
	T(faccessat, syscall(SYS_faccessat, AT_FDCWD, PATH, R_OK));
	T(faccessat2, syscall(SYS_faccessat2, AT_FDCWD, PATH, R_OK, AT_SYMLINK_NOFOLLOW));
	T(readlink, readlink(LINK, buffer, sizeof buffer));
	T(readlinkat, readlinkat(AT_FDCWD, LINK, buffer, sizeof buffer));
	T(getxattr, getxattr(PATH, "user.a", buffer, 9));
	T(lgetxattr, lgetxattr(PATH, "user.a", buffer, 9));
	T(listxattr, listxattr(PATH, buffer, 99));
	T(llistxattr, llistxattr(PATH, buffer, 99));
	T(inotify_add_watch, inotify_add_watch(inotify, PATH, IN_ALL_EVENTS));
	T(fchdir, apart(change_by_descriptor, FOLDER));
	T(fstat, by_descriptor(PATH, 0));
	T(fstatfs, by_descriptor(PATH, 1));
	T(getdents, listed(FOLDER, SYS_getdents));
	T(getdents64, listed(FOLDER, SYS_getdents64));
	T(chdir, apart(change_folder, FOLDER));
	T(chroot, chroot(FOLDER));
	T(execve, apart(execute, PATH));
	T(execveat, apart(execute_at, PATH));
	T(connect, to(SOCK_STREAM, PATH, 1));
	T(sendto, to(SOCK_DGRAM, PATH, 2));
	T(sendmsg, to(SOCK_DGRAM, PATH, 3));
	T(sendmmsg, to(SOCK_DGRAM, PATH, 4));
}

static void file_changes(void)
{
	struct timespec times[2] = { 0 };
	T(open, shut(open(PATH, O_WRONLY)));
	T(open, shut(open(PATH, O_RDWR | O_TRUNC)));
	T(open, shut(open(PATH, O_RDONLY | O_TRUNC)));
	T(openat, shut(openat(AT_FDCWD, PATH, O_WRONLY | O_APPEND)));
	T(openat, shut(openat(AT_FDCWD, PATH, O_CREAT | O_WRONLY | O_TRUNC, 0600)));
	T(openat2, shut(syscall(SYS_openat2, AT_FDCWD, PATH, how(O_RDWR), sizeof(struct how))));
	T(creat, shut(creat(PATH, 0600)));
	T(truncate, truncate(PATH, 0));
	T(chmod, syscall(SYS_chmod, PATH, 0777));
	T(fchmodat, syscall(SYS_fchmodat, AT_FDCWD, PATH, 0777));
	T(fchmodat2, syscall(SYS_fchmodat2, AT_FDCWD, PATH, 0777, AT_SYMLINK_NOFOLLOW));
	T(chown, syscall(SYS_chown, PATH, 1, 1));
	T(lchown, syscall(SYS_lchown, PATH, 1, 1));
	T(fchownat, fchownat(AT_FDCWD, PATH, 1, 1, AT_SYMLINK_NOFOLLOW));
	T(fchownat, fchownat(AT_FDCWD, PATH, 1, 1, 0));
	T(utime, syscall(SYS_utime, PATH, NULL));
	T(utimes, syscall(SYS_utimes, PATH, NULL));
	T(futimesat, syscall(SYS_futimesat, AT_FDCWD, PATH, NULL));
	T(utimensat, utimensat(AT_FDCWD, PATH, times, 0));
	T(utimensat, utimensat(AT_FDCWD, PATH, times, AT_SYMLINK_NOFOLLOW));
	T(setxattr, setxattr(PATH, "user.b", "x", 1, 0));
	T(lsetxattr, lsetxattr(PATH, "user.b", "x", 1, 0));
	T(removexattr, removexattr(PATH, "user.b"));
	T(lremovexattr, lremovexattr(PATH, "user.b"));
	T(unlink, unlink(PATH));
	T(unlinkat, unlinkat(AT_FDCWD, PATH, 0));
	T(rename, rename(PATH, "/w/moved"));
	T(rename, rename(own(), PATH));
	T(renameat, syscall(SYS_renameat, AT_FDCWD, PATH, AT_FDCWD, "/w/moved"));
	T(renameat2, syscall(SYS_renameat2, AT_FDCWD, own(), AT_FDCWD, PATH, 2 /* exchange */));
	T(link, link(PATH, "/w/hard"));
	T(linkat, linkat(AT_FDCWD, PATH, AT_FDCWD, "/w/hard", AT_SYMLINK_FOLLOW));
}

/* Through descriptors that are no right to write. */
static void descriptor_changes(const char *file)
{
	struct timespec times[2] = { 0 };
	char path[64];
	int fd = open(file, O_RDONLY), place = open(file, O_PATH);
	say("opened %d %d", fd >= 0, place >= 0);
	TRY(fchmod(fd, 0777));
	TRY(fchown(fd, 1, 1));
	TRY(syscall(SYS_utimensat, fd, NULL, times, 0));
	TRY(fsetxattr(fd, "user.b", "x", 1, 0));
	TRY(fremovexattr(fd, "user.b"));
	TRY(fchownat(place, "", 1, 1, AT_EMPTY_PATH));
	TRY(linkat(place, "", AT_FDCWD, "/w/hard", AT_EMPTY_PATH));
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	TRY(open(path, O_WRONLY));
	TRY(chmod(path, 0777));
	TRY(truncate(path, 0));
	TRY(linkat(AT_FDCWD, path, AT_FDCWD, "/w/hard", AT_SYMLINK_FOLLOW));
	snprintf(path, sizeof path, "/proc/self/fd/%d", place);
	TRY(open(path, O_RDWR | O_APPEND));
	snprintf(path, sizeof path, "/dev/fd/%d", place);
	TRY(open(path, O_WRONLY));
}

static void new_names(void)
{
	T(open, shut(open(NEW, O_CREAT | O_WRONLY, 0600)));
	T(open, shut(open(NEW, O_CREAT | O_RDONLY | O_EXCL, 0600)));
	T(open, shut(open(FOLDER, O_TMPFILE | O_WRONLY, 0600)));
	T(openat2, shut(syscall(SYS_openat2, AT_FDCWD, NEW, how(O_CREAT | O_RDWR), sizeof(struct how))));
	T(creat, shut(creat(NEW, 0600)));
	T(mknod, syscall(SYS_mknod, NEW, S_IFIFO | 0600, 0));
	T(mknodat, syscall(SYS_mknodat, AT_FDCWD, NEW, S_IFREG | 0600, 0));
	T(mkdir, mkdir(NEW, 0700));
	T(mkdirat, mkdirat(AT_FDCWD, NEW, 0700));
	T(symlink, symlink("/w", NEW));
	T(symlinkat, symlinkat("/w", AT_FDCWD, NEW));
	T(link, link(own(), NEW));
	T(linkat, linkat(AT_FDCWD, own(), AT_FDCWD, NEW, 0));
	T(rename, rename(own(), NEW));
	T(renameat2, syscall(SYS_renameat2, AT_FDCWD, own(), AT_FDCWD, NEW, 1 /* no replace */));
	T(bind, to(SOCK_STREAM, NEW, 0));
	T(rmdir, rmdir(DIRECTORY));
	T(unlinkat, unlinkat(AT_FDCWD, DIRECTORY, AT_REMOVEDIR));
	T(rename, rename(DIRECTORY, "/w/moved"));
	/* A link whose goal is not there. */
	symlink(join(ways[0].folder, "/", "new"), "/w/dangling");
	say("dangling: %s", shut(open("/w/dangling", O_CREAT | O_WRONLY, 0600)) < 0 ? name_of(errno) : "ok");
	/* The folder itself, and what holds it. */
	say("folder: %s", rename(ways[0].folder, "/w/moved") < 0 ? name_of(errno) : "ok");
}

/* Swaps /w/swap between a folder of ours and a link to the guarded one. */
static void *swap(void *folder)
{
	mkdir("/w/mine", 0777);
	put("/w/mine/file", "mine");
	symlink(folder, "/w/theirs");
	for (;;) {
		rename("/w/mine", "/w/swap");
		rename("/w/swap", "/w/mine");
		rename("/w/theirs", "/w/swap");
		rename("/w/swap", "/w/theirs");
	}
	return NULL;
}

/* Steals and replaces descriptors while they are opened. */
static void *steal(void *unused)
{
	int mine = open("/w", O_PATH);
	(void)unused;
	for (;;)
		for (int fd = 5; fd < 12; fd++) {
			int copy = dup(fd);
			if (copy >= 0) {
				if (write(copy, "STOLEN", 6) == 6) { say("wrote by a stolen descriptor"); _exit(1); }
				if (read(copy, buffer, 6) == 6 && !memcmp(buffer, "SECRET", 6)) {
					say("read by a stolen descriptor");
					_exit(1);
				}
				struct statfs fs;
				if ((fcntl(copy, F_GETFL) & O_ACCMODE) == O_RDWR && fstatfs(copy, &fs) == 0
				    && fs.f_type == 0x9fa0) {
					say("a descriptor of the host kernel's");
					_exit(1);
				}
				close(copy);
			}
			dup2(mine, fd);
			close(fd);
		}
	return NULL;
}

/* `guarded` holds "SECRET" or may not be changed; whatever is tried on /w/swap must not touch it. */
static void race(const char *folder, int by_process, long rounds)
{
	pthread_t t;
	pid_t p = 0;
	if (by_process && !(p = fork())) swap((void *)folder);
	if (!by_process) {
		pthread_create(&t, NULL, swap, (void *)folder);
		pthread_create(&t, NULL, steal, NULL);
	}
	struct stat st;
	int mine = 0, refused = 0;
	for (long n = 0; n < rounds; n++) {
		char text[8] = "";
		int fd = open("/w/swap/file", O_RDONLY);
		if (fd >= 0) {
			if (read(fd, text, 7) > 0 && !memcmp(text, "SECRET", 6) && getenv("HIDDEN")) {
				say("read the secret");
				_exit(1);
			}
			close(fd);
			mine = 1;
		} else refused = 1;
		fd = open("/w/swap/file", O_WRONLY | O_TRUNC | O_CREAT, 0600);
		if (fd >= 0) { write(fd, "mine", 4); close(fd); }
		truncate("/w/swap/file", 0);
		chmod("/w/swap/file", 0644);
		unlink("/w/swap/other");
		rename("/w/swap/other", "/w/swap/another");
		mkdir("/w/swap/new", 0700);
		rmdir("/w/swap/new");
		link("/w/swap/file", "/w/stolen");
		if (stat("/w/stolen", &st) == 0) unlink("/w/stolen");
		symlink("x", "/w/swap/sym");
		unlink("/w/swap/sym");
	}
	if (p) kill(p, SIGKILL);
	say("raced: %s %s", mine ? "mine" : "-", refused ? "refused" : "-");
	fflush(NULL);
	_exit(0);
}

/* Programs, and what is on the way to them, stay where they are. */
static void programs(void)
{
	TRY(rename("/usr", "/w/usr"));
	TRY(rename("/usr/bin", "/usr/nib"));
	TRY(rename("/.vkernel", "/.other"));
	TRY(rename("/.vkernel/megabinary", "/tmp/m"));
	TRY(rename(own(), "/.vkernel/megabinary"));
	TRY(rename(own(), "/usr/bin/policy"));
	TRY(rmdir("/usr/bin"));
	TRY(unlink("/.vkernel/megabinary"));
	symlink("/usr", "/w/u");
	TRY(unlink("/w/u/bin/policy"));
	chdir("/usr");
	TRY(renameat(AT_FDCWD, "bin", AT_FDCWD, "nib"));
	int fd = open("bin", O_RDONLY);
	TRY(unlinkat(fd, "policy", 0));
	TRY(unlinkat(fd, "../bin/policy", 0));
	/* Names alone decide nothing. */
	mkdir("/w/bin", 0777);
	put("/w/bin/policy", "x");
	TRY(rename("/w/bin/policy", "/w/policy"));
	TRY(rename("/w/policy", "/w/bin/megabinary"));
	TRY(unlink("/w/bin/megabinary"));
	TRY(rmdir("/w/bin"));
	/* A file of a stub's size that is none. */
	char same[95] = { 0 };
	fd = open("/w/same", O_CREAT | O_WRONLY, 0600);
	write(fd, same, sizeof same);
	close(fd);
	TRY(shut(open("/w/same", O_WRONLY | O_TRUNC)) >= 0);
	TRY(chmod("/w/same", 0644));
}

/* The host kernel's files stay closed, also while another thread looks for them. */
static void memory(long rounds)
{
	pthread_t t;
	pthread_create(&t, NULL, steal, NULL);
	for (long n = 0; n < rounds; n++)
		if (open("/proc/self/mem", O_RDWR) >= 0) { say("opened memory"); _exit(1); }
	say("closed: %s", name_of(errno));
	fflush(NULL);
	_exit(0);
}

#define SAY(name, call) do { errno = 0; \
	say("%s: %s", name, shut((long)(call)) < 0 ? name_of(errno) : "ok"); } while (0)

/* What another process has: its files, its memory, the process itself. */
static void others(int pid, int fd)
{
	static const char *const names[] = { "fd", "root", "cwd", "exe", "mem", "maps", "environ", "status", "ns/mnt" };
	char path[64];
	struct iovec mine = { buffer, 8 }, theirs = { buffer, 8 };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "/proc/%d/%s", pid, names[i]);
		SAY(names[i], open(path, O_RDONLY));
	}
	snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
	SAY("a descriptor", open(path, O_RDONLY));
	SAY("pidfd_open", syscall(SYS_pidfd_open, pid, 0));
	SAY("pidfd_getfd", syscall(SYS_pidfd_getfd, 0, fd, 0));
	SAY("kcmp", syscall(SYS_kcmp, getpid(), pid, 0L, 0L, (long)fd));
	SAY("process_vm_readv", syscall(SYS_process_vm_readv, pid, &mine, 1L, &theirs, 1L, 0L));
	SAY("process_vm_writev", syscall(SYS_process_vm_writev, pid, &mine, 1L, &theirs, 1L, 0L));
	SAY("ptrace", syscall(SYS_ptrace, 16L /* PTRACE_ATTACH */, pid, 0L, 0L));
	SAY("move_pages", syscall(SYS_move_pages, pid, 0L, 0L, 0L, 0L, 0L));
	SAY("kill", kill(pid, 0));
	SAY("rt_sigqueueinfo", syscall(SYS_rt_sigqueueinfo, pid, SIGUSR1, buffer));
}

static void list(const char *folder)
{
	struct dirent **entries;
	int n = scandir(folder, &entries, NULL, alphasort);
	for (int i = 0; i < n; i++) say("%s", entries[i]->d_name);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "", *folder = argc > 2 ? argv[2] : "";
	const char *name = argc > 3 ? argv[3] : "file";
	chdir("/w");
	if (!strcmp(mode, "others")) return others(atoi(folder), atoi(name)), 0;
	if (*folder) find_ways(folder, name, argc > 4 ? argv + 4 : argv + argc);
	if (!strcmp(mode, "looks")) looks();
	else if (!strcmp(mode, "changes")) file_changes(), descriptor_changes(ways[0].file);
	else if (!strcmp(mode, "names")) new_names();
	else if (!strcmp(mode, "threads")) race(folder, 0, atol(argv[3]));
	else if (!strcmp(mode, "processes")) race(folder, 1, atol(argv[3]));
	else if (!strcmp(mode, "programs")) programs();
	else if (!strcmp(mode, "memory")) memory(atol(argv[3]));
	else if (!strcmp(mode, "list")) list(folder);
	return 0;
}
