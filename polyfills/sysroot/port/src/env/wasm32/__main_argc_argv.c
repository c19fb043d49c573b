/* The compiler names main by its shape: __main_argc_argv with two parameters, __original_main
 * with none, main with three. crt1 calls the first; where a program has another one, this and
 * __original_main.c lead there. Each is an object of its own, so that no shape is ever called
 * that the program does not have. */
#include <features.h>

hidden int __original_main(void);
hidden int __main_argc;
hidden char **__main_argv;

int __main_argc_argv(int argc, char **argv)
{
	__main_argc = argc;
	__main_argv = argv;
	return __original_main();
}
