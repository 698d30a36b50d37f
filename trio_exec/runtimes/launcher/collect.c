#include "collect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ends.h"
#include "match.h"
#include "stage.h"
#include "utf8.h"
#include "walk.h"

enum { FLAG_HIDDEN_TOO = 1, MODES = 07777, CONTROL_RESERVE = 4096 };

/* What can be opened by its path. Folders further down are not looked into. */
enum { PATH_LENGTH_MAX = 4095, NAME_LENGTH_MAX = 255, FOLDER_LENGTH_MAX = PATH_LENGTH_MAX - NAME_LENGTH_MAX - 1 };

/* Of those that are left out so many are told, and of the entries so many are looked at before others have a turn. */
enum { OMITTED_MAX = 64, ENTRIES_AT_ONCE = 64 };

enum reason { TOO_LARGE, TOO_MANY, NOT_REGULAR, UNREADABLE };

static bool active;
static struct walk walk;
static struct growing places; /* One set for each folder on the way down; see match.h. */
static char path[PATH_LENGTH_MAX + 1];
static size_t folder_length; /* Of the path, with its slash. */
static uint32_t files_left, sent, told;
static uint64_t bytes_left;

static int file = -1; /* The one that is being sent. */
static uint64_t file_left;
static mode_t file_mode;
static bool file_begins;

static struct places *here(void) { return (struct places *)places.at + walk.depth; }

/* Makes room for one more set than there are folders above. */
static bool claim_places(void) {
  size_t needed = (walk.depth + 2) * sizeof(struct places);
  if (places.capacity >= needed)
    return true;
  char *at = realloc(places.at, 2 * needed);
  if (at == NULL)
    return false;
  places.at = at;
  places.capacity = 2 * needed;
  return true;
}

const char *collect_begin(struct reader *request) {
  uint64_t flags = read_int(request, 1);
  files_left = (uint32_t)read_int(request, 4);
  bytes_left = read_int(request, 8);
  match_reset(flags & FLAG_HIDDEN_TOO);
  while (request->left > 0)
    if (!match_add(read_string(request)))
      return "malformed collect frame";
  if (!request->ok)
    return "malformed collect frame";
  if (stage.active)
    return "files can't be collected while a stage runs";
  folder_length = 0;
  sent = told = 0;
  active = true;
  walk.folder = -1;
  return NULL;
}

bool collect_active(void) { return active; }

bool collect_has_room(void) { return out_room() >= FRAME_HEADER + FRAME_PAYLOAD_MAX + CONTROL_RESERVE; }

static void end(void) {
  walk_end(&walk);
  free(places.at);
  places = (struct growing){0};
  active = false;
  uint8_t payload[4];
  write_int(payload, sent, sizeof payload);
  out_frame(OUT_COLLECTED, payload, sizeof payload);
}

static void omit(enum reason reason) {
  if (told == OMITTED_MAX)
    return;
  told++;
  uint8_t payload[1 + sizeof path];
  payload[0] = reason;
  size_t size = strlen(path) + 1;
  memcpy(payload + 1, path, size);
  out_frame(OUT_OMITTED, payload, 1 + size);
}

/* Opens the entry, for the first of its frames; or says why not. */
static void open_entry(void) {
  if (!S_ISREG(walk.stat.st_mode)) {
    omit(NOT_REGULAR);
    return;
  }
  if (files_left == 0) {
    omit(TOO_MANY);
    return;
  }
  struct stat stat;
  int fd = is_text(walk.name) ? openat(walk.folder, walk.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
  if (fd < 0 || fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode)) {
    omit(UNREADABLE);
    close_fd(&fd);
    return;
  }
  if ((uint64_t)stat.st_size > bytes_left) {
    omit(TOO_LARGE);
    close_fd(&fd);
    return;
  }
  file = fd;
  file_left = (uint64_t)stat.st_size;
  file_mode = stat.st_mode & MODES;
  file_begins = true;
}

/* One frame of the file that is open. It ends where it ended when it was opened, or sooner. */
static bool send_piece(void) {
  uint8_t *payload = out_tail();
  size_t path_size = strlen(path) + 1, head = 3 + path_size;
  size_t wanted = file_left < FRAME_PAYLOAD_MAX - head ? (size_t)file_left : FRAME_PAYLOAD_MAX - head;
  ssize_t n = wanted == 0 ? 0 : read(file, payload + head, wanted);
  if (n < 0)
    return errno == EINTR;
  file_left -= (uint64_t)n;
  bytes_left -= (uint64_t)n;
  if (n > 0 || file_begins) {
    payload[0] = !file_begins;
    write_int(payload + 1, file_mode, 2);
    memcpy(payload + 3, path, path_size);
    out_header_in_place(OUT_FILE, head + (size_t)n);
  }
  file_begins = false;
  if (n == 0 || file_left == 0) {
    close_fd(&file);
    files_left--;
    sent++;
  }
  return true;
}

/* Enters the folder that is the entry, if anything below may match. */
static bool enter_folder(void) {
  if (!claim_places())
    return false;
  struct places *before = here();
  if (!match_folder(before, walk.name, before + 1))
    return true;
  size_t length = strlen(path);
  if (length > FOLDER_LENGTH_MAX || !is_text(walk.name) || !walk_enter(&walk)) {
    omit(UNREADABLE);
    return true;
  }
  path[length] = '/';
  folder_length = length + 1;
  return true;
}

static void leave_folder(void) {
  folder_length--; /* The slash. */
  while (folder_length > 0 && path[folder_length - 1] != '/')
    folder_length--;
}

static bool look_at_entry(void) {
  strcpy(path + folder_length, walk.name);
  if (S_ISDIR(walk.stat.st_mode))
    return enter_folder();
  if (match_file(here(), walk.name))
    open_entry();
  return true;
}

/* False when something failed, with errno set. */
static bool step(bool *over) {
  *over = files_left == 0 && told == OMITTED_MAX; /* Nothing more would be said. */
  if (*over)
    return true;
  switch (walk_next(&walk)) {
  case WALK_ENTRY:
    return look_at_entry();
  case WALK_LEFT:
    leave_folder();
    return true;
  case WALK_OVER:
    *over = true;
    return true;
  case WALK_FAILED:
    break;
  }
  return false;
}

const char *collect_step(void) {
  bool over = false;
  if (walk.folder < 0) {
    if (!claim_places())
      return strerror(errno);
    match_begin(here());
    if (!walk_begin(&walk, AT_FDCWD, false)) {
      strcpy(path, ".");
      omit(UNREADABLE); /* All of it. */
      over = true;
    }
  }
  for (int i = 0; i < ENTRIES_AT_ONCE && !over && collect_has_room(); i++)
    if (file >= 0 ? !send_piece() : !step(&over))
      return strerror(errno);
  if (over)
    end();
  return NULL;
}
