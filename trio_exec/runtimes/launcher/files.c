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

const char *file_write(char *path, bool append, const uint8_t *data, size_t length) {
  const char *problem = file_make_folders(path);
  if (problem != NULL)
    return problem;
  int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0644);
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
  close(fd);
  return error;
}
