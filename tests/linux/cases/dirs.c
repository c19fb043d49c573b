/* about: Directories: reading, rewinding, mkdir, rmdir, unlink. */
/* calls: chdir getcwd getdents64 mkdir rmdir unlink unlinkat */
#include "../check.h"
static int by_name(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }
static void list(const char *path)
{
    DIR *d = opendir(path);
    if (!d) {
        say("opendir %s: %s", path, name_of(errno));
        return;
    }
    char *names[600], text[600][280];
    int n = 0;
    struct dirent *e;
    while ((e = readdir(d)) && n < 600) {
        snprintf(text[n], 280, "%s/%d", e->d_name, e->d_type);
        names[n] = text[n];
        n++;
    }
    qsort(names, n, sizeof *names, by_name);
    say("%s has %d", path, n);
    for (int i = 0; i < n && i < 12; i++) say("  %s", names[i]);
    rewinddir(d);
    int again = 0;
    while (readdir(d)) again++;
    say("  again %d", again);
    closedir(d);
}
int main(void)
{
    umask(0);
    TRY(mkdir("d", 01777));
    TRY(mkdir("d", 0777));
    TRY(mkdir("none/d", 0777));
    TRY(mkdir("", 0777));
    put("d/f", "x");
    symlink("f", "d/l");
    mkfifo("d/p", 0600);
    mkdir("d/s", 0700);
    list("d");
    TRY(rmdir("d"));
    TRY(rmdir("d/f"));
    TRY(rmdir("none"));
    TRY(rmdir("."));
    TRY(rmdir("d/s/.."));
    TRY(unlink("d/s"));
    TRY(unlink("none"));
    TRY(unlink("d/f/"));
    TRY(rmdir("d/s/"));
    TRY(unlinkat(AT_FDCWD, "d/l", 0));
    TRY(unlinkat(AT_FDCWD, "d/f", AT_REMOVEDIR));
    TRY(unlinkat(AT_FDCWD, "d/f", 0x8000));
    mkdir("many", 0755);
    char name[300];
    for (int i = 0; i < 500; i++) {
        snprintf(name, 300, "many/a-rather-long-name-%d", i);
        put(name, "");
    }
    list("many");
    list("none");
    list("d/f");
    int d = open("many", O_RDONLY);
    char b[64];
    TRY(syscall(SYS_getdents64, d, b, 64L) > 0);
    TRY(syscall(SYS_getdents64, d, b, 8L));
    TRY(syscall(SYS_getdents64, open("d/f", O_RDONLY), b, 64L));
    TRY(unlink("many/a-rather-long-name-3"));
    memset(name, 'n', 255);
    name[255] = 0;
    TRY(mkdir(name, 0700));
    name[255] = 'n';
    name[256] = 0;
    TRY(mkdir(name, 0700));
    DIR *dir = opendir("many");
    readdir(dir);
    readdir(dir);
    long at = telldir(dir);
    struct dirent *e = readdir(dir);
    char first[300];
    strcpy(first, e->d_name);
    readdir(dir);
    seekdir(dir, at);
    e = readdir(dir);
    say("seekdir %d", strcmp(first, e->d_name));
    TRY(dirfd(dir) >= 0);
    closedir(dir);
    int gone = open("d/f", O_RDWR);
    mkdir("x", 0700);
    chdir("x");
    rmdir("../x");
    TRY(mkdir("y", 0700));
    char cwd[100];
    TRYP(getcwd(cwd, 100));
    return 0;
}
