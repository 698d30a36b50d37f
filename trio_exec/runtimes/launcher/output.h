/* What a stage writes, on its way to the server: in the order in which it was written, as far as that can be known. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

enum { CONTROL_RESERVE = 4096 }; /* Room that is left for what else there is to be said. */

/* Whether there is room for what a stage may have written. */
bool output_has_room(void);

/* A stage begins. */
void output_begin(void);

/* Whether a write to standard error waits for what was written before it to be passed on. */
bool output_waits(void);

/* Until when it need not be looked whether there is something on standard error; may be past. */
uint64_t output_gathers_until(void);

/*
 * Passes on what is there, as far as there is room; says whether there was any. The arguments are what poll() says of
 * both streams, and whether a write to standard error is announced.
 */
bool output_pass(short output, short errors, bool announced);

#endif
