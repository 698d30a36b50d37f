#include "snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "attributes.h"
#include "clear.h"
#include "image.h"
#include "ipc.h"
#include "walk.h"

#define SHARED_MEMORY "/dev/shm"
#define TEMPORARY "/tmp"

enum { MODES = 07777, BLOCK = 4096, LINK_MAX_LENGTH = 4096 };

/* Where a file system sets no bound. */
static const uint64_t CAPACITY_MAX = 1 << 30;

/* The image is a list of these, folders with all that is in them between KEPT_FOLDER and KEPT_LEFT. */
struct kept {
  enum { KEPT_FOLDER, KEPT_LEFT, KEPT_FILE, KEPT_LINK } kind;
  mode_t mode;
  struct timespec times[2];
  uint64_t size;       /* Of a file. */
  uint32_t pieces;     /* Of a file: what is between them are holes. */
  uint32_t name_size;  /* The name follows, then a link's target or a file's pieces. */
  uint32_t target_size;
};

struct piece {
  uint64_t offset, length; /* The bytes follow. */
};

static int workspace = -1, shared_memory = -1, temporary = -1;
static uint64_t free_at_first; /* Blocks, before anything was there. */
static bool is_kept;
static struct image image;
static struct attributes attributes;
static uint64_t room; /* For content, while it is gathered. */
static char error[256];

static const char *failed(const char *what, const char *name) {
  snprintf(error, sizeof error, "cannot %s %.100s: %s", what, name, strerror(errno));
  return error;
}

/* Of a file system that nobody else uses; elsewhere they say nothing, and are 0. */
static uint64_t free_blocks(void) {
  struct statfs system;
  bool ours = fstatfs(workspace, &system) == 0 && system.f_type == TMPFS_MAGIC;
  return ours ? (uint64_t)system.f_bfree : 0;
}

