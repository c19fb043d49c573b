/* about: Pseudo-terminals, termios, window size, job control. */
/* calls: ioctl */
#include "../check.h"
static volatile int winch;
static void on(int s) { winch = s; }
int main(void)
{
    struct termios t;
    struct winsize w;
    char b[200] = "";
    TRY(isatty(0));
    TRY(tcgetattr(0, &t));
    TRY(ioctl(0, TIOCGWINSZ, &w));
    TRY(isatty(99));
    TRYP(ttyname(0));
    int m = TRY(posix_openpt(O_RDWR | O_NOCTTY));
    TRY(grantpt(m));
    TRY(unlockpt(m));
    char *n = TRYP(ptsname(m));
    say("%d", n && !strncmp(n, "/dev/pts/", 9));
    int s = TRY(open(n, O_RDWR | O_NOCTTY));
    if (s < 0) return 1;
    TRY(isatty(s));
    TRYP(ttyname(s));
    TRY(tcgetattr(s, &t));
    say("i %x o %x c %x l %x", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag);
    for (int i = 0; i < 17; i++) say("cc %d %d", i, t.c_cc[i]);
    say("speed %d %d", cfgetospeed(&t), cfgetispeed(&t));
    TRY(write(m, "typed\n", 6));
    TRY(read(s, b, 100));
    say("%.5s", b);
    TRY(read(m, b, 100));
    TRY(write(s, "a\n", 2));
    TRY(read(m, b, 100));
    say("%d %d", b[1], b[2]);
    w = (struct winsize){40, 120, 3, 4};
    TRY(ioctl(m, TIOCSWINSZ, &w));
    memset(&w, 0, sizeof w);
    TRY(ioctl(s, TIOCGWINSZ, &w));
    say("%d %d %d %d", w.ws_row, w.ws_col, w.ws_xpixel, w.ws_ypixel);
    cfmakeraw(&t);
    TRY(tcsetattr(s, TCSANOW, &t));
    TRY(tcgetattr(s, &t));
    say("i %x o %x l %x min %d", t.c_iflag, t.c_oflag, t.c_lflag, t.c_cc[VMIN]);
    write(m, "x", 1);
    TRY(read(s, b, 9));
    t.c_cc[VMIN] = 0;
    t.c_cc[VTIME] = 1;
    TRY(tcsetattr(s, TCSADRAIN, &t));
    TRY(read(s, b, 9));
    TRY(tcflush(s, TCIOFLUSH));
    TRY(tcdrain(s));
    TRY(tcsendbreak(s, 0));
    TRY(tcgetpgrp(s));
    TRY(ioctl(m, TIOCSTI, "x"));
    pid_t p = fork();
    if (!p) {
        setsid();
        TRY(ioctl(s, TIOCSCTTY, 0));
        TRY(tcgetpgrp(s) == getpid());
        TRY(open("/dev/tty", O_RDWR) > 0);
        TRY(tcgetsid(s) == getpid());
        signal(SIGWINCH, on);
        kill(getpid(), 0);
        t.c_lflag |= ISIG | ICANON;
        tcsetattr(s, TCSANOW, &t);
        write(s, "R", 1);
        signal(SIGINT, SIG_DFL);
        for (;;) {
            pause_ms(2);
            if (winch) {
                say("winch %d", winch);
                winch = 0;
                write(s, "W", 1);
            }
        }
    }
    do read(m, b, 1);
    while (*b != 'R');
    w.ws_row = 41;
    ioctl(m, TIOCSWINSZ, &w);
    read(m, b, 1);
    TRY(write(m, "\003", 1));
    int st;
    waitpid(p, &st, 0);
    say_status("interrupted", st);
    close(s);
    TRY(read(m, b, 10));
    p = fork();
    if (!p) {
        setsid();
        int q = open(n, O_RDWR);
        TRY(tcgetpgrp(q) == getpid());
        pid_t k = fork();
        if (!k) {
            setpgid(0, 0);
            signal(SIGTTOU, SIG_DFL);
            read(q, b, 1);
            _exit(0);
        }
        setpgid(k, k);
        waitpid(k, &st, WUNTRACED);
        say_status("background read", st);
        signal(SIGTTOU, SIG_IGN);
        TRY(tcsetpgrp(q, k));
        TRY(tcgetpgrp(q) == k);
        kill(k, SIGKILL);
        waitpid(k, 0, 0);
        TRY(tcsetpgrp(q, 999999));
        _exit(0);
    }
    waitpid(p, 0, 0);
    return 0;
}
