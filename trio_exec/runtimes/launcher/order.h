/*
 * The order of two streams. Standard output and error are two pipes, and which of two pipes was written to first
 * nobody can say who finds something in both. So a program's writes to its standard error are announced: the kernel
 * stops the thread before the write, and tells us (a seccomp notifier, Linux 5.5). What is in the pipes by then was
 * written before, and what follows is in the other pipe no sooner than in this one. Writes to standard output cost
 * nothing more.
 *
 * Announced is what is written to descriptor 2, in every process of a stage. A copy of it under another number, as
 * of a shell's `>&2`, goes by unannounced.
 */
#ifndef ORDER_H
#define ORDER_H

#include <stdbool.h>
#include <stdint.h>

/* In the child: asks for announcements, and sends their descriptor through a socket. Best effort. */
void order_ask(int channel);

/* The descriptor that a child has sent; -1 if it has not, as where the kernel knows no such thing. */
int order_take(int channel);

/* Takes an announcement, if there still is one: the thread waits until it may go on. */
bool order_announced(int listener, uint64_t *id);

void order_go_on(int listener, uint64_t id);

#endif