const char *snapshot_prepare(void) {
  enum { FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
  workspace = open(".", FLAGS);
  if (workspace < 0)
    return strerror(errno);
  free_at_first = free_blocks();
  /* The images link it into the workspace. Where it is a folder all the same, it is one that programs share: gVisor has
   * such a file system of its own in the link's place. */
  temporary = open(TEMPORARY, FLAGS);
  struct statvfs system;
  if (temporary >= 0 && (fstatvfs(temporary, &system) < 0 || (system.f_flag & ST_RDONLY))) {
    close(temporary);
    temporary = -1;
  }
  shared_memory = open(SHARED_MEMORY, FLAGS);
  return shared_memory < 0 && errno != ENOENT ? strerror(errno) : NULL;
}

/* Reads one piece of a file into the image. */
static bool keep_piece(int file, uint64_t offset, uint64_t length) {
  uint64_t blocks = (length + BLOCK - 1) / BLOCK * BLOCK;
  if (blocks > room) {
    errno = EFBIG;
    return false;
  }
  room -= blocks;
  struct piece piece = {.offset = offset, .length = length};
  void *head = image_append(&image, sizeof piece);
  if (head != NULL)
    memcpy(head, &piece, sizeof piece);
  uint8_t *content = head == NULL ? NULL : image_append(&image, length);
  if (content == NULL) {
    errno = ENOMEM;
    return false;
  }
  for (uint64_t done = 0; done < length;) {
    ssize_t n = pread(file, content + done, length - done, (off_t)(offset + done));
    if (n == 0)
      errno = EIO; /* Nobody is there to have cut it. */
    if (n <= 0)
      return false;
    done += (uint64_t)n;
  }
  return true;
}

/* Reads all that is not a hole; returns how many pieces that were, or -1. */
static int64_t keep_pieces(int file, uint64_t size, bool has_holes) {
  int64_t count = 0;
  for (uint64_t at = 0; at < size; count++) {
    off_t start = has_holes ? lseek(file, (off_t)at, SEEK_DATA) : (off_t)at;
    if (start < 0 && errno == ENXIO)
      break; /* Nothing but a hole is left. */
    off_t end = has_holes && start >= 0 ? lseek(file, start, SEEK_HOLE) : -1;
    if (start < 0 || end <= start) { /* A kernel that does not tell. */
      start = (off_t)at;
      end = (off_t)size;
    }
    if (!keep_piece(file, (uint64_t)start, (uint64_t)(end - start)))
      return -1;
    at = (uint64_t)end;
  }
  return count;
}

static int open_file(const struct walk *walk) {
  enum { FLAGS = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC };
  int file = openat(walk->folder, walk->name, FLAGS);
  if (file >= 0 || errno != EACCES || fchmodat(walk->folder, walk->name, S_IRUSR, 0) < 0)
    return file;
  file = openat(walk->folder, walk->name, FLAGS);
  if (file < 0 || fchmod(file, walk->stat.st_mode & MODES) == 0)
    return file;
  close(file);
  return -1;
}

static bool keep_content(const struct walk *walk, size_t head) {
  const struct stat *stat = &walk->stat;
  int file = open_file(walk);
  if (file < 0)
    return false;
  bool has_holes = (uint64_t)stat->st_blocks * 512 < (uint64_t)stat->st_size;
  int64_t pieces = keep_pieces(file, (uint64_t)stat->st_size, has_holes);
  int problem = errno;
  close(file);
  errno = problem;
  if (pieces < 0)
    return false;
  struct kept kept;
  memcpy(&kept, image.at + head, sizeof kept);
  kept.pieces = (uint32_t)pieces;
  memcpy(image.at + head, &kept, sizeof kept);
  return true;
}

/* Appends an entry; what is no folder, file or link is passed over. */
static bool keep_entry(struct walk *walk) {
  static char target[LINK_MAX_LENGTH];
  const struct stat *stat = &walk->stat;
  struct kept kept = {
      .mode = stat->st_mode & MODES, .times = {stat->st_atim, stat->st_mtim}, .name_size = (uint32_t)strlen(walk->name) + 1};
  if (S_ISDIR(stat->st_mode)) {
    kept.kind = KEPT_FOLDER;
  } else if (S_ISREG(stat->st_mode)) {
    kept.kind = KEPT_FILE;
    kept.size = (uint64_t)stat->st_size;
  } else if (S_ISLNK(stat->st_mode)) {
    kept.kind = KEPT_LINK;
    ssize_t length = readlinkat(walk->folder, walk->name, target, sizeof target - 1);
    if (length < 0)
      return false;
    target[length] = '\0';
    kept.target_size = (uint32_t)length + 1;
  } else {
    return true;
  }
  size_t head = image.length;
  char *at = image_append(&image, sizeof kept + kept.name_size + kept.target_size);
  if (at == NULL) {
    errno = ENOMEM;
    return false;
  }
  memcpy(at, &kept, sizeof kept);
  memcpy(at + sizeof kept, walk->name, kept.name_size);
  memcpy(at + sizeof kept + kept.name_size, target, kept.target_size);
  return kept.kind == KEPT_FOLDER ? walk_enter(walk) : kept.kind != KEPT_FILE || keep_content(walk, head);
}

/* Only now do a folder's mode and times count: while it is filled, both are others. */
static bool keep_left(const struct stat *stat) {
  struct kept left = {.kind = KEPT_LEFT, .mode = stat->st_mode & MODES, .times = {stat->st_atim, stat->st_mtim}};
  void *at = image_append(&image, sizeof left);
  if (at != NULL)
    memcpy(at, &left, sizeof left);
  return at != NULL;
}

static const char *keep_all(void) {
  struct statfs system;
  room = CAPACITY_MAX;
  if (fstatfs(workspace, &system) == 0 && system.f_blocks > 0 &&
      (uint64_t)system.f_blocks * (uint64_t)system.f_bsize < room)
    room = (uint64_t)system.f_blocks * (uint64_t)system.f_bsize;
  struct walk walk;
  bool going = walk_begin(&walk, workspace, true);
  while (going) {
    enum walk_step step = walk_next(&walk);
    if (step == WALK_OVER)
      break;
    going = step == WALK_ENTRY ? keep_entry(&walk) : step == WALK_LEFT && keep_left(&walk.stat);
  }
  const char *problem = going ? NULL : failed("keep", walk.name == NULL ? "the workspace" : walk.name);
  walk_end(&walk);
  return problem;
}

/* What programs share beside the workspace, and leave behind. */
static const char *clear_shared(void) {
  const char *problem = shared_memory < 0 ? NULL : clear_folder(shared_memory);
  if (problem == NULL && temporary >= 0)
    problem = clear_folder(temporary);
  return problem == NULL ? ipc_clear() : problem;
}

const char *snapshot_save(void) {
  is_kept = false;
  image_forget(&image);
  attributes_forget(&attributes);
  const char *problem = clear_shared();
  if (problem != NULL)
    return problem;
  struct stat before;
  if (fstat(workspace, &before) < 0 || !attributes_set_mode(workspace, S_IRWXU) || !attributes_get(workspace, &attributes))
    return failed("keep", "the workspace");
  attributes.stat = before;
  problem = keep_all();
  if (problem == NULL && !attributes_set_mode(workspace, before.st_mode & MODES))
    problem = failed("keep", "the workspace");
  image_trim(&image);
  is_kept = problem == NULL;
  if (!is_kept)
    image_forget(&image);
  return problem;
}

/*
 * Descriptors on their way between sockets that nobody has any more are found by the kernel only when
 * another socket is closed, and then not at once; by a sandboxed kernel never. They may hold files that
 * are in no folder. Says whether all room is there again.
 */
static bool free_lost_files(void) {
  enum { ROUNDS = 12, FIRST_NS = 100000 }; /* 0.4 s in all. */
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0) {
    close(pair[0]);
    close(pair[1]);
  }
  struct timespec round = {.tv_nsec = FIRST_NS};
  for (int i = 0; i < ROUNDS && free_blocks() < free_at_first; i++) {
    nanosleep(&round, NULL);
    round.tv_nsec *= 2;
  }
  return free_blocks() >= free_at_first;
}

