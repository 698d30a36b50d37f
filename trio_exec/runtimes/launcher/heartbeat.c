#include "heartbeat.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "stage.h"

/* How long the server may take for its Hello; it waits somewhat longer for our Ready. */
enum { HELLO_TIMEOUT_S = 20 };

/* How often we say something within the silence that is allowed, where the loop does not turn. */
enum { BEATS = 3 };

enum { HELLO_LENGTH = 3, SECOND_US = 1000000 };

static int server;
static bool greeted;
static uint64_t silence_us, heard_at_us;
static char problem[256];

static volatile sig_atomic_t busy;

/* Interrupts nothing that sends: while we are busy, that is done here alone. */
static void beat(int number) {
  (void)number;
  int before = errno;
  if (busy > 0) {
    heartbeat_answer();
    (void)out_flush(server); /* Should it be gone, the loop finds out. */
  }
  errno = before;
}

void heartbeat_begin(int descriptor) {
  server = descriptor;
  silence_us = (uint64_t)HELLO_TIMEOUT_S * SECOND_US;
  heard_at_us = now_us();
  struct sigaction action = {.sa_handler = beat, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
}

const char *heartbeat_greet(const struct frame *frame) {
  if (frame->type != IN_HELLO || frame->length < 1) {
    snprintf(problem, sizeof problem,
             "the server does not begin with Hello: it is older than this image, whose launcher speaks version %d of the protocol; "
             "run `trio-exec build` with the server that is to use the image", PROTOCOL_VERSION);
    return problem;
  }
  struct reader payload = {.at = frame->payload, .left = frame->length, .ok = true};
  unsigned theirs = (unsigned)read_int(&payload, 1);
  uint8_t ours = PROTOCOL_VERSION;
  out_frame(OUT_READY, &ours, 1); /* A server of another version learns so which one we are of. */
  if (theirs != PROTOCOL_VERSION) {
    (void)out_flush(server);
    snprintf(problem, sizeof problem,
             "the server speaks version %u of the protocol, and this image's launcher version %d; run `trio-exec build`", theirs,
             PROTOCOL_VERSION);
    return problem;
  }
  silence_us = read_int(&payload, 2) * SECOND_US;
  if (frame->length != HELLO_LENGTH || silence_us == 0)
    return "malformed hello frame";
  greeted = true;
  return NULL;
}

bool heartbeat_greeted(void) { return greeted; }

void heartbeat_heard(uint64_t now) { heard_at_us = now; }

uint64_t heartbeat_until(void) { return heard_at_us + silence_us; }

const char *heartbeat_problem(void) {
  unsigned seconds = (unsigned)(silence_us / SECOND_US);
  if (greeted)
    snprintf(problem, sizeof problem, "nothing came from the server for %u seconds", seconds);
  else
    snprintf(problem, sizeof problem,
             "no Hello came from the server for %u seconds: it can't reach us, or it is older than this image, whose launcher speaks "
             "version %d of the protocol; then run `trio-exec build` with it", seconds, PROTOCOL_VERSION);
  return problem;
}

void heartbeat_answer(void) {
  if (out_pending() == 0)
    out_frame(OUT_PONG, NULL, 0);
}

/* With 0, never. */
static void beat_every(uint64_t us) {
  struct timeval interval = {.tv_sec = (time_t)(us / SECOND_US), .tv_usec = (suseconds_t)(us % SECOND_US)};
  struct itimerval timer = {.it_interval = interval, .it_value = interval};
  setitimer(ITIMER_REAL, &timer, NULL);
}

void heartbeat_busy(void) {
  if (busy == 0 && greeted)
    beat_every(silence_us / BEATS);
  busy++;
}

void heartbeat_free(void) {
  busy--;
  if (busy == 0)
    beat_every(0);
}
