/*
 * Held stages: commands that were started before a file that they read exists, with a FIFO in the
 * file's place. An interpreter then initialises itself, opens its script and waits. When the stage
 * is started in earnest, the real file takes the FIFO's place under the same name, and its content
 * goes through the FIFO. To the program nothing differs from an ordinary start, but that most of
 * the start is over already.
 *
 * The file is either sent by the server, or made by the stage before: a compiler that writes it
 * elsewhere and renames it into place. That is why two can be held at once.
 *
 * A command that is named reads no file from its FIFO but its last argument, as the stage's frame has
 * it: the main file's name, in the place of the one that it was started with.
 */
#ifndef HELD_H
#define HELD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "frames.h"

enum { HELD_MAX = 2 };

/* Starts and holds the command of a prestart frame: path, NUL, a stage frame's payload. */
const char *held_prestart(struct reader *spec);

bool held_any(void);

/* Whether some held command has yet to open its FIFO: only asking tells. */
bool held_starting(void);

/* How many held commands have just opened their FIFO. */
int held_opened(void);

/* Whether a process is a held command's. */
bool held_has(pid_t pid);

/* The descriptors on which held commands announce what they write to standard error; says how many. */
int held_listeners(int *listeners);

/* Whether this was a held command; it is not one any more. */
bool held_ended(pid_t pid);

/* Whether a held command ended by itself before any was let go. Forgets that it did. */
bool held_failed(void);

/* Where a held command's file is to be written instead of its own path; NULL for any other file. */
char *held_instead_of(const char *path);

/*
 * Makes the held command that is asked for the running stage. Where there is none, discards all,
 * since what is started instead must find things as if nothing had been held, and returns false.
 */
bool held_release(struct reader spec, uint64_t *deadline_s);

/* Ends the held commands as if they had never been. */
void held_discard(void);

#endif
