/* The interface's numbers of system calls, which the C library has from the same table. */
#ifndef _ASM_UNISTD_H
#define _ASM_UNISTD_H

#include <sys/syscall.h>

#endif
