/*
 * Goes through a folder and all folders below it in the order of their names, byte by byte, each
 * folder's files and folders together. Links are told and not followed. Two descriptors are enough
 * for any depth; the names of the folders on the way are kept, in memory that is allocated, bounded
 * and checked. Nobody but held commands, which move no folders, may be at work there meanwhile.
 */
#ifndef WALK_H
#define WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* Memory that grows as it is needed. */
struct growing {
  char *at;
  size_t length, capacity;
};

struct walk {
  int folder;       /* Where the entry is: a descriptor. */
  const char *name; /* The entry's, valid until the next call. */
  struct stat stat; /* Of the entry itself, be it a link; or of the folder that was left, as it was found. */
  bool force;
  size_t depth; /* How many folders below the first one. */
  struct growing levels, names, order;
};

enum walk_step {
  WALK_ENTRY,
  WALK_LEFT, /* The folder's entries are through; its parent's go on. */
  WALK_OVER,
  WALK_FAILED /* With errno. */
};

/*
 * Begins with an open folder. With `force`, folders that their owner has locked are unlocked while
 * they are walked through. False with errno set where it can't be read.
 */
bool walk_begin(struct walk *walk, int folder, bool force);

enum walk_step walk_next(struct walk *walk);

/* Enters the entry, which is a folder. False with errno set where it can't be, and the walk goes on past it. */
bool walk_enter(struct walk *walk);

void walk_end(struct walk *walk); /* Also after a failure. */

#endif
