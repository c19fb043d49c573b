/* The layout of x86-64: each number is followed by the upper half of the kernel's long. */
struct msqid_ds {
	struct ipc_perm msg_perm;
	time_t msg_stime;
	time_t msg_rtime;
	time_t msg_ctime;
	unsigned long msg_cbytes, __pad1;
	msgqnum_t msg_qnum;
	unsigned long __pad2;
	msglen_t msg_qbytes;
	unsigned long __pad3;
	pid_t msg_lspid;
	pid_t msg_lrpid;
	unsigned long long __unused[2];
};
