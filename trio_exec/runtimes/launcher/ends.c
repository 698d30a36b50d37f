#include "ends.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "identity.h"

void close_fd(int *fd) {
  if (*fd >= 0)
    close(*fd);
  *fd = -1;
}

bool ends_open_pipes(struct ends *ends, bool merged) {
  bool opened = true;
  identity_charge_program(true);
  for (int i = 0; opened && i < (merged ? 2 : 3); i++) {
    int pair[2];
    opened = pipe2(pair, O_CLOEXEC) == 0;
    if (opened) {
      ends->child[i] = pair[i == 0 ? 0 : 1];
      ends->ours[i] = pair[i == 0 ? 1 : 0];
    }
  }
  int problem = errno;
  identity_charge_program(false);
  errno = problem;
  if (opened && merged)
    opened = (ends->child[2] = fcntl(ends->child[1], F_DUPFD_CLOEXEC, 3)) >= 0;
  return opened;
}

bool ends_open_terminal(struct ends *ends, unsigned rows, unsigned columns) {
  int master = identity_open_terminals(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0)
    return false;
  ends->ours[0] = ends->ours[1] = master;
  int unlock = 0, number = 0;
  char name[32];
  if (ioctl(master, TIOCSPTLCK, &unlock) < 0 || ioctl(master, TIOCGPTN, &number) < 0)
    return false;
  snprintf(name, sizeof name, "/dev/pts/%d", number);
  int terminal = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0)
    return false;
  ends->child[0] = terminal;
  struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
  struct termios modes;
  if (ioctl(terminal, TIOCSWINSZ, &size) < 0 || tcgetattr(terminal, &modes) < 0)
    return false;
  modes.c_iflag |= IUTF8; /* So that erasing removes a character, not a byte. */
  if (tcsetattr(terminal, TCSANOW, &modes) < 0 || ioctl(terminal, TIOCSCTTY, 0) < 0)
    return false;
  /* One descriptor each, so that they close alike. */
  ends->child[1] = fcntl(terminal, F_DUPFD_CLOEXEC, 3);
  ends->child[2] = fcntl(terminal, F_DUPFD_CLOEXEC, 3);
  return ends->child[1] >= 0 && ends->child[2] >= 0;
}

void ends_close(struct ends *ends, bool ours_too) {
  for (int i = 0; i < 3; i++)
    close_fd(&ends->child[i]);
  if (!ours_too)
    return;
  if (ends->ours[0] == ends->ours[1])
    ends->ours[1] = -1;
  for (int i = 0; i < 3; i++)
    close_fd(&ends->ours[i]);
}
