#include "image.h"

#include <sys/mman.h>

enum { CAPACITY_MIN = 1 << 16, PAGE = 4096 };

void *image_append(struct image *image, size_t length) {
  if (image->capacity - image->length < length) {
    size_t capacity = image->capacity == 0 ? CAPACITY_MIN : image->capacity;
    while (capacity - image->length < length)
      capacity *= 2;
    void *at = image->at == NULL
                   ? mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                   : mremap(image->at, image->capacity, capacity, MREMAP_MAYMOVE);
    if (at == MAP_FAILED)
      return NULL;
    /* Best effort: to copy its page tables would make each start of a program slower. */
    madvise(at, capacity, MADV_DONTFORK);
    image->at = at;
    image->capacity = capacity;
  }
  image->length += length;
  return image->at + image->length - length;
}

void image_trim(struct image *image) {
  size_t capacity = (image->length + PAGE - 1) / PAGE * PAGE;
  if (capacity == 0 || capacity >= image->capacity)
    return;
  munmap(image->at + capacity, image->capacity - capacity);
  image->capacity = capacity;
}

void image_forget(struct image *image) {
  if (image->at != NULL)
    munmap(image->at, image->capacity);
  *image = (struct image){0};
}
