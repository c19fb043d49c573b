/* WebAssembly has no registers that a debugger could read. */
#undef __WORDSIZE
#define __WORDSIZE 32
