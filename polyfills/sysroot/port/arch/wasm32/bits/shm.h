#define SHMLBA 4096

/* The layout of x86-64: each number is followed by the upper half of the kernel's long. */
struct shmid_ds {
	struct ipc_perm shm_perm;
	size_t shm_segsz;
	time_t shm_atime;
	time_t shm_dtime;
	time_t shm_ctime;
	pid_t shm_cpid;
	pid_t shm_lpid;
	unsigned long shm_nattch, __pad1;
	unsigned long long __pad2[2];
};

struct shminfo {
	unsigned long shmmax, __pad1, shmmin, __pad2, shmmni, __pad3;
	unsigned long shmseg, __pad4, shmall, __pad5;
	unsigned long long __unused[4];
};

struct __attribute__((__aligned__(8))) shm_info {
	int __used_ids, __pad1;
	unsigned long shm_tot, __pad2, shm_rss, __pad3, shm_swp, __pad4;
	unsigned long __swap_attempts, __pad5, __swap_successes, __pad6;
};
