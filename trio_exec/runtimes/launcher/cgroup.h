/* What the container's control group says of its limits, in version 2's files or in version 1's; 0 where it says nothing. */
#ifndef CGROUP_H
#define CGROUP_H

#include <stdint.h>

/* How many processes of this container the kernel has killed for want of memory. */
uint64_t cgroup_oom_kills(void);

/* How many processes and threads were not started, since there were as many as there may be. */
uint64_t cgroup_refused_forks(void);

/* How many bytes this container may have beyond those that it has, caches included. */
uint64_t cgroup_memory_left(void);

/* The most bytes that it has ever had, caches included. */
uint64_t cgroup_memory_peak(void);

/* So many bytes, or those that it has now, less the caches of files that were read: what its limit is really about. */
uint64_t cgroup_memory_used(uint64_t of);

/* CPU time of all that has ever run in this container, in microseconds. */
uint64_t cgroup_cpu_us(void);

#endif
