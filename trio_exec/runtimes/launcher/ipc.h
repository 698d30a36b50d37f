/* System V IPC: it outlives the programs that made it. */
#ifndef IPC_H
#define IPC_H

/*
 * Removes all shared memory, semaphores and message queues. Nothing of the program may run. Returns
 * NULL, or what went wrong, after which whoever comes next could find what is left.
 */
const char *ipc_clear(void);

#endif
