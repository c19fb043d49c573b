/* Makes WASI preview 1 calls and prints what each gives: `LABEL: ERRNO VALUES`.
 *
 * A clock that does not exist is not tried: wasmtime ends the program, we give INVAL.
 *
 * Labels are unique within a section, so that a difference can be named. What differs from run to
 * run (inode numbers, the time) is printed as a relation.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

#pragma clang diagnostic ignored "-Wunused-result"

#define ROOT 3
#define ALL 0x1fffffffull
#define ARRAY(x) (sizeof(x) / sizeof *(x))

static void say(const char *label, int error) { printf("%s: %d\n", label, error); }

static void say1(const char *label, int error, unsigned long long value) {
    if (error)
        say(label, error);
    else
        printf("%s: 0 %llu\n", label, value);
}

static int open_at(const char *label, int dir, const char *path, int lookup, int oflags, uint64_t rights, int fdflags) {
    __wasi_fd_t fd = -1;
    int e = __wasi_path_open(dir, lookup, path, oflags, rights, ALL, fdflags, &fd);
    if (label)
        say(label, e);
    return e ? -1 : (int)fd;
}

#define READ (__WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_SEEK | __WASI_RIGHTS_FD_READDIR)
#define WRITE (__WASI_RIGHTS_FD_WRITE | __WASI_RIGHTS_FD_SEEK)

static int put(int fd, const char *text, __wasi_size_t *n) {
    __wasi_ciovec_t iov = {(const uint8_t *)text, strlen(text)};
    return __wasi_fd_write(fd, &iov, 1, n);
}

static int get(int fd, char *buffer, size_t size, __wasi_size_t *n) {
    __wasi_iovec_t iov = {(uint8_t *)buffer, size};
    return __wasi_fd_read(fd, &iov, 1, n);
}

static void file(const char *path, const char *text) {
    int fd = open_at(0, ROOT, path, 0, __WASI_OFLAGS_CREAT | __WASI_OFLAGS_TRUNC, WRITE, 0);
    __wasi_size_t n;
    if (fd >= 0) {
        put(fd, text, &n);
        __wasi_fd_close(fd);
    }
}

static void contents(const char *label, const char *path) {
    int fd = open_at(0, ROOT, path, 1, 0, READ, 0);
    char text[256];
    __wasi_size_t n = 0;
    int e = fd < 0 ? -1 : get(fd, text, sizeof text, &n);
    printf("%s: %d \"%.*s\"\n", label, e, (int)n, text);
    if (fd >= 0)
        __wasi_fd_close(fd);
}

static void stat_of(const char *label, int lookup, const char *path) {
    __wasi_filestat_t s;
    int e = __wasi_path_filestat_get(ROOT, lookup, path, &s);
    if (e)
        say(label, e);
    else if (s.filetype == __WASI_FILETYPE_DIRECTORY)
        printf("%s: 0 type %d\n", label, s.filetype);
    else
        printf("%s: 0 type %d size %llu links %llu\n", label, s.filetype, s.size, s.nlink);
}

static void opening(void) {
    file("f", "hello");
    __wasi_path_create_directory(ROOT, "d");
    __wasi_path_symlink("f", ROOT, "to-f");
    __wasi_path_symlink("d", ROOT, "to-d");
    __wasi_path_symlink("nowhere", ROOT, "dangling");
    __wasi_path_symlink("loop", ROOT, "loop");
    const char *const paths[] = {"f", "f/", "f/.", "f/x", "f/..", "d", "d/", "d/.", "d/..", "d/../f", "d/../../f", "..",
        "../f", "/f", "/", ".", "./f", ".//f", "d//../f", "to-f", "to-f/", "to-d", "to-d/", "to-d/../f", "dangling", "dangling/x", "loop", "loop/x",
        "missing", "missing/x", "missing/../f", ""};
    for (unsigned i = 0; i < ARRAY(paths); i++)
        for (int lookup = 0; lookup < 2; lookup++)
            for (int dir = 0; dir < 2; dir++) {
                char label[64];
                snprintf(label, sizeof label, "open%s%s %s", lookup ? " follow" : "", dir ? " directory" : "", paths[i]);
                int fd = open_at(label, ROOT, paths[i], lookup, dir ? __WASI_OFLAGS_DIRECTORY : 0, READ, 0);
                if (fd >= 0)
                    __wasi_fd_close(fd);
                if (!dir) {
                    snprintf(label, sizeof label, "stat%s %s", lookup ? " follow" : "", paths[i]);
                    stat_of(label, lookup, paths[i]);
                }
            }
    open_at("create exclusive over file", ROOT, "f", 0, __WASI_OFLAGS_CREAT | __WASI_OFLAGS_EXCL, WRITE, 0);
    open_at("create exclusive over link", ROOT, "dangling", 1, __WASI_OFLAGS_CREAT | __WASI_OFLAGS_EXCL, WRITE, 0);
    open_at("create over folder", ROOT, "d", 0, __WASI_OFLAGS_CREAT, WRITE, 0);
    open_at("create with slash", ROOT, "new/", 0, __WASI_OFLAGS_CREAT, WRITE, 0);
    open_at("create directory", ROOT, "new", 0, __WASI_OFLAGS_CREAT | __WASI_OFLAGS_DIRECTORY, WRITE, 0);
    open_at("create in missing", ROOT, "missing/new", 0, __WASI_OFLAGS_CREAT, WRITE, 0);
    open_at("write folder", ROOT, "d", 0, 0, WRITE, 0);
    open_at("truncate folder", ROOT, "d", 0, __WASI_OFLAGS_TRUNC, WRITE, 0);
    open_at("create through dangling", ROOT, "dangling", 1, __WASI_OFLAGS_CREAT, WRITE, 0);
    stat_of("made by dangling", 0, "nowhere");
    open_at("not a folder", 1, "f", 0, 0, READ, 0);
    open_at("no descriptor", 99, "f", 0, 0, READ, 0);
    int fd = open_at("file as folder 1", ROOT, "f", 0, 0, READ, 0);
    open_at("file as folder 2", fd, "f", 0, 0, READ, 0);
    __wasi_fd_close(fd);
    char name[300];
    memset(name, 'n', 299);
    name[299] = 0;
    open_at("name too long", ROOT, name, 0, 0, READ, 0);
    name[255] = 0;
    open_at("longest name", ROOT, name, 0, __WASI_OFLAGS_CREAT, WRITE, 0);
    fd = open_at("trunc", ROOT, "f", 0, __WASI_OFLAGS_TRUNC, WRITE, 0);
    __wasi_fd_close(fd);
    stat_of("after trunc", 0, "f");
}

static void reading(void) {
    file("f", "0123456789");
    int fd = open_at("open", ROOT, "f", 0, 0, READ | WRITE, 0);
    char buffer[64];
    __wasi_size_t n;
    __wasi_filesize_t at;
    memset(buffer, 0, sizeof buffer);
    int e = get(fd, buffer, 4, &n);
    printf("read: %d %d %.4s\n", e, (int)n, buffer);
    e = __wasi_fd_seek(fd, -2, __WASI_WHENCE_CUR, &at), say1("seek cur", e, at);
    e = __wasi_fd_seek(fd, -3, __WASI_WHENCE_END, &at), say1("seek end", e, at);
    e = __wasi_fd_seek(fd, -1, __WASI_WHENCE_SET, &at), say1("seek negative", e, at);
    e = __wasi_fd_seek(fd, -100, __WASI_WHENCE_CUR, &at), say1("seek before", e, at);
    e = __wasi_fd_seek(fd, 100, __WASI_WHENCE_SET, &at), say1("seek beyond", e, at);
    e = get(fd, buffer, 4, &n), say1("read beyond", e, n);
    e = __wasi_fd_seek(fd, 6000000000ll, __WASI_WHENCE_SET, &at), say1("seek far", e, at);
    e = __wasi_fd_tell(fd, &at), say1("tell", e, at);
    __wasi_iovec_t two[2] = {{(uint8_t *)buffer, 3}, {(uint8_t *)buffer + 32, 30}};
    memset(buffer, 0, sizeof buffer);
    e = __wasi_fd_pread(fd, two, 1, 4, &n);
    printf("pread: %d %d %.3s\n", e, (int)n, buffer);
    e = __wasi_fd_pread(fd, two, 0, 4, &n), say1("pread nothing", e, n);
    e = __wasi_fd_pread(fd, two, 1, 1ull << 63, &n), say1("pread negative", e, n);
    e = __wasi_fd_tell(fd, &at), say1("tell after pread", e, at);
    __wasi_ciovec_t out = {(const uint8_t *)"xy", 2};
    e = __wasi_fd_pwrite(fd, &out, 1, 8, &n), say1("pwrite", e, n);
    e = __wasi_fd_pwrite(fd, &out, 1, 5000000000ull, &n), say1("pwrite far", e, n);
    stat_of("size after far", 0, "f");
    e = __wasi_fd_filestat_set_size(fd, 12), say("set size", e);
    e = __wasi_fd_filestat_set_size(fd, 1ull << 63), say("set size too large", e);
    stat_of("size after set", 0, "f");
    __wasi_fd_close(fd);
    fd = open_at("append", ROOT, "f", 0, 0, READ | WRITE, __WASI_FDFLAGS_APPEND);
    e = put(fd, "end", &n), say1("append write", e, n);
    __wasi_fdstat_t st;
    e = __wasi_fd_fdstat_get(fd, &st);
    printf("append fdstat: %d type %d flags %d\n", e, st.fs_filetype, st.fs_flags);
    e = __wasi_fd_fdstat_set_flags(fd, 0), say("clear append", e);
    e = __wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at), say1("rewind", e, at);
    e = put(fd, "AB", &n), say1("write at start", e, n);
    e = __wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_APPEND), say("set append", e);
    e = put(fd, "!", &n), say1("append again", e, n);
    __wasi_fd_close(fd);
    fd = open_at("reopen", ROOT, "f", 0, 0, READ, 0);
    e = __wasi_fd_read(fd, two, 1, &n);
    printf("final: %d %.3s\n", e, buffer);
    e = put(fd, "x", &n), say("write to read-only", e);
    e = __wasi_fd_filestat_set_size(fd, 1), say("truncate read-only", e);
    __wasi_fd_close(fd);
    e = get(fd, buffer, 1, &n), say("read closed", e);
    e = __wasi_fd_close(fd), say("close closed", e);
    fd = open_at("write only", ROOT, "f", 0, 0, WRITE, 0);
    e = get(fd, buffer, 1, &n), say("read write-only", e);
    e = __wasi_fd_advise(fd, 0, 10, __WASI_ADVICE_SEQUENTIAL), say("advise", e);
    e = __wasi_fd_sync(fd), say("sync", e);
    e = __wasi_fd_datasync(fd), say("datasync", e);
    e = __wasi_fd_allocate(fd, 0, 5), say("allocate", e);
    __wasi_fd_close(fd);
    fd = open_at("folder", ROOT, ".", 0, __WASI_OFLAGS_DIRECTORY, READ, 0);
    e = get(fd, buffer, 1, &n), say("read folder", e);
    e = put(fd, "x", &n), say("write folder", e);
    e = __wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at), say("seek folder", e);
    e = __wasi_fd_sync(fd), say("sync folder", e);
    e = __wasi_fd_filestat_set_size(fd, 0), say("truncate folder", e);
    __wasi_fd_close(fd);
}

static void tree(void) {
    int e;
    file("f", "f");
    file("g", "g");
    e = __wasi_path_create_directory(ROOT, "d"), say("mkdir", e);
    e = __wasi_path_create_directory(ROOT, "d"), say("mkdir again", e);
    e = __wasi_path_create_directory(ROOT, "f"), say("mkdir over file", e);
    e = __wasi_path_create_directory(ROOT, "x/y"), say("mkdir in missing", e);
    e = __wasi_path_create_directory(ROOT, "f/y"), say("mkdir in file", e);
    e = __wasi_path_create_directory(ROOT, "e/"), say("mkdir slash", e);
    e = __wasi_path_create_directory(ROOT, "."), say("mkdir .", e);
    e = __wasi_path_create_directory(ROOT, ".."), say("mkdir ..", e);
    e = __wasi_path_create_directory(ROOT, ""), say("mkdir empty", e);
    e = __wasi_path_create_directory(ROOT, "/abs"), say("mkdir absolute", e);
    file("d/in", "in");
    e = __wasi_path_remove_directory(ROOT, "d"), say("rmdir full", e);
    e = __wasi_path_remove_directory(ROOT, "f"), say("rmdir file", e);
    e = __wasi_path_remove_directory(ROOT, "missing"), say("rmdir missing", e);
    e = __wasi_path_remove_directory(ROOT, "e/"), say("rmdir slash", e);
    __wasi_path_remove_directory(ROOT, "e");
    e = __wasi_path_remove_directory(ROOT, "d/."), say("rmdir dot", e);
    e = __wasi_path_remove_directory(ROOT, "d/.."), say("rmdir up", e);
    e = __wasi_path_remove_directory(ROOT, ""), say("rmdir empty name", e);
    e = __wasi_path_unlink_file(ROOT, "d"), say("unlink folder", e);
    e = __wasi_path_unlink_file(ROOT, "missing"), say("unlink missing", e);
    e = __wasi_path_unlink_file(ROOT, "f/"), say("unlink slash", e);
    e = __wasi_path_unlink_file(ROOT, "f/x"), say("unlink below file", e);
    e = __wasi_path_unlink_file(ROOT, "../f"), say("unlink outside", e);
    e = __wasi_path_link(ROOT, 0, "f", ROOT, "hard"), say("link", e);
    stat_of("linked", 0, "hard");
    e = __wasi_path_link(ROOT, 0, "f", ROOT, "g"), say("link over", e);
    e = __wasi_path_link(ROOT, 0, "d", ROOT, "dd"), say("link folder", e);
    e = __wasi_path_link(ROOT, 0, "missing", ROOT, "x"), say("link missing", e);
    e = __wasi_path_link(ROOT, 1, "f", ROOT, "hard2"), say("link follow", e);
    e = __wasi_path_link(ROOT, 0, "f", ROOT, "hard/"), say("link to slash", e);
    e = __wasi_path_unlink_file(ROOT, "hard"), say("unlink hard", e);
    e = __wasi_path_symlink("f", ROOT, "s"), say("symlink", e);
    e = __wasi_path_symlink("f", ROOT, "s"), say("symlink over", e);
    e = __wasi_path_symlink("../../x", ROOT, "s-out"), say("symlink outside", e);
    e = __wasi_path_symlink("", ROOT, "s-empty"), say("symlink empty", e);
    e = __wasi_path_symlink("f", ROOT, "s2/"), say("symlink slash", e);
    e = __wasi_path_symlink("f", ROOT, "missing/s"), say("symlink in missing", e);
    stat_of("stat symlink", 0, "s");
    stat_of("stat through", 1, "s");
    stat_of("stat out", 1, "s-out");
    char text[64];
    __wasi_size_t n;
    memset(text, 0, sizeof text);
    e = __wasi_path_readlink(ROOT, "s-out", (uint8_t *)text, sizeof text, &n);
    printf("readlink: %d %d %s\n", e, (int)n, text);
    memset(text, 0, sizeof text);
    e = __wasi_path_readlink(ROOT, "s-out", (uint8_t *)text, 3, &n);
    printf("readlink short: %d %d %s\n", e, (int)n, text);
    e = __wasi_path_readlink(ROOT, "f", (uint8_t *)text, sizeof text, &n), say("readlink file", e);
    e = __wasi_path_readlink(ROOT, "missing", (uint8_t *)text, sizeof text, &n), say("readlink missing", e);
    e = __wasi_path_readlink(ROOT, "../s", (uint8_t *)text, sizeof text, &n), say("readlink outside", e);
    e = __wasi_path_rename(ROOT, "f", ROOT, "f2"), say("rename", e);
    e = __wasi_path_rename(ROOT, "f2", ROOT, "g"), say("rename over", e);
    contents("renamed", "g");
    e = __wasi_path_rename(ROOT, "missing", ROOT, "x"), say("rename missing", e);
    e = __wasi_path_rename(ROOT, "g", ROOT, "d"), say("rename file over folder", e);
    e = __wasi_path_rename(ROOT, "d", ROOT, "g"), say("rename folder over file", e);
    e = __wasi_path_create_directory(ROOT, "empty"), say("mkdir empty", e);
    e = __wasi_path_rename(ROOT, "empty", ROOT, "d"), say("rename over full", e);
    e = __wasi_path_rename(ROOT, "d", ROOT, "empty"), say("rename over empty", e);
    e = __wasi_path_rename(ROOT, "empty", ROOT, "empty/in2"), say("rename into itself", e);
    e = __wasi_path_rename(ROOT, "g", ROOT, "../g"), say("rename outside", e);
    e = __wasi_path_rename(ROOT, "g", ROOT, "g2/"), say("rename to slash", e);
    __wasi_path_unlink_file(ROOT, "g"), __wasi_path_unlink_file(ROOT, "g2");
    e = __wasi_path_rename(ROOT, "empty", ROOT, "full/"), say("rename folder to slash", e);
    e = __wasi_path_rename(ROOT, "s", ROOT, "s3"), say("rename link", e);
    e = __wasi_path_unlink_file(ROOT, "s3"), say("unlink link", e);
}

static void listing(void) {
    __wasi_path_create_directory(ROOT, "many");
    for (int i = 0; i < 100; i++) {
        char name[64];
        snprintf(name, sizeof name, "many/entry-%03d%s", i, i % 7 ? "" : "-with-a-longer-name");
        if (i % 10 == 3)
            __wasi_path_create_directory(ROOT, name);
        else if (i % 10 == 5)
            __wasi_path_symlink("x", ROOT, name);
        else
            file(name, "");
    }
    int fd = open_at("open", ROOT, "many", 0, __WASI_OFLAGS_DIRECTORY, READ, 0);
    /* With buffers of several sizes, from the cookie of the last whole entry. */
    for (unsigned size = 60; size < 5000; size = size * 3 + 1) {
        static uint8_t buffer[5000];
        static char names[128][64];
        static unsigned char types[128];
        int count = 0, e = 0;
        __wasi_dircookie_t cookie = 0;
        for (;;) {
            __wasi_size_t used = 0;
            e = __wasi_fd_readdir(fd, buffer, size, cookie, &used);
            if (e)
                break;
            unsigned at = 0;
            int whole = 0;
            while (at + sizeof(__wasi_dirent_t) <= used && count < 128) {
                __wasi_dirent_t d;
                memcpy(&d, buffer + at, sizeof d);
                if (at + sizeof d + d.d_namlen > used)
                    break;
                memcpy(names[count], buffer + at + sizeof d, d.d_namlen);
                names[count][d.d_namlen] = 0;
                types[count] = d.d_type;
                count++, whole++;
                at += sizeof d + d.d_namlen;
                cookie = d.d_next;
            }
            if (used < size || !whole)
                break;
        }
        unsigned long sum = 0;
        int dots = 0, seen[8] = {0};
        for (int i = 0; i < count; i++) {
            if (names[i][0] == '.')
                dots++;
            seen[types[i] & 7]++;
            for (char *c = names[i]; *c; c++)
                sum += (unsigned char)*c * (unsigned)(c - names[i] + 1);
        }
        printf("listing by %u: %d count %d dots %d types %d %d %d sum %lu\n", size, e, count, dots, seen[3], seen[4], seen[7], sum);
    }
    __wasi_size_t used;
    uint8_t small[8];
    int e = __wasi_fd_readdir(fd, small, sizeof small, 0, &used);
    say1("small buffer", e, used);
    e = __wasi_fd_readdir(fd, small, 0, 0, &used), say1("no buffer", e, used);
    e = __wasi_fd_readdir(fd, small, sizeof small, 1000000, &used), say1("cookie beyond", e, used);
    __wasi_fd_close(fd);
    file("f", "");
    fd = open_at("file", ROOT, "f", 0, 0, READ, 0);
    e = __wasi_fd_readdir(fd, small, sizeof small, 0, &used), say("list file", e);
    e = __wasi_fd_readdir(1, small, sizeof small, 0, &used), say("list stream", e);
}

