/* What a guest can do that has taken its vkernel over: takeover ATTEMPT [ARGUMENT ARGUMENT].
 *
 * It runs in a launcher of the test's, in which SYS_acct makes any host call
 * (`vkernel/engine/src/linux/testing.rs`). Each attempt says what came of it: a negative error
 * number if the host refused, anything else if it was reached. The imports of all calls are there
 * (calls.h), so that the filter is the widest that an image can have. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "calls.h"

enum { MEMORY = -1, PEEK = -2, POKE = -3, OLD_ENTRY = -4 };

static uint64_t base;

static int64_t host_with(int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
	uint64_t f)
{
	static uint64_t words[7];
	uint64_t all[] = { number, a, b, c, d, e, f };
	memcpy(words, all, sizeof words);
	return call_acct((unsigned)words);
}
#define PICK(_0, _1, _2, _3, _4, _5, _6, ...) \
	host_with(_0, (uint64_t)(_1), (uint64_t)(_2), (uint64_t)(_3), (uint64_t)(_4), (uint64_t)(_5), (uint64_t)(_6))
#define host(...) PICK(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

/* The host's address of something of the guest's. */
#define AT(pointer) (base + (uint32_t)(uintptr_t)(pointer))
#define CWD ((uint64_t)(int64_t)-100)

/* Numbers of x86-64. */
enum { n_read, n_write, n_open, n_close, n_mmap = 9, n_mprotect, n_shmget = 29, n_shmat, n_getpid = 39,
	n_socket = 41, n_connect, n_bind = 49, n_listen, n_clone = 56, n_execve = 59, n_exit, n_kill = 62,
	n_chdir = 80, n_mkdir = 83, n_ptrace = 101, n_syslog = 103, n_capset = 126, n_mknod = 133,
	n_personality = 135, n_modify_ldt = 154, n_pivot_root, n_prctl = 157, n_chroot = 161, n_mount = 165,
	n_reboot = 169, n_sethostname, n_iopl = 172, n_init_module = 175, n_settimeofday = 164,
	n_remap_file_pages = 216, n_keyctl = 250, n_openat = 257, n_fchmodat = 268, n_unshare = 272,
	n_perf_event_open = 298, n_prlimit64 = 302, n_open_by_handle_at = 304, n_setns = 308,
	n_process_vm_readv = 310, n_process_vm_writev, n_seccomp = 317, n_memfd_create = 319, n_bpf = 321,
	n_execveat, n_userfaultfd, n_pkey_mprotect = 329, n_io_uring_setup = 425, n_open_tree = 428,
	n_fsopen = 430, n_clone3 = 435, n_pidfd_open = 434, n_pidfd_getfd = 438, n_pwrite64 = 18, n_nanosleep = 35,
	n_unlink = 87, n_ftruncate = 77, n_readlink = 89, n_uselib = 134, n_kexec_load = 246 };

static char text[1 << 16];

static int64_t open_file(const char *path, int flags)
{
	return host(n_openat, CWD, AT(path), flags, 0600);
}

/* Opens and reads: reached if there is something. */
static int64_t read_file(const char *path)
{
	int64_t fd = open_file(path, O_RDONLY);
	return fd < 0 ? fd : host(n_read, fd, AT(text), sizeof text);
}

static int64_t under(const char *before, const char *path)
{
	static char whole[4096];
	snprintf(whole, sizeof whole, "%s%s", before, path);
	return read_file(whole);
}

/* The address of the last bytes of the first mapping with these rights. */
static uint64_t mapping(const char *rights)
{
	int64_t fd = open_file("/proc/self/maps", O_RDONLY), got, all = 0;
	if (fd < 0) return 0;
	while ((got = host(n_read, fd, AT(text + all), sizeof text - 1 - all)) > 0) all += got;
	for (char *line = strtok(text, "\n"); line; line = strtok(0, "\n")) {
		unsigned long long from, to;
		char found[8];
		if (sscanf(line, "%llx-%llx %7s", &from, &to, found) == 3 && !strncmp(found, rights, 3)) return to - 64;
	}
	return 0;
}

