/* What a folder has beside its entries and that its owner can change: mode, times, flags and extended attributes. */
#ifndef ATTRIBUTES_H
#define ATTRIBUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct attributes {
  struct stat stat;
  int flags; /* As for FS_IOC_SETFLAGS; -1 where there are none. */
  char *extended; /* Each a name, NUL, the value's length as a size_t, and the value; NULL for none. */
  size_t length;
};

/* Gets those of an open folder. Allocates; false with errno set where that failed. */
bool attributes_get(int folder, struct attributes *attributes);

/* Gives them back to the folder; to be done last, since changes in the folder change its times. */
bool attributes_set(int folder, const struct attributes *attributes);

/* Makes a folder one that its owner can use, and takes from it what its new entries would inherit. */
bool attributes_clear(int folder);

void attributes_forget(struct attributes *attributes);

/* Mode and times alone. They can't be changed of what is another user's, as a volume is where the launcher is no root; then true. */
bool attributes_set_mode(int folder, mode_t mode);
bool attributes_set_times(int folder, const struct timespec times[2]);

#endif
