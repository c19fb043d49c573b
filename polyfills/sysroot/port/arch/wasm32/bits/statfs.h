/* The layout of x86-64, 120 bytes: each number is followed by the upper half of the kernel's long. */
struct statfs {
	unsigned long f_type, __pad1, f_bsize, __pad2;
	fsblkcnt_t f_blocks, f_bfree, f_bavail;
	fsfilcnt_t f_files, f_ffree;
	fsid_t f_fsid;
	unsigned long f_namelen, __pad3, f_frsize, __pad4, f_flags, __pad5;
	unsigned long long f_spare[4];
};
