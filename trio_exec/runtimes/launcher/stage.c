#include "stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "ends.h"
#include "heartbeat.h"
#include "held.h"
#include "probe.h"
#include "reserve.h"
#include "spawn.h"

enum { STRINGS_MAX = 4096 };

struct stage stage = NO_STAGE;

static char error[512];

static bool alone; /* Nothing was started since all was killed. */

enum { CPU_CHECK_US = 5000 }; /* How closely a limit on CPU time is kept to, at the most. */

/* How long what a program leaves behind may go on writing, and how long it may be silent meanwhile. */
enum { LINGER_US = 2000000, LINGER_SILENT_US = 1000000 };

/* What a program ran into, as a stage's end tells it. */
enum { HIT_PIDS = 1, HIT_WORKSPACE = 2, HIT_INODES = 4, HIT_SHARED_MEMORY = 8 };

uint64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t microseconds(struct timeval time) { return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec; }

static bool read_strings(struct reader *spec, size_t count, char **strings) {
  for (size_t i = 0; i < count; i++)
    strings[i] = (char *)read_string(spec);
  strings[count] = NULL;
  return spec->ok;
}

struct times read_times(struct reader *spec) {
  uint64_t deadline_s = read_int(spec, 4);
  return (struct times){.deadline_s = deadline_s, .cpu_limit_us = read_int(spec, 4) * 1000};
}

/* CPU time of everything in this container but us, since some moment in the past. */
static uint64_t cpu_us(void) {
  uint64_t used = cgroup_cpu_us();
  if (used == 0)
    return processes_cpu_us() + stage.user_us + stage.system_us; /* Less what nobody waited for, which is lost. */
  struct rusage own;
  getrusage(RUSAGE_SELF, &own);
  return used - microseconds(own.ru_utime) - microseconds(own.ru_stime);
}

void stage_count(uint64_t cpu_limit_us) {
  stage.oom_kills_before = cgroup_oom_kills();
  stage.refused_forks_before = cgroup_refused_forks();
  stage.memory_peak_before = cgroup_memory_peak();
  stage.cpu_before_us = cpu_us();
  stage.started_us = stage.cpu_check_at_us = now_us();
  stage.cpu_limit_us = cpu_limit_us;
}

void stage_sample_memory(void) {
  if (cgroup_memory_peak() > stage.memory_peak_before)
    return; /* The kernel's own figure is this stage's, then. */
  uint64_t used = cgroup_memory_used(0);
  if (used > stage.peak_bytes)
    stage.peak_bytes = used;
}

void stage_check_cpu(uint64_t now) {
  uint64_t used = cpu_us() - stage.cpu_before_us;
  if (used >= stage.cpu_limit_us) {
    stage_kill();
    held_discard();
    stage.cpu_check_at_us = UINT64_MAX;
    return;
  }
  /* It can't be sooner than if it had all processors for itself. */
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  uint64_t wait = (stage.cpu_limit_us - used) / (uint64_t)(processors > 0 ? processors : 1);
  stage.cpu_check_at_us = now + (wait > CPU_CHECK_US ? wait : CPU_CHECK_US);
}

const char *stage_start(struct reader *spec, uint64_t *deadline_s) {
  static char *argv[STRINGS_MAX + 1], *env[STRINGS_MAX + 1];
  uint64_t flags = read_int(spec, 1);
  unsigned rows = (unsigned)read_int(spec, 2), columns = (unsigned)read_int(spec, 2);
  struct times times = read_times(spec);
  *deadline_s = times.deadline_s;
  size_t argc = (size_t)read_int(spec, 2), envc = (size_t)read_int(spec, 2);
  if (argc == 0 || argc > STRINGS_MAX || envc > STRINGS_MAX || !read_strings(spec, argc, argv) ||
      !read_strings(spec, envc, env))
    return "malformed stage frame";
  if (stage.active)
    return "a stage is running already";

  stage = (struct stage)NO_STAGE;
  stage.tty = flags & STAGE_TTY;
  stage.gathers = flags & STAGE_GATHERS;
  struct ends ends = NO_ENDS;
  bool opened = stage.tty ? ends_open_terminal(&ends, rows, columns) : ends_open_pipes(&ends, flags & STAGE_MERGES);
  const char *problem = opened ? NULL : strerror(errno);
  if (problem == NULL) {
    for (int i = 0; i < 3; i++)
      if (ends.ours[i] >= 0)
        fcntl(ends.ours[i], F_SETFL, fcntl(ends.ours[i], F_GETFL) | O_NONBLOCK);
    fstat(ends.child[0], &stage.input);
    stage_count(times.cpu_limit_us);
    alone = false;
    struct command command = {.ends = &ends, .on_terminal = stage.tty, .argv = argv, .env = env};
    problem = spawn(&command, &stage.pid, &stage.listener);
  }
  ends_close(&ends, problem != NULL);
  if (problem != NULL) {
    snprintf(error, sizeof error, "cannot run %.200s: %s", argv[0], problem);
    return error;
  }
  stage.in = ends.ours[0];
  stage.out = ends.ours[1];
  stage.err = ends.ours[2];
  stage.active = true;
  return NULL;
}

