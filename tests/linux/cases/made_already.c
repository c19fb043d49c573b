/* about: What is there already cannot be made again, programs and the folders that lead to them included. */
/* calls: link linkat mkdir mkdirat mknod mknodat symlink symlinkat */
#include "../check.h"
#include <sys/stat.h>
#include <fcntl.h>
int main(int argc, char **argv)
{
    const char *there[] = {"/usr", "/usr/bin", "/proc", argv[0][0] == '/' ? argv[0] : "/usr/bin"};
    /* A root may have none of them. */
    for (int i = 0; i < 4; i++)
        mkdir(there[i], 0755);
    close(open("plain", O_CREAT | O_WRONLY, 0644));
    for (int i = 0; i < 4; i++) {
        TRY(mkdir(there[i], 0755));
        TRY(mkdirat(AT_FDCWD, there[i], 0755));
        TRY(mknod(there[i], S_IFIFO | 0600, 0));
        TRY(mknodat(AT_FDCWD, there[i], S_IFIFO | 0600, 0));
        TRY(symlink("x", there[i]));
        TRY(symlinkat("x", AT_FDCWD, there[i]));
    }
    TRY(link("plain", "/usr/bin"));
    TRY(linkat(AT_FDCWD, "plain", AT_FDCWD, "/usr/bin", 0));
    TRY(mkdir("plain", 0755));
    TRY(unlink("plain"));
}
