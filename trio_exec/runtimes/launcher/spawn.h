/* Starts a program as its own user, on streams of its own, as a shell starts a job. */
#ifndef SPAWN_H
#define SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "ends.h"

struct command {
  const struct ends *ends;
  bool on_terminal;
  char **argv, **env;
};

/* Returns NULL, or what went wrong. The listener is -1 where writes to standard error are not announced (see order.h). */
const char *spawn(const struct command *command, pid_t *pid, int *listener);

#endif
