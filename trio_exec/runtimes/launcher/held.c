#include "held.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ends.h"
#include "files.h"
#include "probe.h"
#include "stage.h"

enum { PATH_LENGTH_MAX = 256 };

/* In a stage's frame, the rows, columns and times may differ from those that it was prestarted with; of the flags, only those of its streams matter. */
enum { SPEC_COUNTS = 13 };

static struct held {
  bool here;
  bool opened; /* It has opened the FIFO, so stage.source is there. */
  struct stage stage;
  char path[PATH_LENGTH_MAX];
  char content[32]; /* Where the file is kept until the FIFO makes room for it. */
  uint8_t spec[FRAME_PAYLOAD_MAX]; /* What it was prestarted with. */
  size_t length;
} all[HELD_MAX];

static bool some_let_go, some_failed;

/* The first held command behind another, or of all; NULL at the end. */
static struct held *next(struct held *before) {
  for (struct held *held = before == NULL ? all : before + 1; held < all + HELD_MAX; held++)
    if (held->here)
      return held;
  return NULL;
}

const char *held_prestart(struct reader *spec) {
  const char *path = read_string(spec);
  struct held *held = all;
  while (held < all + HELD_MAX && held->here)
    held++;
  if (!spec->ok || strlen(path) >= PATH_LENGTH_MAX)
    return "malformed prestart frame";
  if (stage.active || held == all + HELD_MAX)
    return "something is running or held already";
  strcpy(held->path, path);
  snprintf(held->content, sizeof held->content, ".tmp/held%d", (int)(held - all));
  memcpy(held->spec, spec->at, spec->left);
  held->length = spec->left;
  const char *problem = file_make_folders(held->path);
  if (problem == NULL && mkfifo(path, 0644) < 0)
    problem = strerror(errno);
  if (problem != NULL)
    return problem;
  uint64_t deadline_s; /* Counts from the release. */
  problem = stage_start(spec, &deadline_s);
  if (problem != NULL) {
    unlink(path);
    return problem;
  }
  held->stage = stage;
  held->here = true;
  held->opened = false;
  stage = (struct stage)NO_STAGE;
  return NULL;
}

bool held_any(void) { return next(NULL) != NULL; }

bool held_starting(void) {
  for (struct held *held = NULL; (held = next(held)) != NULL;)
    if (!held->opened)
      return true;
  return false;
}

