/* A program's standard streams: pipes or a terminal, and our ends of them. */
#ifndef ENDS_H
#define ENDS_H

#include <stdbool.h>

/* Descriptors; -1 where there is none, or none any more. */
struct ends {
  int child[3]; /* The program's. */
  int ours[3];
};

#define NO_ENDS {.child = {-1, -1, -1}, .ours = {-1, -1, -1}}

void close_fd(int *fd); /* If it is open. */

/* Three pipes; or two, where both of the program's outputs are one. Returns false with errno set. */
bool ends_open_pipes(struct ends *ends, bool merged);

/*
 * A terminal, which becomes ours: as in a shell, who controls it is not the program but who has started
 * it, so that it outlives the program. Input and output are one descriptor, in both of the first places.
 */
bool ends_open_terminal(struct ends *ends, unsigned rows, unsigned columns);

/* Closes the program's ends; ours too, where it was not started. */
void ends_close(struct ends *ends, bool ours_too);

#endif
