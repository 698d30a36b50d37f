#include "reserve.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>

#include "cgroup.h"

enum { PAGE = 4096, PAGES = 64 };

/* More than the launcher needs for a stage's end, however it came. */
enum { ENOUGH = 1 << 20 };

static volatile char pages[PAGES * PAGE] __attribute__((aligned(PAGE)));
static bool taken;

void reserve_take(void) {
  for (size_t i = 0; !taken && i < sizeof pages; i += PAGE)
    pages[i] = 1;
  taken = true;
}

void reserve_give(void) {
  madvise((void *)pages, sizeof pages, MADV_DONTNEED);
  taken = false;
}

bool reserve_needed(void) { return cgroup_memory_left() < ENOUGH; }
