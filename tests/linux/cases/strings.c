/* about: What looks at strings a block at a time: every length and alignment, up to the end of the memory. */
#include "../check.h"
enum { PAGE = 4096, MOST = 70 };
static char *edge;
/* A place for so many bytes, at the end of the memory but for some. */
static char *place(int len, int before_end) { return edge - before_end - len; }
static int sign(int n) { return (n > 0) - (n < 0); }
static void lengths(void)
{
    unsigned sum = 0;
    for (int len = 0; len < MOST; len++)
        for (int gap = 0; gap < 18; gap++) {
            char *s = place(len + 1, gap);
            memset(s - 40, 0, 40);
            memset(s, 'x', len);
            s[len] = 0;
            memset(s + len + 1, 'y', gap);
            if (strlen(s) != len || strnlen(s, len + 7) != len) say("strlen %d %d", len, gap);
            if (strnlen(s, len / 2) != len / 2) say("strnlen %d %d", len, gap);
            sum += strlen(s);
        }
    say("lengths %u", sum);
}
static void search(void)
{
    unsigned sum = 0;
    const char *sets[] = {"", "b", "bc", "zbq", "wzbq", "vwzbq", "\xff" "b", "opqrstuvwzyb"};
    for (int len = 1; len < MOST; len++)
        for (int at = 0; at <= len; at++)
            for (int gap = 0; gap < 18; gap += 5) {
                char *s = place(len + 1, gap);
                memset(s - 20, 'b', 20);
                memset(s, 'a', len);
                s[len] = 0;
                memset(s + len + 1, 'b', gap);
                if (at < len) s[at] = 'b';
                char *expected = at < len ? s + at : NULL;
                if (strchr(s, 'b') != expected) say("strchr %d %d %d", len, at, gap);
                if (strchr(s, 0) != s + len) say("strchr 0 %d %d %d", len, at, gap);
                if (memchr(s, 'b', len) != expected) say("memchr %d %d %d", len, at, gap);
                if (memchr(s, 'b', at)) say("memchr short %d %d %d", len, at, gap);
                if (at < len && memchr(s, 'b', -1) != expected) say("memchr long %d %d %d", len, at, gap);
                for (int set = 0; set < 8; set++) {
                    size_t n = strcspn(s, sets[set]);
                    if (n != (set ? at : len)) say("strcspn %d %d %d %d: %d", len, at, gap, set, (int)n);
                    sum = sum * 31 + n;
                }
            }
    say("search %u", sum);
    char *s = place(2, 0);
    s[0] = '\xe9';
    s[1] = 0;
    say("%d %d %d", strchr(s, 0xe9) == s, memchr(s, 0x1e9, 2) == s, (int)strcspn(s, "x\xe9"));
}
static void compare(void)
{
    static char other[128];
    unsigned sum = 0;
    for (int len = 0; len < MOST; len++)
        for (int at = 0; at <= len; at++)
            for (int gap = 0; gap < 18; gap += 3) {
                char *s = place(len, gap), *o = other + gap * 5 % 16;
                for (int i = 0; i < len; i++) s[i] = o[i] = i * 7 + 130;
                memset(s + len, 1, gap);
                memset(o + len, 2, 16);
                if (at < len) o[at] ^= 0x80, s[len - 1] ^= at == len - 1 ? 0 : 1;
                int expected = at == len ? 0 : (unsigned char)s[at] < (unsigned char)o[at] ? -1 : 1;
                if (sign(memcmp(s, o, len)) != expected) say("memcmp %d %d %d", len, at, gap);
                if (sign(memcmp(o, s, len)) != -expected) say("memcmp back %d %d %d", len, at, gap);
                if (memcmp(s, o, at)) say("memcmp start %d %d %d", len, at, gap);
                sum = sum * 31 + sign(memcmp(s, o, len));
            }
    say("compare %u", sum);
    say("%d", sign(memcmp("\0\1", "\0\2", 2)));
}
int main(void)
{
    char *memory = mmap(0, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TRY(mprotect(memory + PAGE, PAGE, PROT_NONE));
    edge = memory + PAGE;
    lengths();
    search();
    compare();
    return 0;
}