void stage_feed(void) {
  static char piece[FRAME_PAYLOAD_MAX];
  while (stage.source >= 0) {
    off_t at = lseek(stage.content, 0, SEEK_CUR);
    ssize_t n = read(stage.content, piece, sizeof piece);
    ssize_t written = n > 0 ? write(stage.source, piece, (size_t)n) : -1;
    if (n > 0 && written < 0 && errno == EAGAIN)
      written = 0;
    if (written >= 0)
      lseek(stage.content, at + written, SEEK_SET);
    if (written > 0)
      continue;
    if (written == 0)
      return; /* Full: the loop calls again when there is room. */
    close_fd(&stage.source); /* All is passed on, or nobody reads any more. */
    close_fd(&stage.content);
  }
}

static void collect(pid_t pid, int status, const struct rusage *usage) {
  if (held_ended(pid))
    return; /* Not part of the stage. */
  stage.user_us += microseconds(usage->ru_utime);
  stage.system_us += microseconds(usage->ru_stime);
  uint64_t peak = (uint64_t)usage->ru_maxrss * 1024;
  if (peak > stage.peak_bytes)
    stage.peak_bytes = peak;
  if (pid == stage.pid && !stage.exited) {
    stage.exited = true;
    stage.status = status;
    stage.wall_us = now_us() - stage.started_us;
  }
}

/* What is full, as the program left it; what its remains go on writing is not its affair. */
static unsigned full(void) {
  unsigned hits = 0;
  struct statvfs files;
  if (statvfs(".", &files) == 0)
    hits |= (files.f_blocks > 0 && files.f_bfree == 0 ? HIT_WORKSPACE : 0) |
            (files.f_files > 0 && files.f_ffree == 0 ? HIT_INODES : 0);
  if (statvfs("/dev/shm", &files) == 0 && files.f_blocks > 0 && files.f_bfree == 0)
    hits |= HIT_SHARED_MEMORY;
  return hits;
}

/* Ctrl-Z gives a shell's prompt back. Here is none, nor anybody to say `fg`, so what that stopped goes on at once. */
static void go_on(pid_t pid, int stop_signal) {
  if (stage.tty && pid == stage.pid && stop_signal == SIGTSTP)
    kill(-getpgid(pid), SIGCONT);
}

static void finish(void) {
  stage.lingers = false;
  if (reserve_needed())
    reserve_give(); /* Before anything else takes memory. */
  if (stage_clear() && reserve_needed())
    reserve_give(); /* What was left behind may have taken more until it was killed. */
}

void stage_reap(void) {
  int status;
  struct rusage usage;
  pid_t pid;
  bool had_exited = stage.exited;
  while ((pid = wait4(-1, &status, WNOHANG | WUNTRACED, &usage)) > 0)
    if (WIFSTOPPED(status))
      go_on(pid, WSTOPSIG(status));
    else
      collect(pid, status, &usage);
  bool left = pid == 0; /* As PID 1 we are the parent of all whose own has ended. */
  if (stage.exited && !had_exited) {
    stage.hits |= full();
    stage_sample_memory();
    stage.lingers = left && !stage.killed && !held_any() && !reserve_needed();
    stage.linger_end_us = now_us() + LINGER_US;
    stage_heard(now_us());
    if (!stage.lingers)
      finish();
  } else if (stage.lingers && !left) {
    finish();
  }
}

void stage_heard(uint64_t now) {
  stage.silent_at_us = now + LINGER_SILENT_US;
}

uint64_t stage_linger_until(void) {
  bool heard = stage.out >= 0 || stage.err >= 0; /* Else nobody can write to us any more. */
  if (!heard || stage.killed)
    return 0;
  return stage.silent_at_us < stage.linger_end_us ? stage.silent_at_us : stage.linger_end_us;
}

