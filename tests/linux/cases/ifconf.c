/* about: What lists network interfaces. */
#include "../check.h"
#include <net/if.h>
static int has(struct ifconf *c, const char *name)
{
	int n = 0;
	for (int i = 0; i < c->ifc_len / (int)sizeof(struct ifreq); i++)
		n += !strcmp(c->ifc_req[i].ifr_name, name);
	return n;
}
int main(void)
{
	char b[4096];
	int s = socket(AF_INET, SOCK_DGRAM, 0), t = socket(AF_INET, SOCK_STREAM, 0), at = 0;
	struct ifconf c = { sizeof b, { b } };
	TRY(ioctl(s, SIOCGIFCONF, &c));
	say("lo %d, whole %d", has(&c, "lo"), c.ifc_len % (int)sizeof(struct ifreq) == 0);
	int all = c.ifc_len;
	c = (struct ifconf){ 0, { 0 } };
	TRY(ioctl(t, SIOCGIFCONF, &c));
	say("%d", c.ifc_len >= all);
	c = (struct ifconf){ 1, { b } };
	TRY(ioctl(s, SIOCGIFCONF, &c));
	say("%d", c.ifc_len);
	c = (struct ifconf){ 4096, { (char *)16 } };
	TRY(ioctl(s, SIOCGIFCONF, &c));
	TRY(ioctl(s, SIOCGIFCONF, 0));
	struct ifreq r = { 0 };
	strcpy(r.ifr_name, "lo");
	TRY(ioctl(s, SIOCGIFFLAGS, &r));
	say("%x", r.ifr_flags & (IFF_UP | IFF_LOOPBACK));
	TRY(ioctl(s, SIOCGIFINDEX, &r));
	TRY(ioctl(s, SIOCATMARK, &at));
	TRY(ioctl(t, SIOCATMARK, &at));
	TRY(ioctl(-1, 0x12345, 0));
	TRY(ioctl(77, 0x12345, 0));
	TRY(ioctl(t, 0x12345, 0));
	TRY(ioctl(open(".", O_PATH), 0x12345, 0));
	return 0;
}
