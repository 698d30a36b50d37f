#include "stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "held.h"
#include "identity.h"
#include "probe.h"
#include "reserve.h"

enum { STRINGS_MAX = 4096 };

struct stage stage = NO_STAGE;

static char error[512];

static bool alone; /* Nothing was started since all was killed. */

enum { CPU_CHECK_US = 5000 }; /* How closely a limit on CPU time is kept to, at the most. */

uint64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t microseconds(struct timeval time) { return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec; }

void close_fd(int *fd) {
  if (*fd >= 0)
    close(*fd);
  *fd = -1;
}

/* The three descriptors of the program, and our ends of them. */
struct ends {
  int child[3];
  int ours[3];
};

static bool open_pipes(struct ends *ends) {
  bool opened = true;
  identity_charge_program(true);
  for (int i = 0; opened && i < 3; i++) {
    int pair[2];
    opened = pipe2(pair, O_CLOEXEC) == 0;
    if (opened) {
      ends->child[i] = pair[i == 0 ? 0 : 1];
      ends->ours[i] = pair[i == 0 ? 1 : 0];
    }
  }
  int problem = errno;
  identity_charge_program(false);
  errno = problem;
  return opened;
}

static bool open_terminal(struct ends *ends, unsigned rows, unsigned columns) {
  int master = identity_open_terminals(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0)
    return false;
  ends->ours[0] = ends->ours[1] = master;
  int unlock = 0, number = 0;
  char name[32];
  if (ioctl(master, TIOCSPTLCK, &unlock) < 0 || ioctl(master, TIOCGPTN, &number) < 0)
    return false;
  snprintf(name, sizeof name, "/dev/pts/%d", number);
  int terminal = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0)
    return false;
  ends->child[0] = terminal;
  struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
  struct termios modes;
  if (ioctl(terminal, TIOCSWINSZ, &size) < 0 || tcgetattr(terminal, &modes) < 0)
    return false;
  modes.c_iflag |= IUTF8; /* So that erasing removes a character, not a byte. */
  if (tcsetattr(terminal, TCSANOW, &modes) < 0)
    return false;
  /* One descriptor each, so that they close alike. */
  ends->child[1] = fcntl(terminal, F_DUPFD_CLOEXEC, 3);
  ends->child[2] = fcntl(terminal, F_DUPFD_CLOEXEC, 3);
  return ends->child[1] >= 0 && ends->child[2] >= 0;
}

struct command {
  const struct ends *ends;
  char **argv, **env;
  int report; /* Carries errno where the command could not be run; else it closes with the exec. */
};

/* In the child. Only returns when something failed, with errno set. */
static void become(const struct command *command) {
  setsid();
  if (stage.tty && ioctl(command->ends->child[0], TIOCSCTTY, 0) < 0)
    return;
  for (int i = 0; i < 3; i++)
    if (dup2(command->ends->child[i], i) < 0)
      return;
  signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (!identity_become_program())
    return;
  /* Looked up where the image says. What the program gets as its PATH may lead anywhere, and is asked second. */
  execvpe(command->argv[0], command->argv, command->env);
  environ = command->env;
  execvp(command->argv[0], command->argv);
}

static int run_command(void *argument) {
  const struct command *command = argument;
  become(command);
  int code = errno;
  (void)!write(command->report, &code, sizeof code);
  _exit(127);
}

/*
 * The child borrows our memory until it runs something else, while we wait: a copy would take longer
 * than all the rest. Where memory is short it gets the copy: what the kernel then kills for want of
 * memory, it kills with all that share it.
 */
static pid_t start_child(struct command *command) {
  enum { STACK_SIZE = 1 << 17 };
  alone = false;
  static _Alignas(16) char stack[STACK_SIZE];
  int borrow = reserve_needed() ? 0 : CLONE_VM | CLONE_VFORK;
  char **environment = environ;
  pid_t pid = clone(run_command, stack + STACK_SIZE, borrow | SIGCHLD, command);
  int problem = errno;
  environ = environment;
  identity_stay_hidden();
  errno = problem;
  return pid;
}

