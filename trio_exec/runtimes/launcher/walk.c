#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ENTRIES_SIZE = 32768, MEMORY_MAX = 1 << 26, MEMORY_MIN = 4096, MODES = 07777, READABLE = S_IRUSR | S_IXUSR };

struct level {
  size_t names, order; /* Where its names begin, and the list that sorts them. */
  size_t next, count;
  struct stat stat; /* As it was found. */
};

static _Alignas(struct dirent64) char entries[ENTRIES_SIZE];

static void *claim(struct growing *growing, size_t length) {
  if (growing->capacity - growing->length < length) {
    size_t capacity = growing->capacity == 0 ? MEMORY_MIN : growing->capacity;
    while (capacity - growing->length < length && capacity <= MEMORY_MAX)
      capacity *= 2;
    char *at = capacity <= MEMORY_MAX ? realloc(growing->at, capacity) : NULL;
    if (at == NULL) {
      errno = ENOMEM;
      return NULL;
    }
    growing->at = at;
    growing->capacity = capacity;
  }
  growing->length += length;
  return growing->at + growing->length - length;
}

static struct level *top(struct walk *walk) {
  return (struct level *)walk->levels.at + (walk->levels.length / sizeof(struct level) - 1);
}

static int compare_names(const void *one, const void *other, void *names) {
  const char *base = names;
  return strcmp(base + *(const uint32_t *)one, base + *(const uint32_t *)other);
}

static bool list(struct walk *walk) {
  ssize_t length;
  while ((length = getdents64(walk->folder, entries, sizeof entries)) > 0)
    for (ssize_t at = 0; at < length;) {
      struct dirent64 *entry = (struct dirent64 *)(entries + at);
      at += entry->d_reclen;
      if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
        continue;
      size_t size = strlen(entry->d_name) + 1;
      uint32_t place = (uint32_t)walk->names.length;
      char *name = claim(&walk->names, size);
      uint32_t *order = name == NULL ? NULL : claim(&walk->order, sizeof place);
      if (order == NULL)
        return false;
      memcpy(name, entry->d_name, size);
      memcpy(order, &place, sizeof place);
      top(walk)->count++;
    }
  struct level *level = top(walk);
  if (level->count > 0)
    qsort_r(walk->order.at + level->order, level->count, sizeof(uint32_t), compare_names, walk->names.at);
  return length == 0;
}

static void forget_level(struct walk *walk) {
  struct level *level = top(walk);
  walk->names.length = level->names;
  walk->order.length = level->order;
  walk->levels.length -= sizeof *level;
}

/* Makes an open folder the current one. */
static bool push(struct walk *walk, int folder, const struct stat *stat) {
  struct level *level = claim(&walk->levels, sizeof *level);
  if (level == NULL)
    return false;
  *level = (struct level){.names = walk->names.length, .order = walk->order.length, .stat = *stat};
  int before = walk->folder;
  walk->folder = folder;
  if (list(walk))
    return true;
  int problem = errno;
  forget_level(walk);
  walk->folder = before;
  errno = problem;
  return false;
}

static bool is_locked(const struct stat *stat) { return (stat->st_mode & S_IRWXU) != S_IRWXU; }

bool walk_begin(struct walk *walk, int folder, bool force) {
  *walk = (struct walk){.folder = -1, .force = force};
  int here = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat stat;
  if (here >= 0 && fstat(here, &stat) == 0 && push(walk, here, &stat))
    return true;
  int problem = errno;
  if (here >= 0)
    close(here);
  errno = problem;
  return false;
}

bool walk_enter(struct walk *walk) {
  enum { FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
  const struct stat stat = walk->stat;
  if (!walk->force && (stat.st_mode & READABLE) != READABLE) {
    errno = EACCES; /* What can be listed but not searched has no way up by "..". */
    return false;
  }
  if (walk->force && is_locked(&stat) && fchmodat(walk->folder, walk->name, S_IRWXU, 0) < 0)
    return false;
  int child = openat(walk->folder, walk->name, FLAGS);
  int before = walk->folder;
  if (child < 0)
    return false;
  if (!push(walk, child, &stat)) {
    int problem = errno;
    close(child);
    errno = problem;
    return false;
  }
  close(before);
  walk->depth++;
  return true;
}

/* Back to the parent, which must be the one that we came from. */
static bool leave(struct walk *walk) {
  const struct stat left = top(walk)->stat;
  int parent = openat(walk->folder, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (parent < 0)
    return false;
  bool restored = !walk->force || !is_locked(&left) || fchmod(walk->folder, left.st_mode & MODES) == 0;
  close(walk->folder);
  walk->folder = parent;
  walk->stat = left;
  walk->depth--;
  forget_level(walk);
  struct stat stat;
  if (!restored || fstat(parent, &stat) < 0)
    return false;
  if (stat.st_ino == top(walk)->stat.st_ino && stat.st_dev == top(walk)->stat.st_dev)
    return true;
  errno = ESTALE;
  return false;
}

enum walk_step walk_next(struct walk *walk) {
  for (;;) {
    struct level *level = top(walk);
    if (level->next == level->count) {
      if (walk->depth == 0)
        return WALK_OVER;
      return leave(walk) ? WALK_LEFT : WALK_FAILED;
    }
    uint32_t place;
    memcpy(&place, walk->order.at + level->order + level->next * sizeof place, sizeof place);
    level->next++;
    walk->name = walk->names.at + place;
    if (fstatat(walk->folder, walk->name, &walk->stat, AT_SYMLINK_NOFOLLOW) == 0)
      return WALK_ENTRY;
    if (errno != ENOENT)
      return WALK_FAILED;
  }
}

void walk_end(struct walk *walk) {
  if (walk->folder >= 0)
    close(walk->folder);
  free(walk->levels.at);
  free(walk->names.at);
  free(walk->order.at);
  *walk = (struct walk){.folder = -1};
}
