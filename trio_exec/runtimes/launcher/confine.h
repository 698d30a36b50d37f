/*
 * What no engine can forget. The launcher holds itself, and so everything that it ever starts, to the rlimits and
 * the system calls of policy.h, a header that is made of the very lists that engines are given (policy.py).
 * Where the engine does the same, both hold.
 *
 * Once, at the start: programs inherit it, and their own start takes no longer. One filter is all that a container
 * takes of the kernel's memory for compiled filters, however many stages there are. The one of order.h comes on top.
 */
#ifndef CONFINE_H
#define CONFINE_H

#include <linux/audit.h>
#include <linux/filter.h>
#include <stddef.h>

/* The only one whose calls programs may make. */
#if defined __x86_64__
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "the system calls of this architecture are not known here"
#endif

enum { FILTER_MAX = 1024 }; /* Instructions; there are about 300. */

/*
 * Puts limits and filter in force, for good. The words say what the machine charges containers for, "sockets" or "ipc",
 * and end with NULL; without them there is less of what takes memory unseen. "look" is for what can be seen from within,
 * where whoever started us does not know the machine. Returns NULL, or what went wrong.
 * A kernel that knows no filters, as a sandbox's may, goes without.
 */
const char *confine(char *const *charged);

/*
 * How many processes and threads this process's user may have, for good, where the engine can't limit those of a container.
 * Holds for a container alone where no other has its user. Returns NULL, or what went wrong.
 */
const char *confine_processes(unsigned long count);

/* The filter alone, with its length; 0 where the words are wrong, or it would be too long. */
size_t confine_filter(char *const *charged, struct sock_filter filter[FILTER_MAX]);

#endif