static const char *spawn(const struct ends *ends, char **argv, char **env) {
  int report[2];
  if (pipe2(report, O_CLOEXEC) < 0)
    return strerror(errno);
  struct command command = {.ends = ends, .argv = argv, .env = env, .report = report[1]};
  pid_t pid = start_child(&command);
  int problem = errno;
  close(report[1]);
  int code = 0;
  ssize_t n = pid < 0 ? 0 : read(report[0], &code, sizeof code);
  close(report[0]);
  if (pid < 0)
    return strerror(problem);
  stage.pid = pid;
  if (n > 0)
    waitpid(pid, NULL, 0);
  return n > 0 ? strerror(code) : NULL;
}

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
  stage.oom_kills_before = oom_kills();
  stage.cpu_before_us = cpu_us();
  stage.started_us = stage.cpu_check_at_us = now_us();
  stage.cpu_limit_us = cpu_limit_us;
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
  struct ends ends = {.child = {-1, -1, -1}, .ours = {-1, -1, -1}};
  bool opened = stage.tty ? open_terminal(&ends, rows, columns) : open_pipes(&ends);
  const char *problem = opened ? NULL : strerror(errno);
  if (problem == NULL) {
    for (int i = 0; i < 3; i++)
      if (ends.ours[i] >= 0)
        fcntl(ends.ours[i], F_SETFL, fcntl(ends.ours[i], F_GETFL) | O_NONBLOCK);
    fstat(ends.child[0], &stage.input);
    stage_count(times.cpu_limit_us);
    problem = spawn(&ends, argv, env);
  }
  for (int i = 0; i < 3; i++)
    close_fd(&ends.child[i]);
  if (problem != NULL) {
    if (stage.tty)
      ends.ours[1] = -1; /* The same descriptor as the first. */
    for (int i = 0; i < 3; i++)
      close_fd(&ends.ours[i]);
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

void stage_reap(void) {
  int status;
  struct rusage usage;
  pid_t pid;
  bool had_exited = stage.exited;
  while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0)
    collect(pid, status, &usage);
  if (stage.exited && !had_exited) {
    if (reserve_needed())
      reserve_give(); /* Before anything else takes memory. */
    if (stage_clear() && reserve_needed())
      reserve_give(); /* What was left behind may have taken more until it was killed. */
  }
}

/* Kills every process but us and those held, one by one; returns whether there was one. */
static bool kill_others(void) {
  DIR *processes = opendir("/proc");
  if (processes == NULL)
    return false;
  bool found = false;
  for (struct dirent *entry; (entry = readdir(processes)) != NULL;) {
    pid_t pid = (pid_t)atol(entry->d_name); /* 0 for what is no process. */
    if (pid <= 1 || held_has(getsid(pid)))
      continue;
    found |= kill(pid, SIGKILL) == 0;
  }
  closedir(processes);
  return found;
}

/* As PID 1 we are every orphan's parent, so what was killed comes to us in the end. */
bool stage_clear(void) {
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

void stage_kill(void) { kill(-1, SIGKILL); }

void stage_signal(int number) {
  if (!stage.active || stage.exited)
    return;
  /* On a terminal, whoever has the foreground gets it, as with Ctrl-C. */
  pid_t group = 0;
  if (!stage.tty || ioctl(stage.out, TIOCGPGRP, &group) < 0 || group <= 0)
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
  uint64_t killed = oom_kills() - stage.oom_kills_before;
  uint8_t payload[39];
  payload[0] = signalled;
  payload[1] = (uint8_t)(signalled ? WTERMSIG(stage.status) : WEXITSTATUS(stage.status));
  write_int(payload + 2, stage.wall_us, 8);
  write_int(payload + 10, stage.user_us, 8);
  write_int(payload + 18, stage.system_us, 8);
  write_int(payload + 26, stage.peak_bytes, 8);
  write_int(payload + 34, killed > UINT32_MAX ? UINT32_MAX : killed, 4);
  payload[38] = stage.cpu_limit_us > 0 && used >= stage.cpu_limit_us;
  out_frame(OUT_STAGE_END, payload, sizeof payload);
  if (!stage.tty)
    close_fd(&stage.in);
  close_fd(&stage.source);
  close_fd(&stage.content);
  stage = (struct stage)NO_STAGE;
}