static int64_t map(uint64_t protection, uint64_t flags, int64_t fd)
{
	return host(n_mmap, 0, 4096, protection, flags, fd, 0);
}

static int64_t out(int type, unsigned address, int port)
{
	unsigned char to[16] = { 2, 0, port >> 8, port, address >> 24, address >> 16, address >> 8, address };
	int64_t fd = host(n_socket, 2, type, 0);
	int64_t result = fd < 0 ? fd : host(n_connect, fd, AT(to), 16);
	/* Nobody listens there: it has been asked, which is all that counts. */
	return result == -ECONNREFUSED || result == -EINPROGRESS ? 0 : result;
}

static int64_t serve(unsigned address)
{
	unsigned char at[16] = { 2, 0, 0, 0, address >> 24, address >> 16, address >> 8, address };
	int64_t fd = host(n_socket, 2, 1, 0), result = fd < 0 ? fd : host(n_bind, fd, AT(at), 16);
	return result < 0 ? result : host(n_listen, fd, 1);
}

#define IS(name) !strcmp(attempt, name)

static int64_t files(const char *attempt, const char *path)
{
	if (IS("open")) return read_file(path);
	if (IS("open above")) return under("../../../../../../../../../..", path);
	if (IS("open /proc/1/root")) return under("/proc/1/root", path);
	if (IS("open /proc/PARENT/root")) {
		char parent[64];
		snprintf(parent, sizeof parent, "/proc/%d/root", getppid());
		return under(parent, path);
	}
	if (IS("chroot")) {
		host(n_mkdir, AT("/w/inner"), 0700);
		int64_t result = host(n_chroot, AT("/w/inner"));
		if (result < 0) return result;
		for (int i = 0; i < 20; i++) host(n_chdir, AT(".."));
		host(n_chroot, AT("."));
		return read_file(path);
	}
	if (IS("open_by_handle_at")) {
		struct { unsigned len; int type; uint64_t inode; } handle = { 8, 1, 2 };
		return host(n_open_by_handle_at, open_file("/", O_RDONLY), AT(&handle), 0);
	}
	if (IS("mount")) return host(n_mount, AT("proc"), AT("/w"), AT("proc"), 0, 0);
	if (IS("pivot_root")) return host(n_pivot_root, AT("/w"), AT("/w"));
	if (IS("open_tree")) return host(n_open_tree, CWD, AT("/"), 1);
	if (IS("fsopen")) return host(n_fsopen, AT("tmpfs"), 0);
	if (IS("unshare a user namespace")) return host(n_unshare, 0x10000000);
	if (IS("clone a user namespace")) {
		int64_t pid = host(n_clone, 0x10000000 | 17, 0, 0, 0, 0);
		if (!pid) host(n_exit, 0);
		return pid;
	}
	if (IS("setns")) {
		int64_t fd = open_file("/proc/1/ns/mnt", O_RDONLY);
		return fd < 0 ? fd : host(n_setns, fd, 0);
	}
	if (IS("mknod of a disk")) {
		int64_t result = host(n_mknod, AT("/w/disk"), 060600, 254 << 8);
		return result < 0 ? result : read_file("/w/disk");
	}
	if (IS("write")) return open_file(path, O_WRONLY);
	if (IS("chmod")) return host(n_fchmodat, CWD, AT(path), 0644);
	if (IS("unlink")) return host(n_unlink, AT(path));
	return -1000;
}

