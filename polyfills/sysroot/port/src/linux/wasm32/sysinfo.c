/* The interface's numbers have 64 bits. Where memory has more bytes than a long holds, mem_unit grows, as on
 * 32-bit Linux (kernel/sys.c, COMPAT_SYSCALL_DEFINE1(sysinfo)). */
#include <sys/sysinfo.h>
#include "syscall.h"

struct wide {
	unsigned long long uptime, loads[3];
	unsigned long long totalram, freeram, sharedram, bufferram, totalswap, freeswap;
	unsigned short procs, pad;
	unsigned long long totalhigh, freehigh;
	unsigned mem_unit;
};

int __lsysinfo(struct sysinfo *info)
{
	struct wide w;
	int r = syscall(SYS_sysinfo, &w);
	if (r) return r;
	unsigned long long most = w.totalram > w.totalswap ? w.totalram : w.totalswap;
	int shift = 0;
	while (most >> shift > 0xffffffff) shift++;
	info->uptime = w.uptime;
	for (int i = 0; i < 3; i++) info->loads[i] = w.loads[i];
	info->totalram = w.totalram >> shift;
	info->freeram = w.freeram >> shift;
	info->sharedram = w.sharedram >> shift;
	info->bufferram = w.bufferram >> shift;
	info->totalswap = w.totalswap >> shift;
	info->freeswap = w.freeswap >> shift;
	info->procs = w.procs;
	info->totalhigh = w.totalhigh >> shift;
	info->freehigh = w.freehigh >> shift;
	info->mem_unit = (w.mem_unit ? w.mem_unit : 1) << shift;
	return 0;
}

weak_alias(__lsysinfo, sysinfo);
