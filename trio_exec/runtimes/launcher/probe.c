#include "probe.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
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

/* A thread's process, as text, and what it may be waiting for. */
struct thread {
  const char *pid, *tid;
  const struct stat *input;
  bool *all_sleep;
};

static bool is_input(const struct thread *thread, unsigned long fd) {
  char path[64];
  struct stat file;
  snprintf(path, sizeof path, "/proc/%.10s/fd/%lu", thread->pid, fd);
  if (stat(path, &file) < 0)
    return false;
  if (S_ISCHR(thread->input->st_mode))
    return S_ISCHR(file.st_mode) && file.st_rdev == thread->input->st_rdev;
  return file.st_dev == thread->input->st_dev && file.st_ino == thread->input->st_ino;
}

/* What a thread has at an address; returns how many bytes of it could be read. */
static size_t read_memory(const struct thread *thread, uint64_t address, void *to, size_t size) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%.10s/mem", thread->pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return 0;
  ssize_t n = pread(fd, to, size, (off_t)address);
  close(fd);
  return n > 0 ? (size_t)n : 0;
}

static bool polls(const struct thread *thread, uint64_t address, uint64_t count) {
  struct pollfd fds[64];
  size_t size = sizeof *fds * (count < 64 ? (size_t)count : 64);
  size = read_memory(thread, address, fds, size);
  for (size_t i = 0; i < size / sizeof *fds; i++)
    if (fds[i].fd >= 0 && fds[i].events & POLLIN && is_input(thread, (unsigned long)fds[i].fd))
      return true;
  return false;
}

static bool selects(const struct thread *thread, uint64_t address, uint64_t count) {
  uint8_t set[FD_SETSIZE / 8];
  size_t size = read_memory(thread, address, set, sizeof set);
  for (unsigned long fd = 0; fd < count && fd / 8 < size; fd++)
    if (set[fd / 8] >> fd % 8 & 1 && is_input(thread, fd))
      return true;
  return false;
}

/* Lines such as "tfd: 0 events: 19 …" tell what an epoll descriptor looks at; the events are in hexadecimal. */
static bool looks_by_epoll(const struct thread *thread, uint64_t fd) {
  char path[64], text[4096];
  snprintf(path, sizeof path, "/proc/%.10s/fdinfo/%lu", thread->pid, (unsigned long)fd);
  if (read_text(path, text, sizeof text) <= 0)
    return false;
  for (const char *line = strstr(text, "tfd:"); line != NULL; line = strstr(line + 1, "tfd:")) {
    unsigned long target;
    unsigned events;
    if (sscanf(line, "tfd: %lu events: %x", &target, &events) == 2 && events & EPOLLIN && is_input(thread, target))
      return true;
  }
  return false;
}

/*
 * /proc/PID/task/TID/syscall of a blocked thread: "0 0x0 0x7ffc… …", number and arguments. One that waits for several
 * things waits for its input if that is among them, and if it waits without end: else it goes on by itself.
 */
static bool thread_waits(const struct thread *thread) {
  char path[64], text[256];
  snprintf(path, sizeof path, "/proc/%.10s/task/%.10s/syscall", thread->pid, thread->tid);
  ssize_t n = read_text(path, text, sizeof text);
  if (n <= 0 || strncmp(text, "running", 7) == 0)
    *thread->all_sleep = false; /* It may be gone, or not ours to see. */
  if (n <= 0 || !isdigit((unsigned char)text[0]))
    return false;
  char *rest;
  long number = strtol(text, &rest, 10);
  uint64_t arguments[5];
  for (int i = 0; i < 5; i++)
    arguments[i] = strtoull(rest, &rest, 16);
  bool no_epoll_time = (int)arguments[3] < 0;
  switch (number) {
  case SYS_read:
  case SYS_readv:
    return is_input(thread, (uint32_t)arguments[0]);
#ifdef SYS_poll
  case SYS_poll:
    return (int)arguments[2] < 0 && polls(thread, arguments[0], arguments[1]);
  case SYS_select:
    return arguments[4] == 0 && selects(thread, arguments[1], arguments[0]);
  case SYS_epoll_wait:
    return no_epoll_time && looks_by_epoll(thread, arguments[0]);
#endif
  case SYS_ppoll:
    return arguments[2] == 0 && polls(thread, arguments[0], arguments[1]);
  case SYS_pselect6:
    return arguments[4] == 0 && selects(thread, arguments[1], arguments[0]);
  case SYS_epoll_pwait:
    return no_epoll_time && looks_by_epoll(thread, arguments[0]);
  case SYS_epoll_pwait2:
    return arguments[3] == 0 && looks_by_epoll(thread, arguments[0]);
  default:
    return false;
  }
}

static bool process_waits(const char *pid, const struct stat *input, bool *all_sleep) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%.10s/task", pid);
  DIR *tasks = opendir(path);
  if (tasks == NULL)
    return false;
  bool found = false;
  for (struct dirent *task; !found && (task = readdir(tasks)) != NULL;)
    found = isdigit((unsigned char)task->d_name[0]) && thread_waits(&(struct thread){pid, task->d_name, input, all_sleep});
  closedir(tasks);
  return found;
}

bool someone_waits(const struct stat *input, bool *all_sleep) {
  DIR *processes = opendir("/proc");
  *all_sleep = processes != NULL;
  if (processes == NULL)
    return false;
  bool found = false;
  for (struct dirent *entry; !found && (entry = readdir(processes)) != NULL;)
    found = isdigit((unsigned char)entry->d_name[0]) && strcmp(entry->d_name, "1") != 0 &&
            process_waits(entry->d_name, input, all_sleep);
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
