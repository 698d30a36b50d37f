#include "attributes.h"

#include <errno.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

enum { MODES = 07777 };

static char names[XATTR_LIST_MAX];

/* Others belong to the machine, and take privileges to change. */
static bool is_owners(const char *name) {
  static const char *const prefixes[] = {"user.", "system.posix_acl_"};
  for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
    if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
      return true;
  return false;
}

/* Lists names; 0 where the file system knows no such thing. */
static ssize_t list_names(int folder) {
  ssize_t length = flistxattr(folder, names, sizeof names);
  return length < 0 && (errno == ENOTSUP || errno == ENOSYS) ? 0 : length;
}

/* What is another user's has the mode and times that it had: no program could change them, which is the same user as we. */
static bool done(int result) { return result == 0 || errno == EPERM; }

bool attributes_set_mode(int folder, mode_t mode) { return done(fchmod(folder, mode)); }

bool attributes_set_times(int folder, const struct timespec times[2]) { return done(futimens(folder, times)); }

bool attributes_get(int folder, struct attributes *attributes) {
  *attributes = (struct attributes){.flags = -1};
  if (fstat(folder, &attributes->stat) < 0)
    return false;
  int flags = 0;
  if (ioctl(folder, FS_IOC_GETFLAGS, &flags) == 0)
    attributes->flags = flags;
  ssize_t listed = list_names(folder);
  for (char *name = names; name < names + listed; name += strlen(name) + 1) {
    if (!is_owners(name))
      continue;
    size_t size = strlen(name) + 1;
    ssize_t value = fgetxattr(folder, name, NULL, 0);
    if (value < 0)
      return false;
    char *extended = realloc(attributes->extended, attributes->length + size + sizeof(size_t) + (size_t)value);
    if (extended == NULL)
      return false;
    attributes->extended = extended;
    char *end = extended + attributes->length;
    size_t length = (size_t)value;
    memcpy(end, name, size);
    memcpy(end + size, &length, sizeof length);
    if (fgetxattr(folder, name, end + size + sizeof length, length) != value)
      return false;
    attributes->length += size + sizeof length + length;
  }
  return listed >= 0;
}

bool attributes_clear(int folder) {
  if (!attributes_set_mode(folder, S_IRWXU))
    return false;
  ssize_t listed = list_names(folder);
  for (char *name = names; name < names + listed; name += strlen(name) + 1)
    if (is_owners(name) && fremovexattr(folder, name) < 0)
      return false;
  return listed >= 0;
}

bool attributes_set(int folder, const struct attributes *attributes) {
  for (const char *name = attributes->extended; name != NULL && name < attributes->extended + attributes->length;) {
    const char *value = name + strlen(name) + 1;
    size_t length;
    memcpy(&length, value, sizeof length);
    value += sizeof length;
    if (fsetxattr(folder, name, value, length, 0) < 0)
      return false;
    name = value + length;
  }
  int flags = 0;
  if (attributes->flags >= 0 &&
      (ioctl(folder, FS_IOC_GETFLAGS, &flags) < 0 ||
       (flags != attributes->flags && ioctl(folder, FS_IOC_SETFLAGS, &attributes->flags) < 0)))
    return false;
  const struct timespec times[] = {attributes->stat.st_atim, attributes->stat.st_mtim};
  return attributes_set_mode(folder, attributes->stat.st_mode & MODES) && attributes_set_times(folder, times);
}

void attributes_forget(struct attributes *attributes) {
  free(attributes->extended);
  *attributes = (struct attributes){.flags = -1};
}
