/* about: All memory locked: mlockall, munlockall, what comes afterwards, and children. */
/* calls: mlockall munlockall */
#include "../check.h"
static int is_locked(void)
{
	char line[128];
	FILE *f = fopen("/proc/self/status", "r");
	int n = -1;
	while (f && fgets(line, sizeof line, f)) sscanf(line, "VmLck: %d", &n);
	fclose(f);
	return n;
}
int main(void)
{
	TRY(mlockall(0));
	TRY(mlockall(MCL_ONFAULT));
	TRY(mlockall(64));
	TRY(mlockall(MCL_CURRENT));
	say("some %d", is_locked() > 0);
	int before = is_locked();
	char *p = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	say("more %d", is_locked() - before);
	munmap(p, 1 << 20);
	TRY(mlockall(MCL_FUTURE));
	before = is_locked();
	p = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	say("more %d", is_locked() - before);
	CHILD(({ say("in a child %d", is_locked());
		mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		say("in a child %d", is_locked()); }));
	TRY(munlockall());
	say("none %d", is_locked());
	p = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	say("none %d", is_locked());
	TRY(mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT));
	TRY(munlockall());
	/* Without the right, by the limit. */
	struct rlimit l = { 65536, 65536 };
	setrlimit(RLIMIT_MEMLOCK, &l);
	setuid(65534);
	TRY(mlockall(MCL_CURRENT));
	say("none %d", is_locked());
	l = (struct rlimit){ 0, 0 };
	setrlimit(RLIMIT_MEMLOCK, &l);
	TRY(mlockall(MCL_CURRENT));
	TRY(munlockall());
	return 0;
}
