/*
 * Bytes that are appended once and read many times, in private memory that a child does not get a
 * copy of. No file: a limit on the size of files would hold for it as well.
 */
#ifndef IMAGE_H
#define IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image {
  uint8_t *at;
  size_t length, capacity;
};

/* Room for so many bytes more, valid until the next call. NULL where there is no memory. */
void *image_append(struct image *image, size_t length);

/* Gives back what is beyond its length. */
void image_trim(struct image *image);

void image_forget(struct image *image);

#endif
