/* Puts submitted files into the working directory. */
#ifndef FILES_H
#define FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Creates the folders on the way to a relative path. Returns NULL, or what went wrong. */
const char *file_make_folders(char *path);

/*
 * Creates (or, with `append`, continues) the file at a relative path, and the folders on its way. Its
 * mode is exactly this, also if it was there already. Returns NULL, or what went wrong.
 */
const char *file_write(char *path, bool append, mode_t mode, const uint8_t *data, size_t length);

#endif
