#include "clear.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ENTRIES_SIZE = 32768 };

static _Alignas(struct dirent64) char entries[ENTRIES_SIZE];

static bool is_dots(const char *name) { return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2])); }

/* A folder that its owner has locked is unlocked: the program's files are touched as their owner. */
static int open_child(int folder, const char *name) {
  enum { FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
  int child = openat(folder, name, FLAGS);
  if (child < 0 && errno == EACCES && fchmodat(folder, name, 0700, 0) == 0)
    child = openat(folder, name, FLAGS);
  if (child >= 0 && fchmod(child, 0700) < 0) {
    close(child);
    return -1;
  }
  return child;
}

enum outcome { EMPTY, FULL_CHILD, STUCK };

/* Deletes a folder's entries up to the first folder that is not empty, which it names. */
static enum outcome clear_entries(int folder, bool *deleted, const char **child) {
  for (bool found = true; found;) {
    found = false;
    if (lseek(folder, 0, SEEK_SET) < 0)
      return STUCK;
    ssize_t length;
    while ((length = getdents64(folder, entries, sizeof entries)) > 0)
      for (ssize_t at = 0; at < length;) {
        struct dirent64 *entry = (struct dirent64 *)(entries + at);
        at += entry->d_reclen;
        if (is_dots(entry->d_name))
          continue;
        bool is_folder = entry->d_type == DT_DIR;
        int failed = unlinkat(folder, entry->d_name, is_folder ? AT_REMOVEDIR : 0);
        if (failed && !is_folder && (errno == EISDIR || errno == EPERM))
          failed = unlinkat(folder, entry->d_name, AT_REMOVEDIR); /* Not every kernel tells types. */
        if (failed && (errno == ENOTEMPTY || errno == EEXIST)) {
          *child = entry->d_name;
          return FULL_CHILD;
        }
        if (failed)
          return STUCK;
        *deleted = found = true; /* Another round: entries may be passed over while others go. */
      }
    if (length < 0)
      return STUCK;
  }
  return EMPTY;
}

/* The descriptor of where we are instead of the one before, which is kept open if it was given to us. */
static int go(int from, int to, int given) {
  int problem = errno;
  if (from != given)
    close(from);
  errno = problem;
  return to;
}

/* One descriptor at a time: down by name, up by "..", which nobody is there to change. */
const char *clear_folder(int folder) {
  int here = folder;
  size_t depth = 0;
  bool deleted = false;
  while (here >= 0) {
    const char *name;
    int next = -1;
    switch (clear_entries(here, &deleted, &name)) {
    case EMPTY:
      if (depth == 0) {
        go(here, -1, folder);
        return NULL;
      }
      if (deleted) /* It was not empty when we entered. What shows no entries and can't be deleted would go on for ever. */
        next = openat(here, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      else
        errno = ENOTEMPTY;
      depth--;
      break;
    case FULL_CHILD:
      next = open_child(here, name);
      depth++;
      break;
    case STUCK:
      break;
    }
    deleted = false;
    here = go(here, next, folder);
  }
  return strerror(errno);
}
