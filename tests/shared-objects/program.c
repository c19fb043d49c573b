/* Opens libraries and looks names up. What it says is the same with the host's dynamic linker. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

int program_data = 77;
int program_function(int x) { return x * 2; }
int helper(int x) { return -x; }

static int names(struct dl_phdr_info *info, size_t size, void *data)
{
	if (strstr(info->dlpi_name, "first.so") || strstr(info->dlpi_name, "second.so")) ++*(int *)data;
	return 0;
}

static void library(const char *path, const char *api)
{
	Dl_info info;
	char *error;
	int count = 0, in_global;
	dlerror();
	printf("%s: loaded before: %d\n", path, dlopen(path, RTLD_NOW | RTLD_NOLOAD) != 0);
	dlerror();
	void *handle = dlopen(path, RTLD_NOW);
	if (!handle) {
		printf("not opened, said: %d\n", dlerror() != 0);
		return;
	}
	printf("the same: %d\n", handle == dlopen(path, RTLD_LAZY) && handle == dlopen(path, RTLD_NOW | RTLD_NOLOAD));
	int (*function)(int) = (int (*)(int))dlsym(handle, api);
	printf("%s(1) = %d\n", api, function(1));
	printf("%s(1) = %d\n", api, function(1));
	printf("counter %d\n", *(int *)dlsym(handle, "counter"));
	if (dladdr((void *)function, &info)) printf("dladdr: %s, %s\n", info.dli_sname, info.dli_fname);
	printf("strlen through it: %d\n", ((size_t (*)(const char *))dlsym(handle, "strlen"))("abc") == 3);
	printf("hidden: %d\n", dlsym(handle, "hidden") != 0);
	error = dlerror();
	printf("said: %d\n", error && strstr(error, "hidden") != 0);
	printf("once: %d\n", !dlerror());
	printf("program's in it: %d\n", dlsym(handle, "program_function") != 0);
	in_global = dlsym(RTLD_DEFAULT, api) != 0;
	dlopen(path, RTLD_NOW | RTLD_GLOBAL);
	printf("in the global scope: %d, then %d\n", in_global, dlsym(RTLD_DEFAULT, api) != 0);
	dl_iterate_phdr(names, &count);
	printf("objects: %d\n", count);
	printf("closed: %d\n", dlclose(handle));
}

int main(int count, char **arguments)
{
	Dl_info info;
	void *self = dlopen(NULL, RTLD_NOW);
	int (*function)(int) = (int (*)(int))dlsym(self, "program_function");
	int *data = dlsym(RTLD_DEFAULT, "program_data");
	setvbuf(stdout, 0, _IONBF, 0);
	printf("own: %d %d\n", function(4), *data);
	if (dladdr((char *)data + 1, &info)) printf("dladdr: %s\n", info.dli_sname);
	printf("nothing there: %d %d\n", dladdr(&info, &info), dladdr(0, &info));
	for (int i = 1; i + 1 < count; i += 2) library(arguments[i], arguments[i + 1]);
	printf("helper(3) = %d\n", ((int (*)(int))dlsym(self, "helper"))(3));
	printf("libc: %d\n", dlsym(dlopen("libc.so.6", RTLD_NOW), "strlen") == dlsym(self, "strlen"));
	return 0;
}
