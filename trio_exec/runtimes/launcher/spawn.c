#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "identity.h"
#include "order.h"
#include "reserve.h"

/* What the child has of ours, beside the command. */
struct child {
  const struct command *command;
  int report; /* Carries errno where the command could not be run; else it closes with the exec. */
  int announcements;
};

/*
 * As a shell does: a process group of its own, in our session, which has the terminal. A program that leads
 * a session can't change its group, and takes the terminal from its children when it ends.
 */
static bool become_job(const struct command *command) {
  pid_t group = getpid();
  /* From outside the foreground this brings SIGTTOU, which is blocked here. */
  return setpgid(0, 0) == 0 && (!command->on_terminal || ioctl(command->ends->child[0], TIOCSPGRP, &group) == 0);
}

/* In the child. Only returns when something failed, with errno set. */
static void become(const struct child *child) {
  const struct command *command = child->command;
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTTOU);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  if (!become_job(command))
    return;
  for (int i = 0; i < 3; i++)
    if (dup2(command->ends->child[i], i) < 0)
      return;
  signal(SIGPIPE, SIG_DFL);
  sigemptyset(&signals);
  sigprocmask(SIG_SETMASK, &signals, NULL);
  if (!identity_become_program())
    return;
  if (child->announcements >= 0)
    order_ask(child->announcements);
  /* Looked up where the image says. What the program gets as its PATH may lead anywhere, and is asked second. */
  execvpe(command->argv[0], command->argv, command->env);
  environ = command->env;
  execvp(command->argv[0], command->argv);
}

static int run_child(void *argument) {
  const struct child *child = argument;
  become(child);
  int code = errno;
  (void)!write(child->report, &code, sizeof code);
  _exit(127);
}

/*
 * The child borrows our memory until it runs something else, while we wait: a copy would take longer
 * than all the rest. Where memory is short it gets the copy: what the kernel then kills for want of
 * memory, it kills with all that share it.
 */
static pid_t start_child(struct child *child) {
  enum { STACK_SIZE = 1 << 17 };
  static _Alignas(16) char stack[STACK_SIZE];
  int borrow = reserve_needed() ? 0 : CLONE_VM | CLONE_VFORK;
  char **environment = environ;
  pid_t pid = clone(run_child, stack + STACK_SIZE, borrow | SIGCHLD, child);
  int problem = errno;
  environ = environment;
  identity_stay_hidden();
  errno = problem;
  return pid;
}

const char *spawn(const struct command *command, pid_t *pid, int *listener) {
  int report[2], announcements[2] = {-1, -1};
  if (pipe2(report, O_CLOEXEC) < 0)
    return strerror(errno);
  bool separate = !command->on_terminal && command->ends->ours[2] >= 0;
  if (separate && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, announcements) < 0)
    announcements[0] = announcements[1] = -1;
  struct child child = {.command = command, .report = report[1], .announcements = announcements[1]};
  *pid = start_child(&child);
  int problem = errno;
  close(report[1]);
  int code = 0;
  ssize_t n = *pid < 0 ? 0 : read(report[0], &code, sizeof code);
  close(report[0]);
  *listener = announcements[0] < 0 ? -1 : order_take(announcements[0]);
  close_fd(&announcements[0]);
  close_fd(&announcements[1]);
  if (*pid < 0)
    return strerror(problem);
  if (n == 0)
    return NULL;
  waitpid(*pid, NULL, 0);
  close_fd(listener);
  return strerror(code);
}
