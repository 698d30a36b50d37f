/*
 * PID 1 of every container: runs stages (compile, run) on the server's word, and streams their
 * input and output as frames over its own standard input and output.
 *
 * What must hold:
 *  - One thread, one poll loop, nothing in it that can block for long. What runs programs allocates
 *    nothing; what goes through the workspace (walk.h, image.h) does, within bounds.
 *  - The end of our own input means that the server is gone, so we go too, and the kernel kills
 *    whatever else is in this PID namespace. So does its silence (see heartbeat.h), and a deadline
 *    of our own backs that up.
 *  - We say nothing before we are greeted: nobody may be listening yet.
 *  - The program can't reach us: it is another user without privileges (see identity.h), has none
 *    of our descriptors, and we are not dumpable. So it can't forge frames, nor slow us down.
 *  - Output is read only when there is room to pass it on: a server that does not read thereby
 *    stops the program, and no buffer grows.
 *  - Input is bounded by a window that the server keeps to and that we acknowledge, so that a
 *    program that does not read never blocks the frames behind its input.
 *  - A stage's end is told after the last byte of its output, and only when no process is left.
 *  - Output reaches the server in the order in which the program wrote it.
 *
 * Usage: launcher SECONDS UID[:PROCESSES] [CHARGED…]. Ends by itself that long after its start, or after the start of a
 * stage for as long as that stage asks. Programs run with the uid, and the gid of that number, which may have so many
 * processes and threads, ours among them if we have it ourselves. The words say
 * what the machine charges containers for (see confine.h). Other uses have nothing to do with that; see reach.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collect.h"
#include "confine.h"
#include "ends.h"
#include "files.h"
#include "frames.h"
#include "heartbeat.h"
#include "held.h"
#include "identity.h"
#include "order.h"
#include "output.h"
#include "probe.h"
#include "reach.h"
#include "reserve.h"
#include "snapshot.h"
#include "stage.h"

enum { SERVER_IN = 0, SERVER_OUT = 1 };

/* How soon after the last activity to look whether the program waits for input; then ever slower. */
enum { PROBE_FIRST_US = 4000, PROBE_LAST_US = 128000 };

/* How often to look whether a held command has opened its FIFO: nothing tells of that. */
enum { PRESTART_POLL_US = 5000 };

/* How long, and how much, is gathered where a stage allows it, so that a short one is told in one piece. */
enum { GATHER_US = 10000, GATHER_BYTES = 32768 };

static uint64_t deadline_us;
static uint64_t gather_until_us; /* 0 while there is nothing to be sent. */

static uint8_t input[STDIN_WINDOW]; /* What the program has yet to take. */
static size_t input_length;
static bool input_ends;
static uint32_t unacknowledged;

enum { GOES_ON, WAITS, SLEEPS, SLEEPS_AFTER_US = 1000000 };

static uint8_t quiet; /* Which of these the server was last told. */
static uint64_t asleep_since_us; /* 0 where it is not. */
static uint64_t probe_at_us, probe_delay_us;

static void fail(const char *message) {
  /* To the container's standard error, which the server logs. */
  dprintf(STDERR_FILENO, "launcher: %s\n", message);
  _exit(1);
}

static void report(const char *message) { out_frame(OUT_ERROR, message, strlen(message)); }

static void set_deadline(uint64_t seconds) { deadline_us = now_us() + seconds * 1000000; }

static void tell_quiet(uint8_t now_quiet) {
  if (now_quiet == quiet)
    return;
  quiet = now_quiet;
  out_frame(OUT_WAITING, &quiet, 1);
}

static void saw_activity(void) {
  asleep_since_us = 0;
  probe_delay_us = PROBE_FIRST_US;
  probe_at_us = now_us() + probe_delay_us;
}

static void probe_waiting(void) {
  bool open_input = stage.in >= 0 && !input_ends && input_length == 0, all_sleep = false;
  bool waits = open_input && someone_waits(&stage.input, &all_sleep);
  if (waits || !all_sleep)
    asleep_since_us = 0;
  else if (asleep_since_us == 0)
    asleep_since_us = now_us();
  bool sleeps = asleep_since_us > 0 && now_us() - asleep_since_us >= SLEEPS_AFTER_US;
  tell_quiet(waits ? WAITS : sleeps ? SLEEPS : GOES_ON);
  if (probe_delay_us < PROBE_LAST_US)
    probe_delay_us *= 2;
  probe_at_us = now_us() + probe_delay_us;
}

