/* about: A handler of a fault jumps to where main, which has no parameters, has called sigsetjmp itself. */
#include "../check.h"
static sigjmp_buf out;
static void jump(int s)
{
    siglongjmp(out, s);
}
int main(void)
{
    volatile char *page = mmap(0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    signal(SIGSEGV, jump);
    for (int i = 0; i < 3; i++) {
        int s = sigsetjmp(out, 1);
        if (s) {
            say("signal %d", s);
            continue;
        }
        if (i < 2) *page = 1;
        else mprotect((void *)page, 4096, PROT_READ | PROT_WRITE);
        *page = 5;
        say("stored %d", *page);
    }
    return 0;
}
