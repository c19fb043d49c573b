/* about: link, symlink, readlink and their *at forms. */
/* calls: link linkat readlink readlinkat symlink symlinkat */
#include "../check.h"
int main(void)
{
    struct stat s;
    char b[300];
    put("f", "f");
    TRY(link("f", "g"));
    stat("f", &s);
    say("links %ld", (long)s.st_nlink);
    TRY(link("f", "g"));
    TRY(link("none", "h"));
    mkdir("d", 0700);
    TRY(link("d", "d2"));
    TRY(symlink("f", "l"));
    TRY(symlink("f", "l"));
    TRY(symlink("", "empty"));
    TRY(symlink("x", "none/l"));
    memset(b, 0, 300);
    TRY(readlink("l", b, 300));
    say("%s", b);
    TRY(readlink("f", b, 300));
    TRY(readlink("none", b, 300));
    TRY(syscall(SYS_readlink, "l", b, 0L));
    symlink("a-longer-target", "m");
    memset(b, 0, 300);
    TRY(readlink("m", b, 4));
    say("%s", b);
    TRY(linkat(AT_FDCWD, "l", AT_FDCWD, "l2", 0));
    lstat("l2", &s);
    say("%o", s.st_mode & S_IFMT);
    TRY(linkat(AT_FDCWD, "l", AT_FDCWD, "l3", AT_SYMLINK_FOLLOW));
    lstat("l3", &s);
    say("%o", s.st_mode & S_IFMT);
    TRY(linkat(AT_FDCWD, "l", AT_FDCWD, "l4", 8));
    int d = open("d", O_RDONLY);
    TRY(symlinkat("../f", d, "up"));
    memset(b, 0, 300);
    TRY(readlinkat(d, "up", b, 300));
    say("%s", b);
    show("d/up");
    int p = open("l", O_PATH | O_NOFOLLOW);
    memset(b, 0, 300);
    TRY(readlinkat(p, "", b, 300));
    say("%s", b);
    TRY(readlinkat(77, "l", b, 300));
    int f = open(".", O_TMPFILE | O_RDWR, 0600);
    write(f, "tmp", 3);
    char path[64];
    snprintf(path, 64, "/proc/self/fd/%d", f);
    TRY(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    show("named");
    symlink("b1", "a1");
    symlink("c1", "b1");
    put("c1", "end");
    show("a1");
    TRYP(realpath("d/up", b));
    say("%s", b);
    TRYP(realpath("none", b));
    TRYP(realpath("loop/../f", b));
    return 0;
}
