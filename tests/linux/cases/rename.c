/* about: rename, renameat, renameat2. */
/* calls: access rename renameat renameat2 */
#include "../check.h"
int main(void)
{
    put("a", "a");
    put("b", "b");
    TRY(rename("a", "c"));
    TRY(rename("a", "c"));
    TRY(rename("c", "b"));
    show("b");
    mkdir("d", 0700);
    mkdir("e", 0700);
    put("e/x", "x");
    TRY(rename("d", "e"));
    TRY(rename("b", "d"));
    TRY(rename("d", "b"));
    TRY(rename("d", "d/sub"));
    TRY(rename("e", "d"));
    show("d/x");
    TRY(rename("d/x", "none/x"));
    TRY(rename("b", "b"));
    TRY(link("b", "b2"));
    TRY(rename("b", "b2"));
    TRY(access("b", F_OK));
    put("p", "p");
    put("q", "q");
    TRY(syscall(SYS_renameat2, AT_FDCWD, "p", AT_FDCWD, "q", 1));
    TRY(syscall(SYS_renameat2, AT_FDCWD, "p", AT_FDCWD, "q", 2));
    show("p");
    show("q");
    TRY(syscall(SYS_renameat2, AT_FDCWD, "p", AT_FDCWD, "none", 2));
    TRY(syscall(SYS_renameat2, AT_FDCWD, "p", AT_FDCWD, "q", 3));
    TRY(syscall(SYS_renameat2, AT_FDCWD, "p", AT_FDCWD, "q", 64));
    int d = open("d", O_RDONLY);
    TRY(renameat(AT_FDCWD, "p", d, "moved"));
    show("d/moved");
    TRY(renameat(d, "moved", AT_FDCWD, "back"));
    TRY(renameat(99, "moved", AT_FDCWD, "back"));
    TRY(rename(".", "z"));
    TRY(rename("back", "/proc/z"));
    return 0;
}
