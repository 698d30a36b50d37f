#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The server has checked names already; this is the second lock on the same door. */
static bool stays_inside(const char *path) {
  if (*path == '/' || *path == '\0')
    return false;
  for (const char *part = path; part != NULL; part = strchr(part, '/'), part = part ? part + 1 : NULL)
    if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
      return false;
  return true;
}

const char *file_make_folders(char *path) {
  if (!stays_inside(path))
    return "a file's path leads out of the workspace";
  for (char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    int made = mkdir(path, 0755);
    *slash = '/';
    if (made < 0 && errno != EEXIST)
      return strerror(errno);
  }
  return NULL;
}

/* O_NONBLOCK: a FIFO in its place must not keep us waiting. */
static int open_file(const char *path, bool append) {
  return open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0600);
}

static int open_to_write(const char *path, bool append) {
  int fd = open_file(path, append);
  struct stat stat;
  if (fd < 0 && errno == EACCES && lstat(path, &stat) == 0 && S_ISREG(stat.st_mode) && chmod(path, 0600) == 0)
    fd = open_file(path, append); /* Its own mode was in our way. */
  if (fd >= 0 && (fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode))) {
    close(fd);
    errno = EEXIST;
    return -1;
  }
  return fd;
}

const char *file_write(char *path, bool append, mode_t mode, const uint8_t *data, size_t length) {
  const char *problem = file_make_folders(path);
  if (problem != NULL)
    return problem;
  int fd = open_to_write(path, append);
  if (fd < 0)
    return strerror(errno);
  const char *error = NULL;
  while (length > 0) {
    ssize_t n = write(fd, data, length);
    if (n < 0) {
      error = strerror(errno);
      break;
    }
    data += n;
    length -= (size_t)n;
  }
  if (error == NULL && fchmod(fd, mode) < 0) /* Last: writing takes set-id bits away. */
    error = strerror(errno);
  close(fd);
  return error;
}
