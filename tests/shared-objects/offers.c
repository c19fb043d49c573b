/* Says what dlsym finds in a library, and calls `one'. */
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv)
{
	void *library = dlopen(argv[1], RTLD_NOW);
	if (!library) {
		puts(dlerror());
		return 1;
	}
	for (int at = 2; at < argc; at++)
		printf("%s: %d\n", argv[at], dlsym(library, argv[at]) != 0);
	int (*one)(void) = (int (*)(void))dlsym(library, "one");
	printf("%d\n", one ? one() : -1);
}
