/* The kernel's long has 64 bits at the interface, whatever a program's has: as for x32 programs. */
#ifndef _ASM_POSIX_TYPES_H
#define _ASM_POSIX_TYPES_H

typedef long long __kernel_long_t;
typedef unsigned long long __kernel_ulong_t;
#define __kernel_long_t __kernel_long_t

#include <asm-generic/posix_types.h>

#endif
