/* about: Extended attributes. */
/* calls: fgetxattr flistxattr fremovexattr fsetxattr getxattr lgetxattr listxattr llistxattr lsetxattr
 * removexattr setxattr */
#include "../check.h"
static int cmp(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }
static void names(char *b, int n)
{
    char *v[16];
    int c = 0;
    for (int i = 0; i < n; i += strlen(b + i) + 1) v[c++] = b + i;
    qsort(v, c, sizeof *v, cmp);
    for (int i = 0; i < c; i++) say("  %s", v[i]);
}
int main(void)
{
    char b[200] = "";
    put("f", "x");
    symlink("f", "l");
    int f = open("f", O_RDWR);
    TRY(setxattr("f", "user.a", "1234", 4, 0));
    TRY(setxattr("f", "user.a", "12", 2, XATTR_CREATE));
    TRY(setxattr("f", "user.b", "12", 2, XATTR_REPLACE));
    TRY(fsetxattr(f, "user.b", "xyz", 3, 0));
    TRY(getxattr("f", "user.a", b, 200));
    say("%.4s", b);
    TRY(getxattr("l", "user.b", b, 0));
    TRY(getxattr("f", "user.a", b, 2));
    TRY(getxattr("f", "user.none", b, 2));
    int n = TRY(listxattr("f", b, 200));
    names(b, n);
    TRY(flistxattr(f, b, 0));
    TRY(listxattr("f", b, 3));
    TRY(lgetxattr("l", "user.a", b, 9));
    TRY(fgetxattr(f, "user.b", b, 9));
    TRY(lsetxattr("l", "user.a", "1", 1, 0));
    TRY(setxattr("f", "bad", "1", 1, 0));
    TRY(setxattr("f", "nope.x", "1", 1, 0));
    TRY(setxattr("none", "user.a", "1", 1, 0));
    TRY(setxattr("f", "user.a", "1", 1, 99));
    TRY(removexattr("f", "user.a"));
    TRY(removexattr("f", "user.a"));
    TRY(fremovexattr(f, "user.b"));
    TRY(llistxattr("l", b, 200));
    TRY(setxattr("f", "user.big", b, 70000, 0));
    TRY(setxattr("f", "user.", b, 1, 0));
    TRY(setxattr("f", "trusted.t", "t", 1, 0));
    n = TRY(listxattr("f", b, 200));
    names(b, n);
    TRY(fgetxattr(-1, "user.a", b, 2));
    return 0;
}
