/* about: Pipes: ends, capacity, EPIPE, SIGPIPE, atomic writes; sendfile, splice, tee, copy_file_range. */
/* calls: copy_file_range pipe sendfile splice tee vmsplice */
#include "../check.h"
static void broken(void)
{
    int p[2];
    pipe(p);
    close(p[0]);
    write(p[1], "x", 1);
}
static int got;
static void on(int s) { got = s; }
int main(void)
{
    int p[2], q[2];
    static char b[70000];
    TRY(pipe(p));
    TRY(write(p[1], "abc", 3));
    TRY(read(p[0], b, 10));
    fcntl(p[1], F_SETFL, O_NONBLOCK);
    fcntl(p[0], F_SETFL, O_NONBLOCK);
    TRY(read(p[0], b, 1));
    TRY(write(p[1], b, 70000));
    TRY(write(p[1], b, 4096));
    TRY(write(p[1], b, 1));
    int n = 0;
    TRY(ioctl(p[0], FIONREAD, &n));
    say("%d", n);
    TRY(read(p[0], b, 70000));
    close(p[1]);
    TRY(read(p[0], b, 1));
    close(p[0]);
    CHILD(broken());
    signal(SIGPIPE, on);
    pipe(p);
    close(p[0]);
    TRY(write(p[1], "x", 1));
    say("got %d", got);
    signal(SIGPIPE, SIG_IGN);
    TRY(write(p[1], "x", 1));
    close(p[1]);
    put("f", "0123456789abcdef");
    int f = open("f", O_RDWR);
    pipe(p);
    pipe(q);
    off_t at = 2;
    TRY(sendfile(p[1], f, &at, 5));
    say("at %ld", (long)at);
    TRY(read(p[0], b, 50));
    say("%.5s", b);
    TRY(sendfile(p[1], f, 0, 4));
    TRY(lseek(f, 0, SEEK_CUR));
    TRY(sendfile(p[1], f, 0, 100));
    TRY(sendfile(p[1], f, 0, 100));
    TRY(sendfile(p[1], p[0], 0, 4));
    TRY(sendfile(99, f, 0, 4));
    memset(b, 0, 50);
    TRY(read(p[0], b, 50));
    say("%s", b);
    loff_t in = 3;
    TRY(splice(f, &in, p[1], 0, 6, 0));
    say("in %ld", (long)in);
    TRY(tee(p[0], q[1], 4, 0));
    memset(b, 0, 50);
    TRY(read(q[0], b, 50));
    say("%s", b);
    TRY(splice(p[0], 0, q[1], 0, 100, 0));
    TRY(splice(f, &in, f, 0, 1, 0));
    TRY(splice(p[0], &in, q[1], 0, 1, 0));
    int g = open("g", O_CREAT | O_RDWR, 0600);
    TRY(splice(q[0], 0, g, 0, 100, 0));
    show("g");
    loff_t i = 4, o = 1;
    TRY(copy_file_range(f, &i, g, &o, 5, 0));
    say("%ld %ld", (long)i, (long)o);
    show("g");
    TRY(copy_file_range(f, &i, f, &i, 5, 0));
    TRY(copy_file_range(f, &i, g, &o, 5, 1));
    TRY(copy_file_range(f, &i, p[1], 0, 5, 0));
    struct iovec v = {"vm", 2};
    TRY(vmsplice(p[1], &v, 1, 0));
    memset(b, 0, 9);
    TRY(read(p[0], b, 9));
    say("%s", b);
    pid_t c = fork();
    if (!c) {
        close(p[1]);
        long sum = 0, r;
        while ((r = read(p[0], b, 1000)) > 0) sum += r;
        say("sum %ld", sum);
        _exit(0);
    }
    close(p[0]);
    for (int k = 0; k < 20; k++) write(p[1], b, 10000);
    close(p[1]);
    waitpid(c, 0, 0);
    return 0;
}
