/* about: TCP and UDP over loopback. */
/* calls: getpeername */
#include "../check.h"
#include <netdb.h>
static struct sockaddr_in in(int port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return a;
}
int main(void)
{
    struct sockaddr_in a = in(0), p;
    socklen_t l = sizeof a;
    char b[100] = "";
    int s = TRY(socket(AF_INET, SOCK_STREAM, 0));
    int one = 1;
    TRY(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, 4));
    TRY(bind(s, (void *)&a, sizeof a));
    TRY(getsockname(s, (void *)&a, &l));
    say("%d %d %x", (int)l, a.sin_port != 0, ntohl(a.sin_addr.s_addr));
    TRY(listen(s, 3));
    pid_t k = fork();
    if (!k) {
        int c = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(c, (void *)&a, sizeof a)) say("connect %s", name_of(errno));
        write(c, "hello", 5);
        char r[9] = "";
        read(c, r, 8);
        say("child got %s", r);
        _exit(0);
    }
    l = sizeof p;
    int c = TRY(accept(s, (void *)&p, &l));
    say("family %d addr %x len %d", p.sin_family, ntohl(p.sin_addr.s_addr), (int)l);
    TRY(recv(c, b, 5, MSG_WAITALL));
    say("%s", b);
    int sent = write(c, "world", 5);
    waitpid(k, 0, 0);
    say("sent %d", sent);
    TRY(read(c, b, 1));
    TRY(getpeername(c, (void *)&p, &l));
    close(c);
    int n = TRY(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    TRY(connect(n, (void *)&a, sizeof a));
    struct pollfd f = {n, POLLOUT};
    TRY(poll(&f, 1, 1000));
    int e = -1;
    l = 4;
    TRY(getsockopt(n, SOL_SOCKET, SO_ERROR, &e, &l));
    say("%d", e);
    c = accept(s, 0, 0);
    TRY(shutdown(c, SHUT_RD));
    TRY(shutdown(c, SHUT_WR));
    TRY(read(n, b, 1));
    TRY(setsockopt(n, IPPROTO_TCP, TCP_NODELAY, &one, 4));
    TRY(getsockopt(n, IPPROTO_TCP, TCP_NODELAY, &e, &l));
    say("%d", e);
    struct linger li = {1, 0};
    TRY(setsockopt(c, SOL_SOCKET, SO_LINGER, &li, sizeof li));
    close(c);
    TRY(shutdown(s, 9));
    TRY(shutdown(-1, 0));
    close(s);
    struct sockaddr_in dead = a;
    c = socket(AF_INET, SOCK_STREAM, 0);
    TRY(connect(c, (void *)&dead, sizeof dead));
    n = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    TRY(connect(n, (void *)&dead, sizeof dead));
    f.fd = n;
    poll(&f, 1, 1000);
    say("%x", f.revents);
    l = 4;
    getsockopt(n, SOL_SOCKET, SO_ERROR, &e, &l);
    say("%s", name_of(e));
    int u = socket(AF_INET, SOCK_DGRAM, 0), v = socket(AF_INET, SOCK_DGRAM, 0);
    a = in(0);
    bind(u, (void *)&a, sizeof a);
    l = sizeof a;
    getsockname(u, (void *)&a, &l);
    TRY(sendto(v, "datagram", 8, 0, (void *)&a, sizeof a));
    l = sizeof p;
    TRY(recvfrom(u, b, 4, MSG_TRUNC, (void *)&p, &l));
    say("%d %d", p.sin_family, (int)l);
    TRY(connect(v, (void *)&a, sizeof a));
    struct iovec w[2] = {{"ab", 2}, {"cd", 2}};
    struct mmsghdr mm[3] = {{{.msg_iov = w, .msg_iovlen = 2}}, {{.msg_iov = w, .msg_iovlen = 1}},
        {{.msg_iov = w + 1, .msg_iovlen = 1}}};
    TRY(sendmmsg(v, mm, 3, 0));
    say("%u %u %u", mm[0].msg_len, mm[1].msg_len, mm[2].msg_len);
    char r1[9], r2[9];
    struct iovec rv[2] = {{r1, 9}, {r2, 9}};
    struct sockaddr_in from;
    struct mmsghdr rm[2] = {
        {{.msg_iov = rv, .msg_iovlen = 1, .msg_name = &from, .msg_namelen = sizeof from}},
        {{.msg_iov = rv + 1, .msg_iovlen = 1}}};
    TRY(recvmmsg(u, rm, 2, MSG_WAITFORONE, 0));
    say("%u %.4s %u %.2s name %d", rm[0].msg_len, r1, rm[1].msg_len, r2,
        (int)rm[0].msg_hdr.msg_namelen);
    TRY(recvmmsg(u, rm, 2, MSG_DONTWAIT, 0));
    TRY(recvmmsg(u, rm, 2, MSG_DONTWAIT, 0));
    TRY(send(u, "x", 1, 0));
    static char big[70000];
    TRY(send(v, big, 70000, 0));
    TRY(socket(AF_INET, SOCK_STREAM, 99));
    TRY(socket(99, SOCK_STREAM, 0));
    TRY(socket(AF_INET, 55, 0));
    TRY(bind(socket(AF_INET, SOCK_STREAM, 0), (void *)&a, 3));
    a.sin_addr.s_addr = htonl(0x01020304);
    TRY(bind(socket(AF_INET, SOCK_STREAM, 0), (void *)&a, sizeof a));
    TRY(listen(u, 1));
    TRY(accept(u, 0, 0));
    int s6 = TRY(socket(AF_INET6, SOCK_STREAM, 0) > 0);
    (void)s6;
    struct addrinfo h = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM},
                    *ai;
    TRY(getaddrinfo("127.0.0.1", "80", &h, &ai));
    say("%d %d", ai->ai_family, ntohs(((struct sockaddr_in *)ai->ai_addr)->sin_port));
    TRY(getaddrinfo("::1", "443", &h, &ai));
    say("%d", ai->ai_family == AF_INET6);
    struct sockaddr_in lo = in(0);
    inet_ntop(AF_INET, &lo.sin_addr, b, 100);
    say("%s", b);
    return 0;
}