static void times(void) {
    file("f", "x");
    __wasi_filestat_t s;
    int e = __wasi_path_filestat_set_times(ROOT, 0, "f", 1234567890123456789ull, 987654321000000001ull,
        __WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_MTIM);
    say("set", e);
    e = __wasi_path_filestat_get(ROOT, 0, "f", &s);
    printf("got: %d %llu %llu\n", e, s.atim, s.mtim);
    int fd = open_at("open", ROOT, "f", 0, 0, READ | WRITE, 0);
    e = __wasi_fd_filestat_set_times(fd, 5, 7, __WASI_FSTFLAGS_MTIM), say("set mtim", e);
    e = __wasi_fd_filestat_get(fd, &s);
    printf("got: %d %llu %llu\n", e, s.atim, s.mtim);
    e = __wasi_fd_filestat_set_times(fd, 0, 0, __WASI_FSTFLAGS_MTIM | __WASI_FSTFLAGS_MTIM_NOW), say("both", e);
    e = __wasi_fd_filestat_set_times(fd, 0, 0, __WASI_FSTFLAGS_MTIM_NOW), say("now", e);
    e = __wasi_fd_filestat_get(fd, &s);
    __wasi_timestamp_t now;
    __wasi_clock_time_get(__WASI_CLOCKID_REALTIME, 1, &now);
    printf("near: %d %d\n", e, s.mtim <= now + 1000000000 && now - s.mtim < 60000000000ull);
    e = __wasi_path_filestat_set_times(ROOT, 0, "missing", 1, 1, __WASI_FSTFLAGS_MTIM), say("missing", e);
    __wasi_path_symlink("f", ROOT, "s");
    e = __wasi_path_filestat_set_times(ROOT, 0, "s", 11, 12, __WASI_FSTFLAGS_MTIM), say("link itself", e);
    e = __wasi_path_filestat_get(ROOT, 0, "s", &s);
    printf("link: %d %llu\n", e, s.mtim);
    e = __wasi_path_filestat_set_times(ROOT, 1, "s", 11, 13, __WASI_FSTFLAGS_MTIM), say("through link", e);
    e = __wasi_path_filestat_get(ROOT, 0, "f", &s);
    printf("file: %d %llu\n", e, s.mtim);
    __wasi_timestamp_t a, b;
    e = __wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &a);
    __wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &b);
    printf("monotonic: %d %d\n", e, b >= a);
    e = __wasi_clock_res_get(__WASI_CLOCKID_MONOTONIC, &a);
    printf("resolution: %d %d\n", e, a > 0 && a < 1000000000);
}

