#include "cgroup.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/*
 * A file of the cgroup's: where it is with cgroup v2, and with v1. Once found it is kept open, since
 * opening takes far longer than reading.
 */
struct cgroup_file {
  const char *paths[2];
  int fd;
  bool sought;
};

static ssize_t read_cgroup(struct cgroup_file *file, char *text, size_t size) {
  for (int i = 0; !file->sought; i++) {
    file->fd = open(file->paths[i], O_RDONLY | O_CLOEXEC);
    file->sought = file->fd >= 0 || i == 1;
  }
  ssize_t n = file->fd < 0 ? -1 : pread(file->fd, text, size - 1, 0);
  text[n > 0 ? n : 0] = '\0';
  return n;
}

/* The number behind the first line's beginning that is given, such as "oom_kill "; 0 where there is none. */
static uint64_t number_behind(const char *text, const char *name) {
  for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
    line += *line == '\n';
    if (strncmp(line, name, strlen(name)) == 0)
      return strtoull(line + strlen(name), NULL, 10);
  }
  return 0;
}

/* Of a file that holds one number, or "max"; 0 where there is none. */
static uint64_t only_number(struct cgroup_file *file) {
  char text[32];
  if (read_cgroup(file, text, sizeof text) <= 0)
    return 0;
  return isdigit((unsigned char)text[0]) ? strtoull(text, NULL, 10) : UINT64_MAX;
}

uint64_t cgroup_oom_kills(void) {
  static struct cgroup_file file = {
      .paths = {"/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"}};
  char text[512];
  return read_cgroup(&file, text, sizeof text) <= 0 ? 0 : number_behind(text, "oom_kill ");
}

uint64_t cgroup_refused_forks(void) {
  static struct cgroup_file file = {.paths = {"/sys/fs/cgroup/pids.events", "/sys/fs/cgroup/pids/pids.events"}};
  char text[64];
  return read_cgroup(&file, text, sizeof text) <= 0 ? 0 : number_behind(text, "max ");
}

static struct cgroup_file used_file = {
    .paths = {"/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes"}};

uint64_t cgroup_memory_left(void) {
  static struct cgroup_file limit_file = {
      .paths = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}};
  uint64_t used = only_number(&used_file), limit = only_number(&limit_file);
  return limit > used && used > 0 ? limit - used : 0;
}

uint64_t cgroup_memory_peak(void) {
  static struct cgroup_file file = {
      .paths = {"/sys/fs/cgroup/memory.peak", "/sys/fs/cgroup/memory/memory.max_usage_in_bytes"}};
  return only_number(&file);
}

/* What the kernel keeps of files that were read, and gives away when somebody needs the room. */
static uint64_t cached_files(void) {
  static struct cgroup_file file = {.paths = {"/sys/fs/cgroup/memory.stat", "/sys/fs/cgroup/memory/memory.stat"}};
  char text[4096];
  if (read_cgroup(&file, text, sizeof text) <= 0)
    return 0;
  return number_behind(text, "inactive_file ") + number_behind(text, "active_file ");
}

uint64_t cgroup_memory_used(uint64_t of) {
  uint64_t cached = cached_files();
  if (of == 0)
    of = only_number(&used_file);
  return of > cached ? of - cached : 0;
}

uint64_t cgroup_cpu_us(void) {
  static struct cgroup_file file = {.paths = {"/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/cpuacct/cpuacct.usage"}};
  char text[512];
  if (read_cgroup(&file, text, sizeof text) <= 0)
    return 0;
  uint64_t used = number_behind(text, "usage_usec ");
  if (used > 0)
    return used;
  return isdigit((unsigned char)text[0]) ? strtoull(text, NULL, 10) / 1000 : 0; /* v1 has nanoseconds, and nothing else. */
}
