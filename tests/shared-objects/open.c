/* Opens what it is given, and says why not. */
#include <dlfcn.h>
#include <stdio.h>

int main(int count, char **arguments)
{
	for (int i = 1; i < count; i++) {
		void *handle = dlopen(arguments[i], RTLD_NOW);
		puts(handle ? "opened" : dlerror());
	}
	printf("bad handle: %d\n", dlclose(&count) != 0);
	return 0;
}
