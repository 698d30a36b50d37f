/*
 * One stage: a command that runs to its end, with everything that it starts. At most one stage
 * runs at a time. This part knows processes and descriptors; the loop in launcher.c moves bytes.
 */
#ifndef STAGE_H
#define STAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "frames.h"

enum { STAGE_TTY = 1, STAGE_GATHERS = 2, STAGE_MERGES = 4, STAGE_IS_NAMED = 8 }; /* A stage frame's flags. */

struct stage {
  bool active;
  bool tty;
  bool gathers; /* What is to be said of it may wait a little for more. */
  int source, content; /* Of a stage that was held: the FIFO's writing end; the file that goes into it. */
  pid_t pid;        /* The main process; also its process group. */
  int in, out, err; /* Our ends; -1 once closed. With a terminal, in == out and err is -1, as it is of merged output. */
  int listener;     /* Tells of writes to standard error before they are made; see order.h. */
  struct stat input; /* What the program reads from, for someone_waits(). */

  bool exited;
  int status; /* As from wait(), once exited. */
  bool killed;
  uint64_t used_before_us, started_us, wall_us, user_us, system_us, peak_bytes;
  uint64_t oom_kills_before, refused_forks_before, memory_peak_before;
  unsigned hits; /* Limits that were met. */

  bool lingers; /* The main process has ended, and others have not. */
  uint64_t linger_end_us, silent_at_us;

  uint64_t cpu_limit_us; /* Of all its processes together; 0 for none. */
  uint64_t cpu_before_us, cpu_check_at_us;
};

#define NO_STAGE {.in = -1, .out = -1, .err = -1, .source = -1, .content = -1, .listener = -1}

extern struct stage stage; /* The one that runs, if any does. */

uint64_t now_us(void);

/* What a stage frame says of time. */
struct times {
  uint64_t deadline_s, cpu_limit_us;
};

struct times read_times(struct reader *spec);

/*
 * Starts the command that a stage frame describes (see frames.py). Returns NULL, or what went
 * wrong, which may name the command and is valid until the next call.
 */
const char *stage_start(struct reader *spec, uint64_t *deadline_s);

/* From here on, the running stage's time counts. */
void stage_count(uint64_t cpu_limit_us);

/* Kills the stage if it has used up its CPU time; says when it is to be looked at again. */
void stage_check_cpu(uint64_t now);

/* Passes the file on as far as the program takes it. */
void stage_feed(void);

/*
 * Collects ended processes. When the main one ended, what it left behind lingers, so that what it still writes
 * comes through: until nothing is left, or the moment below. Then all is killed and collected.
 */
void stage_reap(void);

/* Says that something was written just now. */
void stage_heard(uint64_t now);

/* Until when a stage lingers that does; may be past. */
uint64_t stage_linger_until(void);

void stage_stop_lingering(void);

/* Looks how much memory all of it takes at the moment, where the kernel does not keep the most that it did. */
void stage_sample_memory(void);

/* Kills every process but us, held ones too. The stage then ends by stage_reap(). */
void stage_kill(void);

/* Kills and collects every process but us and those held; says whether there was one. */
bool stage_clear(void);

void stage_signal(int number);
void stage_resize(unsigned rows, unsigned columns);

/* Sends the stage-end frame and forgets the stage. */
void stage_end(void);

#endif
