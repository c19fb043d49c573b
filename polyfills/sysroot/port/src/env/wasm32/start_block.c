#include <elf.h>
#include <limits.h>
#include "syscall.h"
#include "../../internal/wasm32/start_block.h"

#define IMPORT(name) __attribute__((__import_module__("wali"), __import_name__(#name))) name

int IMPORT(__cl_get_argc)(void);
int IMPORT(__cl_get_argv_len)(int i);
int IMPORT(__cl_copy_argv)(char *buf, int i);
int IMPORT(__get_env_count)(void);
int IMPORT(__get_env_len)(int i);
int IMPORT(__copy_env)(char *buf, int i);

struct start_sizes __start_sizes(void)
{
	struct start_sizes s = { __cl_get_argc(), __get_env_count(), 0, 1 };
	for (int i = 0; i < s.argc; i++) s.string_bytes += __cl_get_argv_len(i) + 1;
	for (int i = 0; i < s.envc; i++) s.string_bytes += __get_env_len(i) + 1;
	s.words = s.argc + 1 + s.envc + 1 + 10;
	return s;
}

void __start_fill(const struct start_sizes *sizes, size_t *block, char *s, size_t random[4])
{
	size_t *p = block;
	for (int i = 0; i < sizes->argc; i++) {
		*p++ = (size_t)s;
		__cl_copy_argv(s, i);
		s += __cl_get_argv_len(i) + 1;
	}
	*p++ = 0;
	for (int i = 0; i < sizes->envc; i++) {
		*p++ = (size_t)s;
		__copy_env(s, i);
		s += __get_env_len(i) + 1;
	}
	*p++ = 0;
	*s = 0;

	*p++ = AT_PAGESZ; *p++ = PAGE_SIZE;
	if (__syscall(SYS_getrandom, random, 4 * sizeof *random, 0) == 4 * sizeof *random) {
		*p++ = AT_RANDOM; *p++ = (size_t)random;
	}
	*p++ = AT_EXECFN; *p++ = sizes->argc ? block[0] : (size_t)s;
	*p++ = AT_NULL; *p++ = 0;
}
