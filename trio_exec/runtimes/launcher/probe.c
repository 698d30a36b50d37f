#include "probe.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static ssize_t read_text(const char *path, char *text, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return -1;
  ssize_t n = read(fd, text, size - 1);
  close(fd);
  text[n > 0 ? n : 0] = '\0';
  return n;
}

/* /proc/PID/task/TID/syscall of a blocked thread: "0 0x0 0x7ffc… …", number and arguments. */
static bool thread_reads(const char *pid, const char *tid, const struct stat *input) {
  char path[64], text[256];
  snprintf(path, sizeof path, "/proc/%.10s/task/%.10s/syscall", pid, tid);
  if (read_text(path, text, sizeof text) <= 0 || !isdigit((unsigned char)text[0]))
    return false; /* "running", or not ours to see. */
  char *rest;
  long number = strtol(text, &rest, 10);
  if (number != SYS_read && number != SYS_readv)
    return false;
  unsigned long fd = strtoul(rest, NULL, 16);
  struct stat file;
  snprintf(path, sizeof path, "/proc/%.10s/fd/%lu", pid, fd);
  if (stat(path, &file) < 0)
    return false;
  if (S_ISCHR(input->st_mode))
    return S_ISCHR(file.st_mode) && file.st_rdev == input->st_rdev;
  return file.st_dev == input->st_dev && file.st_ino == input->st_ino;
}

static bool process_reads(const char *pid, const struct stat *input) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%.10s/task", pid);
  DIR *tasks = opendir(path);
  if (tasks == NULL)
    return false;
  bool found = false;
  for (struct dirent *task; !found && (task = readdir(tasks)) != NULL;)
    found = isdigit((unsigned char)task->d_name[0]) && thread_reads(pid, task->d_name, input);
  closedir(tasks);
  return found;
}

bool someone_reads(const struct stat *input) {
  DIR *processes = opendir("/proc");
  if (processes == NULL)
    return false;
  bool found = false;
  for (struct dirent *entry; !found && (entry = readdir(processes)) != NULL;)
    found = isdigit((unsigned char)entry->d_name[0]) && strcmp(entry->d_name, "1") != 0 &&
            process_reads(entry->d_name, input);
  closedir(processes);
  return found;
}

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

uint64_t oom_kills(void) {
  /* Both hold a line "oom_kill N". */
  static struct cgroup_file file = {
      .paths = {"/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"}};
  char text[512];
  const char *line = read_cgroup(&file, text, sizeof text) <= 0 ? NULL : strstr(text, "oom_kill ");
  return line == NULL ? 0 : strtoull(line + strlen("oom_kill "), NULL, 10);
}

uint64_t memory_left(void) {
  static struct cgroup_file used_file = {
      .paths = {"/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes"}};
  static struct cgroup_file limit_file = {
      .paths = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}};
  char used_text[32], limit_text[32];
  if (read_cgroup(&used_file, used_text, sizeof used_text) <= 0 ||
      read_cgroup(&limit_file, limit_text, sizeof limit_text) <= 0)
    return 0;
  uint64_t used = strtoull(used_text, NULL, 10);
  uint64_t limit = isdigit((unsigned char)limit_text[0]) ? strtoull(limit_text, NULL, 10) : UINT64_MAX; /* "max" */
  return limit > used ? limit - used : 0;
}

uint64_t cgroup_cpu_us(void) {
  static struct cgroup_file file = {.paths = {"/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/cpuacct/cpuacct.usage"}};
  char text[512];
  if (read_cgroup(&file, text, sizeof text) <= 0)
    return 0;
  const char *line = strstr(text, "usage_usec ");
  if (line != NULL)
    return strtoull(line + strlen("usage_usec "), NULL, 10);
  return isdigit((unsigned char)text[0]) ? strtoull(text, NULL, 10) / 1000 : 0; /* v1 has nanoseconds, and nothing else. */
}

/* Of /proc/PID/stat, which names the program in parentheses first; what is in there may look like anything. */
static uint64_t process_cpu_ticks(const char *pid) {
  enum { UTIME = 11, LAST = UTIME + 3 }; /* Fields behind the name: user and system time, then its children's. */
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/%.10s/stat", pid);
  if (read_text(path, text, sizeof text) <= 0)
    return 0;
  char *at = strrchr(text, ')');
  uint64_t sum = 0;
  for (int field = 0; at != NULL && field <= LAST; field++) {
    at = strchr(at + 1, ' ');
    if (at != NULL && field >= UTIME)
      sum += strtoull(at + 1, NULL, 10);
  }
  return sum;
}

uint64_t processes_cpu_us(void) {
  DIR *processes = opendir("/proc");
  if (processes == NULL)
    return 0;
  uint64_t ticks = 0;
  for (struct dirent *entry; (entry = readdir(processes)) != NULL;)
    if (isdigit((unsigned char)entry->d_name[0]) && strcmp(entry->d_name, "1") != 0)
      ticks += process_cpu_ticks(entry->d_name);
  closedir(processes);
  return ticks * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
}
