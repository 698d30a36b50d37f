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

/* What follows the name in /proc/PID/stat, where what is in the parentheses may look like anything; NULL if it is gone. */
static char *behind_name(const char *pid, char *text, size_t size) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%.10s/stat", pid);
  return read_text(path, text, size) <= 0 ? NULL : strrchr(text, ')');
}

static uint64_t process_cpu_ticks(const char *pid) {
  enum { UTIME = 11, LAST = UTIME + 3 }; /* Fields behind the name: user and system time, then its children's. */
  char text[1024];
  char *at = behind_name(pid, text, sizeof text);
  uint64_t sum = 0;
  for (int field = 0; at != NULL && field <= LAST; field++) {
    at = strchr(at + 1, ' ');
    if (at != NULL && field >= UTIME)
      sum += strtoull(at + 1, NULL, 10);
  }
  return sum;
}

pid_t parent_of(pid_t pid) {
  char name[16], text[1024], state;
  int parent = 0;
  snprintf(name, sizeof name, "%d", pid);
  char *at = behind_name(name, text, sizeof text);
  return at != NULL && sscanf(at + 1, " %c %d", &state, &parent) == 2 ? parent : 0;
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
