/*
 * The byte stream between the server and this launcher, both ways: frames of one type byte, a
 * four-byte big-endian length, and the payload. trio_exec/launcher/frames.py is the other end,
 * and the place where every frame's meaning is written down.
 */
#ifndef FRAMES_H
#define FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PROTOCOL_VERSION = 6, FRAME_HEADER = 5, FRAME_PAYLOAD_MAX = 65536, STDIN_WINDOW = 65536 };

/* To the launcher. */
enum { IN_HELLO = 'h', IN_PING = 'n', IN_FILE = 'f', IN_STAGE = 's', IN_PRESTART = 'p', IN_STDIN = 'i', IN_EOF = 'e', IN_SIGNAL = 'g', IN_RESIZE = 'w', IN_KILL = 'k', IN_SAVE = 'v', IN_RESTORE = 'r', IN_COLLECT = 'c' };

/* From the launcher. */
enum { OUT_READY = 'R', OUT_PONG = 'N', OUT_STARTED = 'S', OUT_PRESTARTED = 'P', OUT_STDOUT = 'O', OUT_STDERR = 'E', OUT_ACK = 'A', OUT_WAITING = 'W', OUT_STAGE_END = 'Z', OUT_ERROR = 'X', OUT_SAVED = 'V', OUT_FILE = 'F', OUT_OMITTED = 'M', OUT_COLLECTED = 'C', OUT_LINGERS = 'L' };

/* Big-endian reading position in a payload; `ok` turns false once it ran out of bytes. */
struct reader {
  const uint8_t *at;
  size_t left;
  bool ok;
};

uint64_t read_int(struct reader *reader, int bytes);
const char *read_string(struct reader *reader); /* NUL-terminated; "" when there is none. */

void write_int(uint8_t *to, uint64_t value, int bytes);

/*
 * What waits to be written to the server. One buffer, no allocation: whoever produces a lot looks
 * at out_room() first, and a server that does not read thereby stops the program that writes.
 */
size_t out_room(void);
size_t out_pending(void);
void out_frame(uint8_t type, const void *payload, size_t length);
void out_header_in_place(uint8_t type, size_t length); /* Claims out_tail()'s first bytes. */
uint8_t *out_tail(void);                               /* Where a payload may be read to, past its header. */
bool out_flush(int fd);                                /* False when the server is gone. */

/* Frames from the server. */
struct frame {
  uint8_t type;
  size_t length;
  uint8_t *payload; /* Followed by a NUL that belongs to nobody, so strings always end. */
};

enum in_result { IN_MORE, IN_CLOSED, IN_GARBAGE };

bool in_has_room(void);
enum in_result in_fill(int fd);      /* Reads what is there, as far as there is room. */
enum in_result in_next(struct frame *frame, bool *found);
void in_consume(const struct frame *frame);

#endif
