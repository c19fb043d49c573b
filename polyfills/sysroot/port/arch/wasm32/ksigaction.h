#include <features.h>

/* 24 bytes, packed, as the wali personality has it; nothing uses the third field. */
struct __attribute__((__packed__)) k_sigaction {
	void (*handler)(int);
	unsigned long long flags;
	void (*unused)(void);
	unsigned mask[2];
};