static void start_stage(struct reader *payload) {
  uint64_t deadline_s = 0;
  reserve_take();
  const char *problem = held_release(*payload, &deadline_s) ? NULL : stage_start(payload, &deadline_s);
  if (problem != NULL) {
    report(problem);
    return;
  }
  input_length = 0;
  input_ends = false;
  unacknowledged = 0;
  quiet = GOES_ON;
  output_begin();
  set_deadline(deadline_s);
  out_frame(OUT_STARTED, NULL, 0);
  saw_activity();
}

static void take_input(const uint8_t *data, size_t length) {
  if (length > sizeof input - input_length)
    fail("the server sent more input than its window");
  memcpy(input + input_length, data, length);
  input_length += length;
  tell_quiet(GOES_ON);
  saw_activity();
}

static void drop_input(void) {
  unacknowledged += (uint32_t)input_length;
  input_length = 0;
}

static void pass_input(void) {
  if (stage.in < 0 || stage.exited) {
    drop_input();
    return;
  }
  if (input_length > 0) {
    ssize_t n = write(stage.in, input, input_length);
    if (n > 0) {
      unacknowledged += (uint32_t)n;
      input_length -= (size_t)n;
      memmove(input, input + n, input_length);
      saw_activity();
    } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
      drop_input(); /* The program closed its input: what comes is read by nobody, as in a shell. */
    }
  }
  if (input_ends && input_length == 0 && !stage.tty) {
    close(stage.in);
    stage.in = -1;
  }
}

static void acknowledge(void) {
  uint8_t payload[4];
  write_int(payload, unacknowledged, 4);
  out_frame(OUT_ACK, payload, sizeof payload);
  unacknowledged = 0;
}

static void take_file(struct reader *payload) {
  enum { MODE_MAX = 07777 };
  bool append = read_int(payload, 1) != 0;
  mode_t mode = (mode_t)read_int(payload, 2);
  char *path = (char *)read_string(payload);
  char *instead = held_instead_of(path); /* Whether other files make a difference, whoever sends them knows. */
  if (instead != NULL)
    path = instead;
  bool ok = payload->ok && mode <= MODE_MAX;
  const char *problem = ok ? file_write(path, append, mode, payload->at, payload->left) : "malformed file frame";
  if (problem != NULL) {
    char message[512];
    snprintf(message, sizeof message, "cannot write %.200s: %s", path, problem);
    report(message);
  }
}

static void save_workspace(void) {
  const char *problem = "the workspace can't be saved while a stage runs";
  if (!stage.active) {
    held_discard(); /* Its files are then in place, and nothing changes others. */
    stage_clear();
    heartbeat_busy();
    problem = snapshot_save();
    heartbeat_free();
  }
  if (problem == NULL)
    out_frame(OUT_SAVED, NULL, 0);
  else
    report(problem);
}

/* A workspace that is not clean must not be used: then there is no going on. */
static void restore_workspace(void) {
  if (stage.active)
    fail("the workspace can't be restored while a stage runs");
  held_discard();
  stage_clear();
  heartbeat_busy();
  const char *problem = snapshot_restore();
  heartbeat_free();
  if (problem != NULL)
    fail(problem);
}

static void handle(struct frame *frame) {
  if (!heartbeat_greeted()) {
    const char *problem = heartbeat_greet(frame);
    if (problem != NULL)
      fail(problem);
    return;
  }
  struct reader payload = {.at = frame->payload, .left = frame->length, .ok = true};
  switch (frame->type) {
  case IN_PING:
    heartbeat_answer();
    break;
  case IN_FILE:
    take_file(&payload);
    break;
  case IN_STAGE:
    start_stage(&payload);
    break;
  case IN_PRESTART: {
    const char *problem = held_prestart(&payload);
    if (problem != NULL)
      report(problem);
    break;
  }
  case IN_STDIN:
    take_input(frame->payload, frame->length);
    break;
  case IN_EOF:
    input_ends = true;
    tell_quiet(GOES_ON);
    break;
  case IN_SIGNAL:
    stage_signal((int)read_int(&payload, 1));
    saw_activity();
    break;
  case IN_RESIZE: {
    unsigned rows = (unsigned)read_int(&payload, 2);
    stage_resize(rows, (unsigned)read_int(&payload, 2));
    break;
  }
  case IN_KILL:
    if (stage.active)
      stage_kill();
    held_discard();
    break;
  case IN_SAVE:
    save_workspace();
    break;
  case IN_RESTORE:
    restore_workspace();
    break;
  case IN_COLLECT: {
    const char *problem = collect_begin(&payload);
    if (problem != NULL)
      report(problem);
    break;
  }
  default:
    fail("unknown frame type");
  }
}

