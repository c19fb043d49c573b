/* dlopen: a file that stands for a library, and the library that was linked into the program.
 *
 * Code cannot be loaded. What a program may ever load is linked into it, and the `.so` files beside it are
 * small texts that name it (docs/shared-objects.md). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "dl_registry.h"
#include "libc.h"
#include "pthread_impl.h"

#define FIRST_LINE "vkernel-shared-object 1\n"
/* More than that a stub never has: three lines, of which the second is a file's name. */
#define LONGEST_STUB 512
#define WAY_IN "link the library into the program ([[extension]] in a recipe)"

static const char *const libc_names[] = {
	"libc.so", "libc.so.6", "libm.so", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1",
	"libutil.so.1", "libcrypt.so.1", "libresolv.so.2", "libc.musl-wasm32.so.1",
};

/* What a stub says. */
struct named {
	char *name, *digest;
};

static struct library *by_name(struct registry registry, const char *name)
{
	for (size_t i = 0; i < sizeof libc_names / sizeof *libc_names; i++) {
		if (!strcmp(name, libc_names[i])) return &registry.libraries[LIBC];
	}
	for (size_t i = OTHERS; i < registry.count; i++) {
		if (!strcmp(name, registry.libraries[i].name)) return &registry.libraries[i];
	}
	return 0;
}

/* The library that a stub stands for; it says what is wrong if there is none. */
static struct library *by_stub(struct registry registry, const char *path, struct named stub)
{
	struct library *library = by_name(registry, stub.name);
	if (!stub.digest) {
		if (library) return library;
	} else for (size_t i = OTHERS; i < registry.count; i++) {
		/* Libraries of one name there may be several: each package has its own. */
		const char *digest = registry.libraries[i].digest;
		if (digest && !strcmp(stub.digest, digest)) return &registry.libraries[i];
	}
	if (library) {
		__dl_seterr("Error loading shared library %s: it stands for another build of `%s' than the one "
			"that is linked into the program", path, stub.name);
	} else {
		__dl_seterr("Error loading shared library %s: the program has no library `%s': " WAY_IN,
			path, stub.name);
	}
	return 0;
}

/* Cuts the text of a stub into lines; 0 if it is none. */
static int is_stub(char *text, size_t length, struct named *stub)
{
	size_t first = sizeof FIRST_LINE - 1;
	if (length <= first || memcmp(text, FIRST_LINE, first) || memchr(text, 0, length)) return 0;
	stub->name = text + first;
	char *end = memchr(stub->name, '\n', text + length - stub->name);
	if (!end || end == stub->name || end - stub->name > NAME_MAX) return 0;
	*end++ = 0;
	for (char *c = stub->name; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == '/' || *c == 0x7f) return 0;
	}
	stub->digest = 0;
	if (end == text + length) return 1;
	stub->digest = end;
	end = memchr(end, '\n', text + length - end);
	if (!end || end != text + length - 1) return 0;
	*end = 0;
	return 1;
}

/* Reads the file; what is at its beginning. An error has been said if the result is negative. */
static ssize_t read_stub(int fd, const char *path, char *text, size_t size)
{
	struct stat kind;
	size_t length = 0;
	if (fstat(fd, &kind) < 0) {
		__dl_seterr("Error loading shared library %s: %s", path, strerror(errno));
		return -1;
	}
	if (!S_ISREG(kind.st_mode)) {
		__dl_seterr("Error loading shared library %s: it is no regular file", path);
		return -1;
	}
	while (length < size) {
		ssize_t part = read(fd, text + length, size - length);
		if (part < 0 && errno == EINTR) continue;
		if (part < 0) {
			__dl_seterr("Error loading shared library %s: %s", path, strerror(errno));
			return -1;
		}
		if (!part) break;
		length += part;
	}
	return length;
}

