/* about: Unix sockets: pairs, streams, datagrams, descriptors and credentials in messages. */
/* calls: accept accept4 bind connect getsockname listen recvfrom recvmmsg recvmsg sendmmsg sendmsg sendto
 * shutdown socket socketpair */
#include "../check.h"
static struct sockaddr_un un(const char *p)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    strcpy(a.sun_path, p);
    return a;
}
#define LEN(a) (offsetof(struct sockaddr_un, sun_path) + strlen((a).sun_path) + 1)
int main(void)
{
    int s[2], d[2];
    char b[100] = "";
    TRY(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s));
    TRY(fcntl(s[0], F_GETFD));
    TRY(socketpair(AF_UNIX, SOCK_DGRAM, 0, d));
    TRY(socketpair(AF_INET, SOCK_STREAM, 0, d + 0));
    TRY(socketpair(AF_UNIX, 99, 0, s + 0));
    TRY(write(s[0], "one", 3));
    TRY(send(s[0], "two", 3, 0));
    TRY(recv(s[1], b, 4, MSG_PEEK));
    TRY(recv(s[1], b, 100, 0));
    say("%.6s", b);
    TRY(recv(s[1], b, 1, MSG_DONTWAIT));
    socketpair(AF_UNIX, SOCK_DGRAM, 0, d);
    TRY(send(d[0], "first", 5, 0));
    TRY(send(d[0], "", 0, 0));
    TRY(send(d[0], "third", 5, 0));
    TRY(recv(d[1], b, 3, 0));
    TRY(recv(d[1], b, 9, 0));
    TRY(recv(d[1], b, 2, MSG_TRUNC));
    TRY(send(d[0], b, 100, MSG_DONTWAIT));
    struct iovec v[3] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 3};
    TRY(sendmsg(s[0], &m, 0));
    char x[3] = "", y[9] = "";
    struct iovec r[2] = {{x, 2}, {y, 8}};
    m = (struct msghdr){.msg_iov = r, .msg_iovlen = 2};
    TRY(recvmsg(s[1], &m, 0));
    say("%s %s flags %x", x, y, m.msg_flags);
    m.msg_iovlen = 1;
    recv(d[1], b, 100, 0);
    send(d[0], "longer", 6, 0);
    TRY(recvmsg(d[1], &m, 0));
    say("flags %x", m.msg_flags);
    m.msg_iovlen = 2000;
    TRY(sendmsg(s[0], &m, 0));
    put("f", "passed");
    int f = open("f", O_RDONLY), p[2];
    pipe(p);
    union {
        char c[200];
        struct cmsghdr h;
    } c;
    memset(&c, 0, sizeof c);
    m = (struct msghdr){
        .msg_iov = v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = CMSG_SPACE(8)};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(8);
    memcpy(CMSG_DATA(h), (int[]){f, p[1]}, 8);
    TRY(sendmsg(s[0], &m, 0));
    close(f);
    close(p[1]);
    memset(&c, 0, sizeof c);
    m.msg_iov = r;
    m.msg_controllen = sizeof c;
    TRY(recvmsg(s[1], &m, MSG_CMSG_CLOEXEC));
    h = CMSG_FIRSTHDR(&m);
    say("level %d type %d len %d flags %x", h->cmsg_level, h->cmsg_type,
        (int)(h->cmsg_len - CMSG_LEN(0)), m.msg_flags);
    int got[2];
    memcpy(got, CMSG_DATA(h), 8);
    memset(b, 0, 100);
    TRY(read(got[0], b, 50));
    say("%s", b);
    TRY(fcntl(got[0], F_GETFD));
    TRY(write(got[1], "via", 3));
    TRY(read(p[0], b, 3));
    say("next %d", CMSG_NXTHDR(&m, h) != 0);
    int one = 1;
    TRY(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof one));
    write(s[0], "c", 1);
    m.msg_controllen = sizeof c;
    TRY(recvmsg(s[1], &m, 0));
    h = CMSG_FIRSTHDR(&m);
    struct ucred u;
    if (h) {
        memcpy(&u, CMSG_DATA(h), sizeof u);
        say("type %d pid %d uid %d gid %d", h->cmsg_type, u.pid == getpid(), u.uid, u.gid);
    }
    socklen_t l = sizeof u;
    TRY(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &u, &l));
    say("%d %d %d", (int)l, u.pid == getpid(), u.uid);
    /* What does not fit is dropped, and said. */
    memset(&c, 0, sizeof c);
    m = (struct msghdr){
        .msg_iov = v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = CMSG_SPACE(8)};
    h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(8);
    memcpy(CMSG_DATA(h), (int[]){1, 1}, 8);
    TRY(sendmsg(d[0], &m, 0));
    m.msg_iov = r;
    m.msg_controllen = 0;
    TRY(recvmsg(d[1], &m, 0));
    say("flags %x controllen %d", m.msg_flags, (int)m.msg_controllen);
    m.msg_iov = v;
    m.msg_controllen = CMSG_SPACE(8);
    memset(&c, 0, sizeof c);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(8);
    memcpy(CMSG_DATA(h), (int[]){1, 99}, 8);
    TRY(sendmsg(d[0], &m, 0));
    h->cmsg_len = 3;
    TRY(sendmsg(d[0], &m, 0));
    h->cmsg_len = 5000;
    TRY(sendmsg(d[0], &m, 0));
    struct sockaddr_un a = un("sock"), q;
    int k = TRY(socket(AF_UNIX, SOCK_STREAM, 0));
    TRY(bind(k, (void *)&a, LEN(a)));
    TRY(bind(k, (void *)&a, LEN(a)));
    TRY(listen(k, 5));
    l = sizeof q;
    TRY(getsockname(k, (void *)&q, &l));
    say("%d %s", (int)l, q.sun_path);
    int cl = socket(AF_UNIX, SOCK_STREAM, 0);
    TRY(connect(cl, (void *)&a, LEN(a)));
    TRY(connect(cl, (void *)&a, LEN(a)));
    l = sizeof q;
    int ac = TRY(accept4(k, (void *)&q, &l, SOCK_NONBLOCK));
    say("len %d", (int)l);
    TRY(recv(ac, b, 1, 0));
    TRY(write(cl, "hi", 2));
    TRY(read(ac, b, 9));
    TRY(shutdown(cl, SHUT_WR));
    TRY(read(ac, b, 9));
    TRY(send(cl, "x", 1, MSG_NOSIGNAL));
    close(ac);
    TRY(read(cl, b, 1));
    TRY(accept4(k, 0, 0, 5));
    fcntl(k, F_SETFL, O_NONBLOCK);
    TRY(accept(k, 0, 0));
    TRY(accept(cl, 0, 0));
    struct sockaddr_un none = un("none");
    TRY(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&none, LEN(none)));
    TRY(bind(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&a, LEN(a)));
    struct stat st;
    stat("sock", &st);
    say("%o", st.st_mode & S_IFMT);
    close(k);
    TRY(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&a, LEN(a)));
    int dg = socket(AF_UNIX, SOCK_DGRAM, 0), dc = socket(AF_UNIX, SOCK_DGRAM, 0);
    struct sockaddr_un da = un("dgram"), ca = un("client");
    bind(dg, (void *)&da, LEN(da));
    bind(dc, (void *)&ca, LEN(ca));
    TRY(sendto(dc, "data", 4, 0, (void *)&da, LEN(da)));
    l = sizeof q;
    TRY(recvfrom(dg, b, 9, 0, (void *)&q, &l));
    say("from %s %d", q.sun_path, (int)l);
    l = 4;
    sendto(dc, "data", 4, 0, (void *)&da, LEN(da));
    recvfrom(dg, b, 9, 0, (void *)&q, &l);
    say("len %d", (int)l);
    int sq[2];
    TRY(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sq));
    send(sq[0], "ab", 2, 0);
    send(sq[0], "cd", 2, 0);
    TRY(recv(sq[1], b, 9, 0));
    TRY(recv(-1, b, 9, 0));
    struct iovec parts[2] = {{"one", 3}, {"three", 5}};
    struct mmsghdr both[2] = {{{.msg_iov = parts, .msg_iovlen = 1}},
                              {{.msg_iov = parts + 1, .msg_iovlen = 1}}};
    recv(sq[1], b, 9, 0);
    TRY(syscall(SYS_sendmmsg, sq[0], both, 2, 0));
    say("sent %u %u", both[0].msg_len, both[1].msg_len);
    char texts[2][9] = {{0}};
    parts[0] = (struct iovec){texts[0], 8};
    parts[1] = (struct iovec){texts[1], 8};
    TRY(syscall(SYS_recvmmsg, sq[1], both, 2, MSG_DONTWAIT, 0L));
    say("got %u %s, %u %s", both[0].msg_len, texts[0], both[1].msg_len, texts[1]);
    TRY(syscall(SYS_recvmmsg, sq[1], both, 2, MSG_DONTWAIT, 0L));
    TRY(recv(f = open("f", O_RDONLY), b, 9, 0));
    return 0;
}
