/* about: inotify: events, their order and layout. */
/* calls: inotify_add_watch inotify_init1 inotify_rm_watch */
#include "../check.h"
static void events(int i)
{
    char b[4096] __attribute__((aligned(8)));
    long n = read(i, b, sizeof b);
    if (n < 0) {
        say("read %s", name_of(errno));
        return;
    }
    for (char *p = b; p < b + n;) {
        struct inotify_event *e = (void *)p;
        say("wd %d mask %x cookie %d len %d `%s'", e->wd, e->mask, e->cookie != 0, e->len,
            e->len ? e->name : "");
        p += sizeof *e + e->len;
    }
}
int main(void)
{
    mkdir("d", 0700);
    int i = TRY(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    TRY(inotify_init1(12345));
    int w = TRY(inotify_add_watch(i, "d", IN_ALL_EVENTS));
    TRY(inotify_add_watch(i, "none", IN_CREATE));
    TRY(inotify_add_watch(i, "d", 0));
    TRY(inotify_add_watch(0, "d", IN_CREATE));
    events(i);
    put("d/f", "text");
    events(i);
    rename("d/f", "d/a-longer-name-here");
    events(i);
    chmod("d/a-longer-name-here", 0600);
    unlink("d/a-longer-name-here");
    events(i);
    mkdir("d/s", 0700);
    rmdir("d/s");
    events(i);
    int n = -1;
    put("d/x", "");
    ioctl(i, FIONREAD, &n);
    say("%d", n);
    char small[8];
    TRY(read(i, small, 8));
    events(i);
    put("one", "");
    TRY(inotify_add_watch(i, "one", IN_MODIFY | IN_ONESHOT));
    put("one", "x");
    put("one", "y");
    events(i);
    TRY(inotify_rm_watch(i, w));
    events(i);
    TRY(inotify_rm_watch(i, w));
    struct pollfd p = {i, POLLIN};
    TRY(poll(&p, 1, 0));
    w = inotify_add_watch(i, "d", IN_DELETE_SELF);
    unlink("d/x");
    rmdir("d");
    TRY(poll(&p, 1, 100));
    events(i);
    return 0;
}