int held_opened(void) {
  int count = 0;
  for (struct held *held = NULL; (held = next(held)) != NULL;) {
    if (held->opened)
      continue;
    /* Fails for as long as nobody has the other end open. */
    int fd = open(held->path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    struct stat opened;
    if (fd >= 0 && fstat(fd, &opened) == 0 && S_ISFIFO(opened.st_mode)) {
      held->stage.source = fd;
      held->opened = true;
      count++;
    } else {
      close_fd(&fd); /* A stage was quicker, and the file is there already: this start is of no use. */
    }
  }
  return count;
}

bool held_has(pid_t pid) {
  /* Nobody becomes another's child who is not, so the way up can't be forged. */
  for (; pid > 1; pid = parent_of(pid))
    for (struct held *held = NULL; (held = next(held)) != NULL;)
      if (held->stage.pid == pid)
        return true;
  return false;
}

int held_listeners(int *listeners) {
  int count = 0;
  for (struct held *held = NULL; (held = next(held)) != NULL;)
    if (held->stage.listener >= 0)
      listeners[count++] = held->stage.listener;
  return count;
}

static void forget(struct held *held) {
  /* The file, if it is there already, is needed by what comes instead. */
  if (rename(held->content, held->path) < 0) {
    struct stat there;
    if (lstat(held->path, &there) == 0 && S_ISFIFO(there.st_mode))
      unlink(held->path);
  }
  if (held->stage.tty)
    held->stage.in = -1; /* The same descriptor as its output. */
  close_fd(&held->stage.in);
  close_fd(&held->stage.out);
  close_fd(&held->stage.err);
  close_fd(&held->stage.source);
  close_fd(&held->stage.listener);
  held->here = false;
}

bool held_ended(pid_t pid) {
  for (struct held *held = NULL; (held = next(held)) != NULL;)
    if (held->stage.pid == pid) {
      forget(held);
      some_failed = true;
      return true;
    }
  return false;
}

bool held_failed(void) {
  bool failed = some_failed && !some_let_go;
  some_failed = false;
  return failed;
}

char *held_instead_of(const char *path) {
  for (struct held *held = NULL; (held = next(held)) != NULL;)
    if (strcmp(path, held->path) == 0)
      return held->content;
  return NULL;
}

/* What a command has used so far, which is not the program's. */
static uint64_t used_us(pid_t pid) {
  clockid_t clock;
  struct timespec used;
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
    return 0;
  return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

/* What is behind the last argument in a stage's frame, and that argument itself. */
static struct reader behind_arguments(struct reader spec, const char **last) {
  read_int(&spec, SPEC_COUNTS);
  size_t argc = (size_t)read_int(&spec, 2);
  read_int(&spec, 2);
  spec.ok &= argc > 0;
  for (*last = ""; argc > 0 && spec.ok; argc--)
    *last = read_string(&spec);
  return spec;
}

static bool is_named(const struct held *held) { return held->spec[0] & STAGE_IS_NAMED; }

/* Whether the two are the same, from the counts of strings on; a named one's last argument may be any. */
static bool is_same_command(const struct held *held, const struct reader *spec) {
  struct reader ours = {.at = held->spec, .left = held->length, .ok = true}, theirs = *spec;
  if (is_named(held)) {
    const char *our_name, *their_name;
    struct reader our_rest = behind_arguments(ours, &our_name), their_rest = behind_arguments(theirs, &their_name);
    if (!our_rest.ok || !their_rest.ok || our_rest.left != their_rest.left ||
        memcmp(our_rest.at, their_rest.at, our_rest.left) != 0)
      return false;
    ours.left = (size_t)((const uint8_t *)our_name - ours.at);
    theirs.left = (size_t)((const uint8_t *)their_name - theirs.at);
  }
  return ours.left == theirs.left && ours.left > SPEC_COUNTS &&
         memcmp(ours.at + SPEC_COUNTS, theirs.at + SPEC_COUNTS, ours.left - SPEC_COUNTS) == 0;
}

static bool is_asked_for(const struct held *held, const struct reader *spec) {
  return held->opened && spec->left > 0 && ((spec->at[0] ^ held->spec[0]) & (STAGE_TTY | STAGE_MERGES)) == 0 &&
         is_same_command(held, spec);
}

/* Puts the name of the main file where the content of the FIFO is taken from; the FIFO itself goes. */
static bool take_name(struct held *held, const struct reader *spec) {
  const char *name;
  behind_arguments(*spec, &name);
  ssize_t length = (ssize_t)strlen(name);
  int fd = memfd_create("name", MFD_CLOEXEC);
  held->stage.content = fd;
  unlink(held->path);
  return fd >= 0 && write(fd, name, (size_t)length) == length && lseek(fd, 0, SEEK_SET) == 0;
}

/* Puts the file in the FIFO's place and opens it; false when there is none. */
static bool take_file(struct held *held) {
  struct stat file;
  (void)!rename(held->content, held->path); /* There is none where a stage has put the file in place itself. */
  int fd = open(held->path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
  held->stage.content = fd;
  if (fd >= 0 && fstat(fd, &file) == 0 && S_ISREG(file.st_mode))
    return true;
  close_fd(&held->stage.content);
  return false;
}

bool held_release(struct reader spec, uint64_t *deadline_s) {
  if (stage.active)
    return false;
  for (struct held *held = NULL; (held = next(held)) != NULL;) {
    if (!is_asked_for(held, &spec) || !(is_named(held) ? take_name(held, &spec) : take_file(held)))
      continue;
    held->here = false;
    some_let_go = true;
    stage = held->stage;
    stage.gathers = read_int(&spec, 1) & STAGE_GATHERS;
    unsigned rows = (unsigned)read_int(&spec, 2), columns = (unsigned)read_int(&spec, 2);
    struct times times = read_times(&spec);
    *deadline_s = times.deadline_s;
    stage.active = true;
    stage.used_before_us = used_us(stage.pid);
    stage_count(times.cpu_limit_us);
    stage_resize(rows, columns);
    stage_feed();
    return true;
  }
  held_discard();
  return false;
}

void held_discard(void) {
  if (!held_any())
    return;
  for (struct held *held = NULL; (held = next(held)) != NULL;) {
    kill(-held->stage.pid, SIGKILL); /* It leads its process group. */
    waitpid(held->stage.pid, NULL, 0);
    forget(held);
  }
  if (!stage.active)
    stage_clear(); /* Whatever else they may have started. */
}
