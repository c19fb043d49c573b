/* WebAssembly has no registers; programs take the word size from here. */
#undef __WORDSIZE
#define __WORDSIZE 32
