/* What can be learnt of running processes from /proc, with the program's own rights. */
#ifndef PROBE_H
#define PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/*
 * Whether any thread in this container is blocked in a read of the given pipe or terminal, or looks
 * out for it, and maybe for other things, without a time limit. False where the kernel does not tell.
 * If none is, `all_sleep` says whether all of them are blocked in something; false likewise.
 */
bool someone_waits(const struct stat *input, bool *all_sleep);

/* CPU time of the processes that are there now, ours excepted, and of their children that they have waited for. */
uint64_t processes_cpu_us(void);

/* A process's parent; 0 if it is gone. */
pid_t parent_of(pid_t pid);

#endif