/* Handles what has arrived, as long as there is room for what the frames may have us say. While files are sent, none may change. */
static void take_frames(void) {
  struct frame frame;
  bool found;
  while (out_room() >= CONTROL_RESERVE && !collect_active()) {
    if (in_next(&frame, &found) == IN_GARBAGE)
      fail("a frame is too long");
    if (!found)
      return;
    handle(&frame);
    in_consume(&frame);
  }
}

static void tell_lingering(void) {
  static bool told;
  if (stage.lingers && !told)
    out_frame(OUT_LINGERS, NULL, 0);
  told = stage.lingers;
}

/* Whether what is to be sent may wait for more. Once it is being sent, nothing of it does. */
static bool gathers(uint64_t now) {
  if (out_pending() == 0)
    gather_until_us = 0;
  else if (gather_until_us == 0)
    gather_until_us = now + GATHER_US;
  return stage.active && stage.gathers && out_pending() < GATHER_BYTES && now < gather_until_us;
}

static int poll_timeout(uint64_t now) {
  uint64_t next = deadline_us < heartbeat_until() ? deadline_us : heartbeat_until();
  if (collect_active() && collect_has_room())
    return 0;
  if (stage.active && !stage.exited && probe_at_us < next)
    next = probe_at_us;
  if (stage.active && (!stage.exited || stage.lingers) && stage.cpu_limit_us > 0 && stage.cpu_check_at_us < next)
    next = stage.cpu_check_at_us;
  if (stage.active && output_gathers_until() > now && output_gathers_until() < next)
    next = output_gathers_until();
  if (stage.active && stage.lingers && stage_linger_until() < next)
    next = stage_linger_until();
  if (gathers(now) && gather_until_us < next)
    next = gather_until_us;
  if (held_starting() && now + PRESTART_POLL_US < next)
    next = now + PRESTART_POLL_US;
  if (next <= now)
    return 0;
  uint64_t milliseconds = (next - now + 999) / 1000;
  return milliseconds > 60000 ? 60000 : (int)milliseconds;
}

/* Whether more has come from the server than was seen: where processors are short, we may have had none since the look. */
static bool says_something(void) {
  struct pollfd look = {.fd = SERVER_IN, .events = POLLIN};
  return in_has_room() && poll(&look, 1, 0) == 1 && look.revents & POLLIN;
}