/* The library that the open file stands for. */
static struct library *by_file(struct registry registry, int fd, const char *path)
{
	char text[LONGEST_STUB + 1];
	struct named stub;
	ssize_t length = read_stub(fd, path, text, sizeof text);
	if (length < 0) return 0;
	if (length <= LONGEST_STUB && is_stub(text, length, &stub)) return by_stub(registry, path, stub);
	if (length >= 4 && !memcmp(text, "\177ELF", 4)) {
		__dl_seterr("Error loading shared library %s: it is machine code (ELF), which cannot be loaded here: "
			WAY_IN, path);
	} else if (length >= 4 && !memcmp(text, "\0asm", 4)) {
		__dl_seterr("Error loading shared library %s: it is a WebAssembly module, and modules are not loaded "
			"into a program that runs: " WAY_IN, path);
	} else {
		__dl_seterr("Error loading shared library %s: it is no shared object: its first line is not `%.*s'",
			path, (int)sizeof FIRST_LINE - 2, FIRST_LINE);
	}
	return 0;
}

/* Opens without waiting for whoever may be at the other end of a pipe. */
static int open_file(const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/* Opens `name` in the first folder of the list that has it. */
static int search(const char *folders, const char *name, char *path, size_t size)
{
	while (folders && *folders) {
		size_t length = strcspn(folders, ":\n");
		if (length && snprintf(path, size, "%.*s/%s", (int)length, folders, name) < size) {
			int fd = open_file(path);
			if (fd >= 0) return fd;
			if (errno != ENOENT && errno != ENOTDIR && errno != EACCES && errno != ENAMETOOLONG) return -1;
		}
		folders += length;
		folders += !!*folders;
	}
	errno = ENOENT;
	return -1;
}

static struct library *find(struct registry registry, const char *file)
{
	char buffer[2 * NAME_MAX + 2];
	const char *path = file;
	struct library *library;
	int fd;
	if (strchr(file, '/')) {
		fd = open_file(file);
	} else {
		if ((library = by_name(registry, file))) return library;
		fd = -1;
		errno = ENOENT;
		if (!libc.secure) fd = search(getenv("LD_LIBRARY_PATH"), file, buffer, sizeof buffer);
		if (fd < 0 && errno == ENOENT) fd = search("/lib:/usr/local/lib:/usr/lib", file, buffer, sizeof buffer);
		path = buffer;
	}
	if (fd < 0) {
		__dl_seterr("Error loading shared library %s: %s", file, strerror(errno));
		return 0;
	}
	library = by_file(registry, fd, path);
	close(fd);
	if (library && !(library->state & LOADED) && !(library->map.l_name = strdup(path))) {
		__dl_seterr("Error loading shared library %s: %s", path, strerror(ENOMEM));
		return 0;
	}
	return library;
}

static void load(struct registry registry, struct library *library)
{
	struct link_map *last = &registry.libraries[PROGRAM].map;
	while (last->l_next) last = last->l_next;
	last->l_next = &library->map;
	library->map.l_prev = last;
	if (!library->map.l_name) library->map.l_name = (char *)library->name;
	library->state |= LOADED;
}

void *dlopen(const char *file, int mode)
{
	struct registry registry = __dl_get_registry();
	struct library *library = &registry.libraries[PROGRAM];
	int cancel;
	if (!file) return library;
	__pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	__dl_lock();
	library = find(registry, file);
	if (library && !(library->state & LOADED)) {
		if (mode & RTLD_NOLOAD) {
			if (library->map.l_name != library->name) free(library->map.l_name);
			library->map.l_name = 0;
			__dl_seterr("Library %s is not already loaded", file);
			library = 0;
		} else {
			load(registry, library);
		}
	}
	if (library && (mode & RTLD_GLOBAL)) library->state |= GLOBAL;
	int construct = library && !(library->state & CONSTRUCTED);
	if (construct) library->state |= CONSTRUCTED;
	__pthread_setcancelstate(cancel, 0);
	/* Who opens it meanwhile waits until it is ready; a constructor itself may open it. */
	if (construct) for (size_t i = 0; i < library->constructor_count; i++) library->constructors[i]();
	__dl_unlock();
	return library;
}