static int64_t network(const char *attempt, const char *argument)
{
	int n = atoi(argument);
	if (IS("socket of family")) return host(n_socket, n, n == 16 || n == 38 ? 3 : n == 38 ? 5 : 1, 0);
	if (IS("raw socket")) return host(n_socket, 2, 3, 1);
	if (IS("seqpacket socket")) return host(n_socket, 2, 5, 0);
	if (IS("UDP to another machine")) return out(2, 0xc0000201, 53);
	if (IS("TCP to another machine")) return out(1 | 04000, 0xc0000201, 9);
	if (IS("TCP to a port of this machine")) return out(1 | 04000, 0x7f000001, n);
	if (IS("listen on all addresses")) return serve(0);
	if (IS("abstract socket of another process")) {
		unsigned char to[110] = { 1, 0, 0 };
		strcpy((char *)to + 3, argument);
		int64_t fd = host(n_socket, 1, 1, 0);
		return host(n_connect, fd, AT(to), 3 + strlen(argument));
	}
	return -1000;
}

static int64_t processes(const char *attempt, int pid)
{
	char path[64];
	uint64_t local[2] = { AT(text), 8 }, remote[2] = { 0x400000, 8 };
	if (IS("kill")) return host(n_kill, pid, 0);
	if (IS("ptrace")) return host(n_ptrace, 16, pid, 0, 0);
	if (IS("process_vm_readv")) return host(n_process_vm_readv, pid, AT(local), 1, AT(remote), 1, 0);
	if (IS("process_vm_writev")) return host(n_process_vm_writev, pid, AT(local), 1, AT(remote), 1, 0);
	if (IS("open /proc/PID/mem")) return snprintf(path, sizeof path, "/proc/%d/mem", pid), open_file(path, O_RDWR);
	if (IS("open /proc/PID/environ")) return snprintf(path, sizeof path, "/proc/%d/environ", pid), read_file(path);
	if (IS("pidfd_getfd")) return host(n_pidfd_getfd, host(n_pidfd_open, pid, 0), 0, 0);
	return -1000;
}

static int64_t executable(const char *attempt)
{
	if (IS("mmap")) return map(7, 0x22, -1);
	if (IS("mprotect")) return host(n_mprotect, map(3, 0x22, -1), 4096, 5);
	if (IS("pkey_mprotect")) return host(n_pkey_mprotect, map(3, 0x22, -1), 4096, 5, -1);
	if (IS("mmap of a file")) {
		int64_t fd = open_file("/w/code", O_RDWR | O_CREAT);
		host(n_write, fd, AT(text), 4096);
		return map(5, 2, fd);
	}
	if (IS("mmap of a memfd")) {
		int64_t fd = host(n_memfd_create, AT("x"), 0);
		return fd < 0 ? fd : (host(n_write, fd, AT(text), 4096), map(5, 1, fd));
	}
	if (IS("execveat of a memfd")) {
		int64_t fd = host(n_memfd_create, AT("x"), 0);
		return fd < 0 ? fd : host(n_execveat, fd, AT(""), 0, 0, 0x1000);
	}
	if (IS("execve of a file of the root")) return host(n_execve, AT("/w/native"), 0, 0);
	if (IS("shmat")) return host(n_shmat, host(n_shmget, 0, 4096, 01700), 0, 0100000);
	if (IS("userfaultfd")) return host(n_userfaultfd, 1);
	if (IS("personality")) return host(n_personality, 0x0400000);
	if (IS("remap_file_pages")) return host(n_remap_file_pages, map(3, 0x21, -1), 4096, 0, 0, 0);
	if (IS("modify_ldt")) return host(n_modify_ldt, 0, AT(text), 16);
	if (IS("call of x32")) return host(n_getpid | 0x40000000);
	if (IS("int 0x80")) return host(OLD_ENTRY, 20, 0);
	if (IS("uselib")) return host(n_uselib, AT("/w/native"));
	if (IS("code made writable")) {
		uint64_t at = mapping("r-x") & ~4095ull;
		int64_t result = host(n_mprotect, at, 4096, 3);
		if (result < 0) return result;
		host(POKE, at + 4032, 0x9090909090909090);
		return host(n_mprotect, at, 4096, 5);
	}
	if (IS("write to code")) return host(POKE, mapping("r-x"), 1);
	if (IS("write to code through /proc/self/mem")) {
		uint64_t at = mapping("r-x");
		int64_t fd = open_file("/proc/self/mem", O_RDWR);
		if (!at) return -ENOENT;
		if (fd < 0) return fd;
		uint64_t changed = 0x9090909090909090;
		int64_t result = host(n_pwrite64, fd, AT(&changed), 8, at);
		return result < 0 ? result : host(PEEK, at) == (int64_t)changed ? 8 : -EIO;
	}
	return -1000;
}