static void descriptors(void) {
    file("a", "aaa");
    file("b", "bbb");
    int a = open_at("a", ROOT, "a", 0, 0, READ, 0), b = open_at("b", ROOT, "b", 0, 0, READ, 0), e;
    printf("numbers: %d %d\n", a, b);
    char buffer[8] = {0};
    __wasi_size_t n;
    e = __wasi_fd_renumber(a, b), say("renumber", e);
    e = get(b, buffer, 3, &n);
    printf("moved: %d %s\n", e, buffer);
    e = get(a, buffer, 3, &n), say("old", e);
    e = __wasi_fd_renumber(a, b), say("renumber closed", e);
    e = __wasi_fd_renumber(b, 60), say("renumber to closed", e);
    e = __wasi_fd_renumber(b, b), say("renumber to itself", e);
    int c = open_at("lowest", ROOT, "a", 0, 0, READ, 0);
    printf("lowest: %d\n", c);
    __wasi_prestat_t p;
    char name[16] = {0};
    e = __wasi_fd_prestat_get(ROOT, &p);
    printf("prestat: %d %d %d\n", e, p.tag, (int)p.u.dir.pr_name_len);
    e = __wasi_fd_prestat_dir_name(ROOT, (uint8_t *)name, p.u.dir.pr_name_len);
    printf("prestat name: %d %s\n", e, name);
    e = __wasi_fd_prestat_dir_name(ROOT, (uint8_t *)name, 0), say("prestat short", e);
    e = __wasi_fd_prestat_get(c, &p), say("prestat of file", e);
    e = __wasi_fd_prestat_get(1, &p), say("prestat of stream", e);
    e = __wasi_fd_prestat_get(ROOT + 1, &p), say("prestat next", e);
    for (int fd = 0; fd < 4; fd++) {
        __wasi_fdstat_t s;
        e = __wasi_fd_fdstat_get(fd, &s);
        printf("fdstat %d: %d type %d flags %d\n", fd, e, s.fs_filetype, s.fs_flags);
        __wasi_filesize_t at;
        e = __wasi_fd_seek(fd, 0, __WASI_WHENCE_CUR, &at), printf("seek %d: %d\n", fd, e);
        __wasi_filestat_t t;
        e = __wasi_fd_filestat_get(fd, &t), printf("filestat %d: %d\n", fd, e);
    }
    e = __wasi_fd_fdstat_set_rights(c, 0, 0), say("set rights", e);
    e = __wasi_fd_close(ROOT), say("close root", e);
    open_at("open in closed root", ROOT, "a", 0, 0, READ, 0);
    e = __wasi_sched_yield(), say("yield", e);
    uint8_t r[16] = {0}, zero[16] = {0};
    e = __wasi_random_get(r, 16);
    printf("random: %d %d\n", e, memcmp(r, zero, 16) != 0);
}

