/* The layout of x86-64. */
struct semid_ds {
	struct ipc_perm sem_perm;
	time_t sem_otime;
	long long __unused1;
	time_t sem_ctime;
	long long __unused2;
	unsigned short sem_nsems;
	char __sem_nsems_pad[6];
	long long __unused3;
	long long __unused4;
};
