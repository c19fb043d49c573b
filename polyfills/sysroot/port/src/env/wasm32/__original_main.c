/* See __main_argc_argv.c. */
#include <features.h>

extern char **__environ;
extern hidden int __main_argc;
extern hidden char **__main_argv;
int main(int, char **, char **);

hidden int __original_main(void)
{
	return main(__main_argc, __main_argv, __environ);
}