static void polling(void) {
    __wasi_event_t events[4];
    __wasi_size_t n;
    int e = __wasi_poll_oneoff(0, events, 0, &n);
    say("nothing", e);
    __wasi_timestamp_t before, after;
    __wasi_subscription_t s[3];
    memset(s, 0, sizeof s);
    s[0].userdata = 42;
    s[0].u.tag = __WASI_EVENTTYPE_CLOCK;
    s[0].u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
    s[0].u.u.clock.timeout = 20000000;
    __wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &before);
    e = __wasi_poll_oneoff(s, events, 1, &n);
    __wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &after);
    printf("clock: %d %d %llu %d %d waited %d\n", e, (int)n, events[0].userdata, events[0].error, events[0].type, after - before >= 20000000);
    s[0].u.u.clock.flags = __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME;
    s[0].u.u.clock.timeout = before;
    e = __wasi_poll_oneoff(s, events, 1, &n);
    printf("past: %d %d %llu\n", e, (int)n, events[0].userdata);
    file("f", "12345");
    int fd = open_at("open", ROOT, "f", 0, 0, READ | WRITE, 0);
    s[0].u.u.clock.flags = 0;
    s[0].u.u.clock.timeout = 10000000000ull;
    s[1].userdata = 7;
    s[1].u.tag = __WASI_EVENTTYPE_FD_READ;
    s[1].u.u.fd_read.file_descriptor = fd;
    e = __wasi_poll_oneoff(s, events, 2, &n);
    printf("file: %d %d %llu %d %d bytes %llu\n", e, (int)n, events[0].userdata, events[0].error, events[0].type, events[0].fd_readwrite.nbytes);
    s[1].u.tag = __WASI_EVENTTYPE_FD_WRITE;
    s[1].u.u.fd_write.file_descriptor = 1;
    e = __wasi_poll_oneoff(s, events, 2, &n);
    printf("stdout: %d %d %llu %d %d\n", e, (int)n, events[0].userdata, events[0].error, events[0].type);
    s[1].u.tag = __WASI_EVENTTYPE_FD_READ;
    s[1].u.u.fd_read.file_descriptor = 0;
    e = __wasi_poll_oneoff(s, events, 2, &n);
    printf("stdin: %d %d %llu %d %d\n", e, (int)n, events[0].userdata, events[0].error, events[0].type);
    s[1].u.u.fd_read.file_descriptor = 99;
    s[0].u.u.clock.timeout = 1000000;
    e = __wasi_poll_oneoff(s, events, 2, &n);
    printf("bad descriptor: %d\n", e);
    s[0].u.u.clock.id = 77;
    e = __wasi_poll_oneoff(s, events, 1, &n);
    printf("bad clock: %d\n", e);
}

static void environment(int argc, char **argv) {
    for (int i = 0; i < argc; i++)
        printf("arg %d: %s\n", i, argv[i]);
    extern char **__wasilibc_environ;
    printf("A: %s\nB: %s\n", getenv("A"), getenv("B"));
    char line[64];
    while (fgets(line, sizeof line, stdin))
        printf("in: %s", line);
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "opening")) opening();
    else if (!strcmp(what, "reading")) reading();
    else if (!strcmp(what, "tree")) tree();
    else if (!strcmp(what, "listing")) listing();
    else if (!strcmp(what, "times")) times();
    else if (!strcmp(what, "descriptors")) descriptors();
    else if (!strcmp(what, "polling")) polling();
    else if (!strcmp(what, "environment")) environment(argc, argv);
    else return 99;
    return 17;
}
