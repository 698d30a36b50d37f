#include "reach.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "frames.h"
#include "stage.h"

enum { TARGETS_MAX = 16, PAUSE_US = 50000, BACKLOG = 3 };

struct target {
  const char *address, *port;
  const char *first, *last; /* What came of it. */
  int fd;
};

static socklen_t parse(const char *address, const char *port, struct sockaddr_storage *to) {
  struct sockaddr_in *v4 = (struct sockaddr_in *)to;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;
  memset(to, 0, sizeof *to);
  if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)atoi(port));
    return sizeof *v4;
  }
  if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)atoi(port));
    return sizeof *v6;
  }
  return 0;
}

static const char *name_of(int error) {
  const char *name = strerrorname_np(error);
  return name == NULL ? "EUNKNOWN" : name;
}

static void begin(struct target *target) {
  struct sockaddr_storage to;
  socklen_t length = parse(target->address, target->port, &to);
  target->last = "silence";
  target->fd = length == 0 ? -1 : socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (length == 0)
    errno = EINVAL;
  if (target->fd >= 0 && connect(target->fd, (struct sockaddr *)&to, length) == 0)
    target->last = "connected";
  else if (target->fd < 0 || errno != EINPROGRESS)
    target->last = name_of(errno);
  else
    return;
  if (target->fd >= 0)
    close(target->fd);
  target->fd = -1;
}

static void end(struct target *target) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(target->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  target->last = error == 0 ? "connected" : name_of(error);
  close(target->fd);
  target->fd = -1;
}

/* Whether any connected. */
static bool try_all(struct target *targets, size_t count, int milliseconds) {
  uint64_t until = now_us() + (uint64_t)milliseconds * 1000;
  for (size_t i = 0; i < count; i++)
    begin(&targets[i]);
  for (;;) {
    struct pollfd fds[TARGETS_MAX];
    size_t waiting = 0;
    for (size_t i = 0; i < count; i++) {
      fds[i] = (struct pollfd){.fd = targets[i].fd, .events = POLLOUT};
      waiting += targets[i].fd >= 0;
    }
    uint64_t now = now_us();
    if (waiting == 0 || now >= until)
      break;
    if (poll(fds, count, (int)((until - now) / 1000) + 1) <= 0)
      continue;
    for (size_t i = 0; i < count; i++)
      if (fds[i].fd >= 0 && fds[i].revents != 0)
        end(&targets[i]);
  }
  bool connected = false;
  for (size_t i = 0; i < count; i++) {
    if (targets[i].fd >= 0)
      close(targets[i].fd);
    if (targets[i].first == NULL)
      targets[i].first = targets[i].last;
    connected |= strcmp(targets[i].last, "connected") == 0;
  }
  return connected;
}

static int reach_all(int seconds, int milliseconds, int argc, char **argv) {
  static struct target targets[TARGETS_MAX];
  size_t count = 0;
  for (int i = 0; i + 1 < argc && count < TARGETS_MAX; i += 2)
    targets[count++] = (struct target){.address = argv[i], .port = argv[i + 1]};
  uint64_t until = now_us() + (uint64_t)seconds * 1000000;
  while (try_all(targets, count, milliseconds) && now_us() < until)
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_US * 1000}, NULL);
  for (size_t i = 0; i < count; i++)
    printf("%s %s %s %s\n", targets[i].address, targets[i].port, targets[i].first, targets[i].last);
  return 0;
}

static int listen_at(int seconds, const char *port) {
  struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port))};
  struct sockaddr_in at4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0); /* Takes both families, where there is it. */
  bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0;
  if (!bound) {
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bound = fd >= 0 && bind(fd, (struct sockaddr *)&at4, sizeof at4) == 0;
  }
  if (!bound || listen(fd, BACKLOG) < 0) {
    perror("listen");
    return 1;
  }
  puts("listening");
  fflush(stdout);
  uint64_t until = now_us() + (uint64_t)seconds * 1000000;
  for (uint64_t now = now_us(); now < until; now = now_us()) {
    struct pollfd waits = {.fd = fd, .events = POLLIN};
    if (poll(&waits, 1, (int)((until - now) / 1000) + 1) > 0)
      close(accept(fd, NULL, NULL));
  }
  return 0;
}

int reach(int argc, char **argv) {
  if (argc >= 6 && strcmp(argv[1], "reach") == 0)
    return reach_all(atoi(argv[2]), atoi(argv[3]), argc - 4, argv + 4);
  if (argc == 4 && strcmp(argv[1], "listen") == 0)
    return listen_at(atoi(argv[2]), argv[3]);
  return -1;
}
