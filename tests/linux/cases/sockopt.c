/* about: Options of sockets. */
/* calls: getsockopt setsockopt */
#include "../check.h"
static void get(int s, int level, int option, const char *what)
{
    unsigned char v[64] = {0};
    socklen_t l = sizeof v;
    if (getsockopt(s, level, option, v, &l)) say("%s: %s", what, name_of(errno));
    else say("%s: len %d value %d", what, (int)l, *(int *)v);
}
#define GET(l, o) get(s, l, o, #o)
#define SET(l, o, v)                                                                               \
    ({                                                                                             \
        int v_ = v;                                                                                \
        errno = 0;                                                                                 \
        long r_ = setsockopt(s, l, o, &v_, sizeof v_);                                             \
        int e_ = errno;                                                                            \
        tried("set " #o, r_, e_);                                                                  \
        get(s, l, o, #o);                                                                          \
    })
int main(void)
{
    int s = socket(AF_INET, SOCK_STREAM, 0);
    GET(SOL_SOCKET, SO_TYPE);
    GET(SOL_SOCKET, SO_DOMAIN);
    GET(SOL_SOCKET, SO_PROTOCOL);
    GET(SOL_SOCKET, SO_ACCEPTCONN);
    GET(SOL_SOCKET, SO_ERROR);
    SET(SOL_SOCKET, SO_REUSEADDR, 1);
    SET(SOL_SOCKET, SO_REUSEPORT, 1);
    SET(SOL_SOCKET, SO_KEEPALIVE, 1);
    SET(SOL_SOCKET, SO_BROADCAST, 1);
    SET(SOL_SOCKET, SO_OOBINLINE, 1);
    SET(SOL_SOCKET, SO_SNDBUF, 10000);
    SET(SOL_SOCKET, SO_RCVBUF, 20000);
    SET(SOL_SOCKET, SO_RCVLOWAT, 5);
    SET(SOL_SOCKET, SO_PRIORITY, 3);
    SET(IPPROTO_TCP, TCP_NODELAY, 1);
    SET(IPPROTO_TCP, TCP_KEEPIDLE, 50);
    SET(IPPROTO_TCP, TCP_KEEPINTVL, 5);
    SET(IPPROTO_TCP, TCP_KEEPCNT, 4);
    SET(IPPROTO_TCP, TCP_CORK, 1);
    SET(IPPROTO_TCP, TCP_DEFER_ACCEPT, 1);
    SET(IPPROTO_TCP, TCP_USER_TIMEOUT, 500);
    SET(IPPROTO_TCP, TCP_FASTOPEN, 5);
    SET(IPPROTO_IP, IP_TTL, 40);
    SET(IPPROTO_IP, IP_TOS, 16);
    struct timeval t = {1, 500000};
    TRY(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
    struct timeval r = {0};
    socklen_t l = sizeof r;
    TRY(getsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &r, &l));
    say("%ld %ld", (long)r.tv_sec, (long)r.tv_usec);
    struct linger g = {1, 5};
    TRY(setsockopt(s, SOL_SOCKET, SO_LINGER, &g, sizeof g));
    GET(SOL_SOCKET, SO_LINGER);
    int v = 1;
    TRY(setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &v, 2));
    TRY(setsockopt(s, SOL_SOCKET, 9999, &v, 4));
    TRY(setsockopt(s, 99, 1, &v, 4));
    TRY(setsockopt(0, SOL_SOCKET, SO_KEEPALIVE, &v, 4));
    GET(SOL_SOCKET, 9999);
    l = 2;
    TRY(getsockopt(s, SOL_SOCKET, SO_TYPE, &v, &l));
    say("%d", (int)l);
    t = (struct timeval){0, 20000};
    int p[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    char c;
    TRY(recv(p[0], &c, 1, 0));
    s = socket(AF_INET6, SOCK_DGRAM, 0);
    SET(IPPROTO_IPV6, IPV6_V6ONLY, 1);
    SET(IPPROTO_IPV6, IPV6_UNICAST_HOPS, 7);
    int q = -1;
    TRY(ioctl(p[0], FIONREAD, &q));
    say("%d", q);
    q = 1;
    TRY(ioctl(p[0], FIONBIO, &q));
    TRY(recv(p[0], &c, 1, 0));
    return 0;
}