static bool make_file(int folder, const char *name, const struct kept *kept, const uint8_t **at) {
  int file = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file < 0)
    return false;
  uint64_t end = 0;
  bool made = true;
  for (uint32_t i = 0; made && i < kept->pieces; i++) {
    struct piece piece;
    memcpy(&piece, *at, sizeof piece);
    *at += sizeof piece;
    for (uint64_t done = 0; made && done < piece.length;) {
      ssize_t n = pwrite(file, *at + done, piece.length - done, (off_t)(piece.offset + done));
      made = n > 0;
      done += made ? (uint64_t)n : 0;
    }
    *at += piece.length;
    end = piece.offset + piece.length;
  }
  if (end < kept->size)
    made = made && ftruncate(file, (off_t)kept->size) == 0;
  made = made && fchmod(file, kept->mode) == 0 && futimens(file, kept->times) == 0;
  int problem = errno;
  close(file);
  errno = problem;
  return made;
}

static void go(int *here, int to) {
  if (*here != workspace)
    close(*here);
  *here = to;
}

/* Makes a folder and goes there. */
static bool make_folder(int *here, const char *name) {
  if (mkdirat(*here, name, S_IRWXU) < 0)
    return false;
  int child = openat(*here, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (child < 0)
    return false;
  go(here, child);
  return true;
}

static bool make_empty_folder(int here, const char *name, const struct kept *left) {
  return mkdirat(here, name, S_IRWXU) == 0 && fchmodat(here, name, left->mode, 0) == 0 &&
         utimensat(here, name, left->times, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool leave_folder(int *here, const struct kept *left) {
  int parent = openat(*here, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (parent < 0)
    return false;
  bool done = attributes_set_mode(*here, left->mode) && attributes_set_times(*here, left->times);
  go(here, parent);
  return done;
}

static const uint8_t *read_kept(const uint8_t *at, struct kept *kept) {
  memcpy(kept, at, sizeof *kept);
  return at + sizeof *kept;
}

static bool make_entry(int *here, const struct kept *kept, const char *name, const uint8_t **at) {
  struct kept next;
  switch (kept->kind) {
  case KEPT_FOLDER:
    read_kept(*at, &next); /* There is one: the folder is left at some time. */
    if (next.kind != KEPT_LEFT)
      return make_folder(here, name);
    *at += sizeof next;
    return make_empty_folder(*here, name, &next);
  case KEPT_LEFT:
    return leave_folder(here, kept);
  case KEPT_FILE:
    return make_file(*here, name, kept, at);
  case KEPT_LINK:
    return symlinkat(name + kept->name_size, *here, name) == 0 &&
           utimensat(*here, name, kept->times, AT_SYMLINK_NOFOLLOW) == 0;
  }
  return false;
}

static const char *make_all(void) {
  int here = workspace;
  const char *name = "the workspace";
  bool going = true;
  for (const uint8_t *at = image.at; going && at < image.at + image.length;) {
    struct kept kept;
    at = read_kept(at, &kept);
    name = (const char *)at;
    at += kept.name_size + kept.target_size;
    going = make_entry(&here, &kept, name, &at);
  }
  const char *problem = going ? NULL : failed("make anew", name);
  go(&here, -1);
  return problem;
}

const char *snapshot_restore(void) {
  if (!is_kept)
    return "no workspace was saved";
  if (!attributes_clear(workspace))
    return failed("empty", "the workspace");
  const char *problem = clear_folder(workspace);
  if (problem == NULL)
    problem = clear_shared();
  if (problem != NULL)
    return problem;
  if (!free_lost_files())
    return "deleted files still take room in the workspace";
  problem = make_all();
  if (problem == NULL && !attributes_set(workspace, &attributes))
    problem = failed("make anew", "the workspace");
  return problem;
}
