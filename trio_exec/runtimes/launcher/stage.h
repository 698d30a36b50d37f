/*
 * One stage: a command that runs to its end, with everything that it starts. At most one stage
 * runs at a time. This part knows processes and descriptors; the loop in launcher.c moves bytes.
 *
 * A stage can be prepared: its command is started before its main file exists, with a FIFO in the
 * file's place. An interpreter then initialises itself, opens its script and waits. When the stage
 * is started in earnest, the real file takes the FIFO's place under the same name, and its content
 * goes through the FIFO. To the program nothing differs from an ordinary start, but that most of
 * the start is over already.
 */
#ifndef STAGE_H
#define STAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "frames.h"

struct stage {
  bool active;
  bool held;     /* Prepared, or about to be, and not yet started. */
  bool prepared; /* It has opened its main file, so `source` is there. */
  int source, content; /* The FIFO's writing end; the main file that goes into it. */
  bool tty;
  pid_t pid;        /* The main process; also its session and process group. */
  int in, out, err; /* Our ends; -1 once closed. With a terminal, in == out and err is -1. */
  struct stat input; /* What the program reads from, for someone_reads(). */

  bool exited;
  int status; /* As from wait(), once exited. */
  uint64_t used_before_us, started_us, wall_us, user_us, system_us, peak_bytes, oom_kills_before;
};

extern struct stage stage;

uint64_t now_us(void);

/*
 * Starts the command that a stage frame describes (see frames.py). Returns NULL, or what went
 * wrong, which may name the command and is valid until the next call.
 */
const char *stage_start(struct reader *spec, uint64_t *deadline_s);

/* Where the held stage's main file is to be written instead of its own path; NULL for any other. */
const char *stage_instead_of(const char *path);

/* Starts and holds the command of a prepare frame: path, NUL, a stage frame's payload. */
const char *stage_prepare(struct reader *spec);

/* Whether the held command has just opened its main file. */
bool stage_is_prepared(void);

/* Lets the held stage go if it is the one that is asked for; otherwise discards it and returns false. */
bool stage_release(struct reader spec, uint64_t *deadline_s);

/* Ends the held stage as if it had never been. */
void stage_discard(void);

/* Passes the main file on as far as the program takes it. */
void stage_feed(void);

/* Collects ended processes. When the main one ended, kills and collects all that it left behind. */
void stage_reap(void);

/* Kills every process but us. The stage then ends by stage_reap(). */
void stage_kill(void);

void stage_signal(int number);
void stage_resize(unsigned rows, unsigned columns);

/* Sends the stage-end frame and forgets the stage. */
void stage_end(void);

#endif