static int64_t privilege(const char *attempt)
{
	uint64_t all[3] = { ~0ull, ~0ull, ~0ull }, version[1] = { 0x20080522 };
	if (IS("capset")) return host(n_capset, AT(version), AT(all));
	if (IS("keyctl")) return host(n_keyctl, 0, -3, 0, 0, 0);
	if (IS("bpf")) return host(n_bpf, 0, AT(text), 64);
	if (IS("perf_event_open")) return host(n_perf_event_open, AT(text), 0, -1, -1, 0);
	if (IS("io_uring_setup")) return host(n_io_uring_setup, 1, AT(text));
	if (IS("init_module")) return host(n_init_module, AT(text), 0, AT(""));
	if (IS("kexec_load")) return host(n_kexec_load, 0, 0, 0, 0);
	if (IS("reboot")) return host(n_reboot, 0xfee1dead, 672274793, 0, 0);
	if (IS("settimeofday")) return host(n_settimeofday, 0, 0);
	if (IS("sethostname")) return host(n_sethostname, AT(text), 65) == -EINVAL ? 0 : -EPERM;
	if (IS("iopl")) return host(n_iopl, 3);
	if (IS("syslog")) return host(n_syslog, 3, AT(text), 4096);
	if (IS("new privileges again")) return host(n_prctl, 38, 0, 0, 0, 0);
	if (IS("write to /proc/sys")) return open_file("/proc/sys/kernel/core_pattern", O_WRONLY);
	if (IS("chmod of /proc/vmallocinfo")) return host(n_fchmodat, CWD, AT("/proc/vmallocinfo"), 0400);
	return -1000;
}

static int64_t limits(const char *attempt)
{
	static uint64_t more[2];
	if (IS("more descriptors")) {
		more[0] = more[1] = 900;
		return host(n_prlimit64, 0, 7, AT(more), 0);
	}
	if (IS("larger files")) {
		more[0] = more[1] = 1 << 30;
		return host(n_prlimit64, 0, 1, AT(more), 0);
	}
	if (IS("more memory")) return host(n_mmap, 0, 1 << 30, 3, 0x22, -1, 0);
	if (IS("more processes") || IS("more time")) {
		int64_t pid = host(n_clone, 17, 0, 0, 0, 0);
		if (pid) return pid;
		if (IS("more time")) {
			uint64_t three[2] = { 3, 0 };
			host(n_nanosleep, AT(three), 0);
			open_file("/w/alive", O_WRONLY | O_CREAT);
		}
		host(n_exit, 0);
	}
	if (IS("the audit stream")) {
		for (int fd = 3; fd < 1100; fd++) {
			char path[64], link[256] = "";
			snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
			host(n_readlink, AT(path), AT(link), 255);
			if (strstr(link, "audit")) return host(n_write, fd, AT("forged\n"), 7);
		}
		return -ENOENT;
	}
	return -1000;
}

int main(int argc, char **argv)
{
	const char *attempt = argc > 1 ? argv[1] : "", *argument = argc > 2 ? argv[2] : "";
	volatile int all = 0;
	int64_t none[6] = { 0 };
	if (all) make(all, none);
	int64_t there = host(MEMORY);
	if (there <= 0) {
		printf("%lld: no takeover\n", (long long)there);
		return 3;
	}
	base = there;
	int64_t result = files(attempt, argument);
	if (result == -1000) result = network(attempt, argument);
	if (result == -1000) result = processes(attempt, atoi(argument));
	if (result == -1000) result = executable(attempt);
	if (result == -1000) result = privilege(attempt);
	if (result == -1000) result = limits(attempt);
	printf("result %lld\n", (long long)result);
	return 0;
}
