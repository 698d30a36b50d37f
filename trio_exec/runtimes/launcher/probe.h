/* What can be learnt of running processes from /proc and /sys/fs/cgroup, with the program's own rights. */
#ifndef PROBE_H
#define PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/*
 * Whether any thread in this container is blocked in a read of the given pipe or terminal. False
 * where the kernel does not tell (a sandboxed kernel, a program that waits in an event loop).
 */
bool someone_reads(const struct stat *input);

/* How many processes of this container the kernel has killed for want of memory; 0 if unknown. */
uint64_t oom_kills(void);

/* How many bytes this container may have beyond those that it has, caches included; 0 if unknown. */
uint64_t memory_left(void);

/* CPU time of all that has ever run in this container, in microseconds; 0 if unknown. */
uint64_t cgroup_cpu_us(void);

/* CPU time of the processes that are there now, ours excepted, and of their children that they have waited for. */
uint64_t processes_cpu_us(void);

#endif