void stage_stop_lingering(void) {
  if (stage.lingers)
    finish();
}

/* Kills every process but us and those held, one by one; returns whether there was one. */
static bool kill_others(void) {
  DIR *processes = opendir("/proc");
  if (processes == NULL)
    return false;
  bool found = false;
  for (struct dirent *entry; (entry = readdir(processes)) != NULL;) {
    pid_t pid = (pid_t)atol(entry->d_name); /* 0 for what is no process. */
    if (pid <= 1 || held_has(pid))
      continue;
    found |= kill(pid, SIGKILL) == 0;
  }
  closedir(processes);
  return found;
}

/* As PID 1 we are every orphan's parent, so what was killed comes to us in the end. */
static bool clear(void) {
  enum { ROUNDS_MAX = 100 }; /* Then something forks faster than we look, and what is held goes too. */
  int status;
  struct rusage usage;
  bool found = false;
  for (int round = 0; held_any(); round++) {
    if (round == ROUNDS_MAX)
      held_discard();
    else if (!kill_others())
      return found;
    found = true;
    pid_t pid = wait4(-1, &status, 0, &usage);
    if (pid > 0)
      collect(pid, status, &usage);
  }
  while (!alone) {
    stage_kill();
    pid_t pid = wait4(-1, &status, 0, &usage);
    alone = pid < 0 && errno == ECHILD;
    found |= !alone;
    if (pid > 0)
      collect(pid, status, &usage);
  }
  return found;
}

bool stage_clear(void) {
  heartbeat_busy(); /* Processes end as fast as they get CPU for it. */
  bool found = clear();
  heartbeat_free();
  return found;
}

void stage_kill(void) {
  stage.killed = true;
  kill(-1, SIGKILL);
}

void stage_signal(int number) {
  if (!stage.active || stage.exited)
    return;
  /* On a terminal, whoever has the foreground gets it, as with Ctrl-C. */
  pid_t group = 0;
  if (!stage.tty || ioctl(stage.out, TIOCGPGRP, &group) < 0 || group <= 1) /* Ours, if it says so. */
    group = stage.pid;
  kill(-group, number);
}

void stage_resize(unsigned rows, unsigned columns) {
  struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
  if (stage.active && stage.tty)
    ioctl(stage.out, TIOCSWINSZ, &size);
}

void stage_end(void) {
  bool signalled = WIFSIGNALED(stage.status);
  /* The kernel tells the time before the release as one sum; starting up is mostly user time. */
  uint64_t before = stage.used_before_us < stage.user_us ? stage.used_before_us : stage.user_us;
  stage.user_us -= before;
  before = stage.used_before_us - before;
  stage.system_us -= before < stage.system_us ? before : stage.system_us;
  /* Children that nobody waits for are in no process's sum, but in the cgroup's. */
  uint64_t used = cpu_us() - stage.cpu_before_us;
  if (used > stage.user_us + stage.system_us)
    stage.user_us = used - stage.system_us;
  uint64_t killed = cgroup_oom_kills() - stage.oom_kills_before;
  if (cgroup_refused_forks() > stage.refused_forks_before)
    stage.hits |= HIT_PIDS;
  /* Where the container had more before, the largest process and what we saw in passing have to do. */
  uint64_t peak = cgroup_memory_peak();
  uint64_t whole = peak > stage.memory_peak_before ? cgroup_memory_used(peak) : 0;
  uint8_t payload[40];
  payload[0] = signalled;
  payload[1] = (uint8_t)(signalled ? WTERMSIG(stage.status) : WEXITSTATUS(stage.status));
  write_int(payload + 2, stage.wall_us, 8);
  write_int(payload + 10, stage.user_us, 8);
  write_int(payload + 18, stage.system_us, 8);
  write_int(payload + 26, whole > stage.peak_bytes ? whole : stage.peak_bytes, 8);
  write_int(payload + 34, killed > UINT32_MAX ? UINT32_MAX : killed, 4);
  payload[38] = stage.cpu_limit_us > 0 && used >= stage.cpu_limit_us;
  payload[39] = (uint8_t)stage.hits;
  out_frame(OUT_STAGE_END, payload, sizeof payload);
  if (!stage.tty)
    close_fd(&stage.in);
  close_fd(&stage.source);
  close_fd(&stage.content);
  close_fd(&stage.listener);
  stage = (struct stage)NO_STAGE;
}
