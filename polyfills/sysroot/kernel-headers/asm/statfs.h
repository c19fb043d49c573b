/* The interface's structures have 64-bit words. */
#ifndef _ASM_STATFS_H
#define _ASM_STATFS_H

#include <asm/types.h>

#define __statfs_word __s64
#include <asm-generic/statfs.h>

#endif
