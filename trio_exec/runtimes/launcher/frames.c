#include "frames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reserve.h"

uint64_t read_int(struct reader *reader, int bytes) {
  if (reader->left < (size_t)bytes) {
    reader->ok = false;
    reader->left = 0;
    return 0;
  }
  uint64_t value = 0;
  for (int i = 0; i < bytes; i++)
    value = value << 8 | *reader->at++;
  reader->left -= (size_t)bytes;
  return value;
}

const char *read_string(struct reader *reader) {
  const uint8_t *end = memchr(reader->at, 0, reader->left);
  if (end == NULL) {
    reader->ok = false;
    reader->left = 0;
    return "";
  }
  const char *string = (const char *)reader->at;
  reader->left -= (size_t)(end - reader->at) + 1;
  reader->at = end + 1;
  return string;
}

void write_int(uint8_t *to, uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; i--) {
    to[i] = (uint8_t)value;
    value >>= 8;
  }
}

static uint8_t out[4 * FRAME_PAYLOAD_MAX];
static size_t out_start, out_end;

size_t out_pending(void) { return out_end - out_start; }

size_t out_room(void) {
  if (out_start > 0 && sizeof out - out_end < 2 * FRAME_PAYLOAD_MAX) {
    memmove(out, out + out_start, out_pending());
    out_end -= out_start;
    out_start = 0;
  }
  return sizeof out - out_end;
}

uint8_t *out_tail(void) { return out + out_end + FRAME_HEADER; }

void out_header_in_place(uint8_t type, size_t length) {
  out[out_end] = type;
  write_int(out + out_end + 1, length, 4);
  out_end += FRAME_HEADER + length;
}

void out_frame(uint8_t type, const void *payload, size_t length) {
  /* Callers check for room; running over would mean that we lost track, and nothing then is right. */
  if (out_room() < FRAME_HEADER + length)
    abort();
  if (length > 0)
    memcpy(out_tail(), payload, length);
  out_header_in_place(type, length);
}

bool out_flush(int fd) {
  while (out_pending() > 0) {
    ssize_t n = write(fd, out + out_start, out_pending());
    if (n < 0 && errno == ENOMEM)
      reserve_give(); /* A pipe takes pages, which count as the program's; the loop tries again. */
    if (n < 0)
      return errno == EAGAIN || errno == EINTR || errno == ENOMEM;
    out_start += (size_t)n;
  }
  out_start = out_end = 0;
  return true;
}

static uint8_t in[FRAME_HEADER + FRAME_PAYLOAD_MAX + 1];
static size_t in_length;

bool in_has_room(void) { return in_length < sizeof in - 1; }

enum in_result in_fill(int fd) {
  if (!in_has_room())
    return IN_MORE; /* Full of whole frames that wait for room; reading nothing would look like the end. */
  ssize_t n = read(fd, in + in_length, sizeof in - 1 - in_length);
  if (n > 0)
    in_length += (size_t)n;
  else if (n == 0 || (errno != EAGAIN && errno != EINTR))
    return IN_CLOSED;
  return IN_MORE;
}

enum in_result in_next(struct frame *frame, bool *found) {
  *found = false;
  if (in_length < FRAME_HEADER)
    return IN_MORE;
  struct reader header = {.at = in, .left = FRAME_HEADER, .ok = true};
  frame->type = (uint8_t)read_int(&header, 1);
  frame->length = (size_t)read_int(&header, 4);
  frame->payload = in + FRAME_HEADER;
  if (frame->length > FRAME_PAYLOAD_MAX)
    return IN_GARBAGE;
  *found = in_length >= FRAME_HEADER + frame->length;
  return IN_MORE;
}

void in_consume(const struct frame *frame) {
  size_t whole = FRAME_HEADER + frame->length;
  in_length -= whole;
  memmove(in, in + whole, in_length);
}
