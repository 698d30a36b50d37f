/*
 * Sends files of the workspace to the server: those whose paths match, regular ones only, up to
 * bounds. It goes on bit by bit, whenever there is room for a frame, so that a server that reads
 * slowly holds up nothing, and the end of our input is noticed meanwhile.
 */
#ifndef COLLECT_H
#define COLLECT_H

#include <stdbool.h>

#include "frames.h"

/* Begins what a collect frame asks for (see frames.py). Returns NULL, or what went wrong. */
const char *collect_begin(struct reader *request);

bool collect_active(void);

/* Whether there is room for what the next step may say. */
bool collect_has_room(void);

/* Goes on for a while. Returns NULL, or what went wrong so that what was sent can't be relied upon. */
const char *collect_step(void);

#endif
