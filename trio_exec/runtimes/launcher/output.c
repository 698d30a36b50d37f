#include "output.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ends.h"
#include "frames.h"
#include "order.h"
#include "stage.h"

enum { CHUNK = 32768 };

/* A write to standard error that waits until what was written before it is passed on. */
static struct {
  bool waits;
  uint64_t id;
  size_t output, errors; /* Bytes of that. */
} announced;

/* Whether any was announced in this stage: then what is in the pipe of standard error is older than what is in the other. */
static bool errors_first;

/* Errors that follow each other closely are gathered, or each would wake us twice: when it is announced, and when it is there. */
enum { CLOSELY_US = 200, GATHER_US = 2000 };
static uint64_t announced_at_us, gathers_until_us;

static bool some_passed;

bool output_has_room(void) { return out_room() >= FRAME_HEADER + CHUNK + CONTROL_RESERVE; }

void output_begin(void) {
  announced.waits = errors_first = false;
  gathers_until_us = 0;
}

uint64_t output_gathers_until(void) { return gathers_until_us; }

bool output_waits(void) { return announced.waits; }

/* Moves one chunk, of so many bytes at most, to the server; returns its length. */
static size_t pass_chunk(int *fd, uint8_t type, size_t most) {
  ssize_t n = read(*fd, out_tail(), most < CHUNK ? most : CHUNK);
  if (n > 0) {
    out_header_in_place(type, (size_t)n);
    some_passed = true;
    return (size_t)n;
  }
  if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
    if (stage.tty)
      stage.in = -1; /* The same descriptor. When its last user went away, it reports EIO. */
    close_fd(fd);
  }
  return 0;
}

static size_t readable(int fd) {
  int bytes = 0;
  return fd >= 0 && ioctl(fd, FIONREAD, &bytes) == 0 && bytes > 0 ? (size_t)bytes : 0;
}

/* Moves so many bytes as far as there is room; returns how many are left. */
static size_t pass_bytes(int *fd, uint8_t type, size_t bytes) {
  while (bytes > 0 && *fd >= 0 && output_has_room()) {
    size_t passed = pass_chunk(fd, type, bytes);
    if (passed == 0)
      return 0;
    bytes -= passed;
  }
  return *fd < 0 ? 0 : bytes;
}

static void go_on(void) {
  announced.waits = false;
  order_go_on(stage.listener, announced.id);
}

/* Lets one error after the other go on, for as long as they follow each other closely and nothing else happens. */
static void go_on_with_more(void) {
  enum { LISTENER, OUTPUT, COUNT };
  for (uint64_t now; (now = now_us()) < gathers_until_us;) {
    struct pollfd fds[COUNT] = {{.fd = stage.listener, .events = POLLIN}, {.fd = stage.out, .events = POLLIN}};
    int milliseconds = (int)((gathers_until_us - now + 999) / 1000);
    if (poll(fds, COUNT, milliseconds) <= 0 || fds[OUTPUT].revents != 0 || fds[LISTENER].revents != POLLIN ||
        !order_announced(stage.listener, &announced.id))
      return;
    go_on();
  }
}

/* Passes on what was written before an announced write, and then lets that go on. */
static void pass_what_comes_first(void) {
  if (!announced.waits) {
    if (!order_announced(stage.listener, &announced.id))
      return;
    announced.waits = errors_first = true;
    announced.output = readable(stage.out); /* First: errors that are older than this are all there by then. */
    announced.errors = announced.output > 0 ? readable(stage.err) : 0;
  }
  announced.errors = pass_bytes(&stage.err, OUT_STDERR, announced.errors);
  if (announced.errors == 0)
    announced.output = pass_bytes(&stage.out, OUT_STDOUT, announced.output);
  if (announced.errors > 0 || announced.output > 0)
    return; /* There is no room; later. */
  go_on();
  uint64_t now = now_us();
  if (now - announced_at_us < CLOSELY_US && now >= gathers_until_us) {
    gathers_until_us = now + GATHER_US;
    go_on_with_more();
  }
  announced_at_us = now_us();
}

static void pass_both(short output, short errors) {
  size_t most = CHUNK;
  if (errors_first && output && stage.err >= 0) {
    size_t older = readable(stage.out); /* What is written from now on may be younger than errors that are yet to come. */
    if (pass_bytes(&stage.err, OUT_STDERR, readable(stage.err)) > 0)
      return;
    if (output & POLLIN)
      most = older;
    if (most == 0)
      output = 0; /* It was passed on just now. */
  }
  if (output && stage.out >= 0 && output_has_room())
    pass_chunk(&stage.out, OUT_STDOUT, most);
  if (errors && stage.err >= 0 && output_has_room())
    pass_chunk(&stage.err, OUT_STDERR, CHUNK);
}

bool output_pass(short output, short errors, bool is_announced) {
  some_passed = false;
  /* One who writes to standard error alone is not kept waiting, and is read when he pauses or the pipe is full. */
  if (announced.waits || is_announced)
    pass_what_comes_first();
  else
    pass_both(output, errors);
  return some_passed;
}