static void loop(int child_signals) {
  for (;;) {
    bool room = output_has_room();
    uint64_t now = now_us();
    int held[HELD_MAX] = {-1, -1};
    held_listeners(held);
    struct pollfd fds[] = {
        {.fd = SERVER_IN, .events = in_has_room() ? POLLIN : 0}, /* Its end is told in any case. */
        {.fd = out_pending() > 0 && !gathers(now) ? SERVER_OUT : -1, .events = POLLOUT},
        {.fd = child_signals, .events = POLLIN},
        {.fd = room && stage.active ? stage.out : -1, .events = POLLIN},
        {.fd = room && stage.active && now >= output_gathers_until() ? stage.err : -1, .events = POLLIN},
        {.fd = input_length > 0 && stage.in != stage.out ? stage.in : -1, .events = POLLOUT},
        {.fd = stage.active ? stage.source : -1, .events = POLLOUT},
        {.fd = room && stage.active && !output_waits() ? stage.listener : -1, .events = POLLIN},
        {.fd = held[0], .events = POLLIN},
        {.fd = held[1], .events = POLLIN},
    };
    enum { SERVER_READ, SERVER_WRITE, CHILDREN, OUTPUT, ERRORS, INPUT, SOURCE, ANNOUNCED, HELD, COUNT = HELD + HELD_MAX };
    if (stage.tty && input_length > 0 && fds[OUTPUT].fd >= 0)
      fds[OUTPUT].events |= POLLOUT;

    if (poll(fds, COUNT, poll_timeout(now)) < 0 && errno != EINTR)
      fail(strerror(errno));
    now = now_us();
    if (now >= deadline_us)
      fail("the deadline passed");

    if (fds[SERVER_READ].revents & (POLLHUP | POLLERR))
      _exit(0);
    if (fds[SERVER_READ].revents & POLLIN) {
      if (in_fill(SERVER_IN) == IN_CLOSED)
        _exit(0);
      heartbeat_heard(now);
      if (collect_active())
        heartbeat_answer(); /* It may be a Ping, which is not looked at before the end. */
    }
    if (!in_has_room() && fds[SERVER_WRITE].revents & POLLOUT)
      heartbeat_heard(now); /* Where no more of it is read, that it reads has to do. */
    if (now >= heartbeat_until() && !says_something())
      fail(heartbeat_problem());
    if (collect_active()) {
      const char *problem = collect_step();
      if (problem != NULL)
        fail(problem);
    }
    take_frames();
    if (fds[CHILDREN].revents & POLLIN) {
      struct signalfd_siginfo info;
      (void)!read(child_signals, &info, sizeof info); /* Says only "look": one may stand for many. */
      stage_reap();
    }
    for (int opened = held_opened(); opened > 0; opened--)
      out_frame(OUT_PRESTARTED, NULL, 0);
    if (held_failed())
      report("a prestarted command ended");
    for (int i = 0; i < HELD_MAX; i++) {
      uint64_t id; /* Nobody reads either of its streams yet. */
      if (fds[HELD + i].revents & POLLIN && order_announced(held[i], &id))
        order_go_on(held[i], id);
    }
    if (stage.active) {
      if (stage.source >= 0)
        stage_feed();
      enum { READABLE = POLLIN | POLLHUP | POLLERR };
      bool announced = fds[ANNOUNCED].revents & POLLIN;
      if (fds[ANNOUNCED].revents != 0 && !announced)
        close_fd(&stage.listener); /* Nobody is left who could announce anything. */
      if (output_pass(fds[OUTPUT].revents & READABLE, fds[ERRORS].revents & READABLE, announced)) {
        saw_activity();
        stage_heard(now);
      }
      if (stage.lingers && now >= stage_linger_until())
        stage_stop_lingering();
      if (out_room() >= CONTROL_RESERVE)
        tell_lingering();
      pass_input();
      if (unacknowledged > 0 && out_room() >= CONTROL_RESERVE)
        acknowledge();
      if (stage.cpu_limit_us > 0 && (!stage.exited || stage.lingers) && now >= stage.cpu_check_at_us)
        stage_check_cpu(now);
      if (stage.exited && out_room() >= CONTROL_RESERVE)
        tell_quiet(GOES_ON);
      if (now >= probe_at_us && !stage.exited && out_room() >= CONTROL_RESERVE) {
        stage_sample_memory();
        probe_waiting();
      }
      if (stage.exited && stage.out < 0 && stage.err < 0 && out_room() >= CONTROL_RESERVE) {
        stage_end();
        input_length = 0;
        input_ends = false;
      }
    }
    if (!gathers(now) && !out_flush(SERVER_OUT))
      _exit(0);
  }
}

int main(int argc, char **argv) {
  int reached = reach(argc, argv);
  if (reached >= 0)
    return reached;
  if (argc < 3 || atol(argv[1]) <= 0 || atol(argv[2]) <= 0)
    fail("usage: launcher SECONDS UID[:PROCESSES] [CHARGED...]");
  if (getpid() != 1)
    fail("must run as PID 1: it kills every process that it can see");
  (void)setsid(); /* To have terminals, as a shell has; the engine has done it already, as a rule. */
  const char *problem = identity_take((uid_t)atol(argv[2]));
  const char *processes = strchr(argv[2], ':');
  if (problem == NULL && processes != NULL)
    problem = confine_processes((unsigned long)atol(processes + 1));
  if (problem == NULL)
    problem = confine(argv + 3);
  if (problem != NULL)
    fail(problem);
  /* Programs look for a temporary folder in /tmp, which the images link to this one. */
  mkdir(".tmp", 0700);
  problem = snapshot_prepare();
  if (problem != NULL)
    fail(problem);
  signal(SIGPIPE, SIG_IGN);
  fcntl(SERVER_IN, F_SETFL, fcntl(SERVER_IN, F_GETFL) | O_NONBLOCK);
  fcntl(SERVER_OUT, F_SETFL, fcntl(SERVER_OUT, F_GETFL) | O_NONBLOCK);
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  sigprocmask(SIG_BLOCK, &children, NULL);
  int child_signals = signalfd(-1, &children, SFD_NONBLOCK | SFD_CLOEXEC);
  if (child_signals < 0)
    fail(strerror(errno));
  set_deadline((uint64_t)atol(argv[1]));
  heartbeat_begin(SERVER_OUT);
  loop(child_signals);
}
