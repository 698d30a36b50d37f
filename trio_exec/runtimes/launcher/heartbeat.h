/*
 * Whether the server is still there, and its knowing that we are. A connection that is cut tells nobody, and a server
 * that was stopped keeps its end open: so each side gives the other up when nothing comes for some seconds, which the
 * server's Hello names. Any byte is a sign of life. The server says Ping now and then; we answer with Pong, unless
 * something waits to be sent to it already. What keeps us from answering for long says Pong by itself.
 */
#ifndef HEARTBEAT_H
#define HEARTBEAT_H

#include <stdbool.h>
#include <stdint.h>

#include "frames.h"

/* Once, at the start: signs of life go to this descriptor. */
void heartbeat_begin(int server);

/* Takes the Hello, and answers with Ready. Returns NULL, or what is wrong with it, in a sentence. */
const char *heartbeat_greet(const struct frame *frame);

/* Whether there was one. Before that, nothing may be said. */
bool heartbeat_greeted(void);

/* Something has come from the server, or it has taken something. */
void heartbeat_heard(uint64_t now);

/* When the server is given up unless something comes; may be past. */
uint64_t heartbeat_until(void);

/* Why it is given up, in a sentence. */
const char *heartbeat_problem(void);

/* Tells the server that we are here, if nothing else is about to. */
void heartbeat_answer(void);

/*
 * Between the two, Pong is said by a timer, for the loop does not turn. Nothing but that may be sent meanwhile. They nest.
 */
void heartbeat_busy(void);
void heartbeat_free(void);

#endif
