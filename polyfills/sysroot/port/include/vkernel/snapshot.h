/* Snapshots: a program that starts where its start-up code has already been. See docs/snapshots.md. */
#ifndef _VKERNEL_SNAPSHOT_H
#define _VKERNEL_SNAPSHOT_H

#ifdef __cplusplus
extern "C" {
#endif

/* The snapshot point. In an ordinary run nothing happens, and the result is 0. While an image is built
 * whose recipe says [module.snapshot], the memory of the program is saved here, and the program ends.
 * Every start of the program from that image then begins in vkernel_resume.
 *
 * It is called in the process's first thread, when there is no other. What a snapshot cannot hold fails the
 * build, with an error that names it: threads, open files but the standard streams, maps of files
 * and of shared memory, children, timers, pending signals, another working directory, session,
 * process group or creation mask. */
int vkernel_snapshot(void);

/* Defined by the program: goes on from the snapshot point, in a process that has just been started. The
 * stack of calls is gone; memory is as it was, what main had on its stack too. Anew are: arguments,
 * environment, time zone, the random numbers of AT_RANDOM and what the C library makes of them, the
 * process's and the thread's id. Signal actions, mask and alternate stack are those of the snapshot;
 * a signal that the process was started with ignored stays ignored.
 *
 * What it returns is the exit status, as with main; or VKERNEL_COLD: this start cannot be served by the
 * snapshot. Then the program begins afresh with main, as if there were no snapshot. Until then it may have
 * changed nothing but its own memory. */
int vkernel_resume(int argc, char **argv, char **envp);

#define VKERNEL_COLD (-1)

#ifdef __cplusplus
}
#endif

#endif
