/* Room for what setjmp/wasm32/setjmp.c keeps: three words, and space to grow. */
typedef unsigned long long __jmp_buf[4];
