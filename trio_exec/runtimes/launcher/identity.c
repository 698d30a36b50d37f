#include "identity.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Only the launcher can open it: its group may, and nobody has that group but the launcher, for a moment. */
#define TERMINALS "/dev/pts/ptmx"

/* Whatever the program does with its processors, its launcher comes first. */
enum { NICE_FIRST = -20, NICE_LAST = 19 };

enum { CAPABILITY_MAX = 63, CAPABILITY_WORDS = 2 };

/* Out of memory, the kernel is to choose the program and not us. */
enum { OOM_FIRST = 1000, OOM_LAST = 0 };

static const unsigned kept[] = {CAP_SETUID, CAP_SETGID, CAP_KILL, CAP_SYS_RESOURCE, CAP_SYS_NICE};

static uid_t program;
static bool shared; /* Programs are the user that we are. */
static bool has_fsuid;
static int nice_before;

/* Empties all sets of capabilities that a program could inherit, and of ours all but a few. */
static bool drop_capabilities(void) {
  for (unsigned long capability = 0; capability <= CAPABILITY_MAX; capability++)
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 && errno != EINVAL)
      return false;
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct sets[CAPABILITY_WORDS];
  if (syscall(SYS_capget, &header, sets) < 0)
    return false;
  uint32_t wanted[CAPABILITY_WORDS] = {0};
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
    wanted[CAP_TO_INDEX(kept[i])] |= CAP_TO_MASK(kept[i]);
  for (int i = 0; i < CAPABILITY_WORDS; i++) {
    sets[i].permitted &= wanted[i];
    sets[i].effective = sets[i].permitted;
    sets[i].inheritable = 0;
  }
  return syscall(SYS_capset, &header, sets) == 0;
}

/* A change of ids puts this back to what the machine has set. */
void identity_stay_hidden(void) { prctl(PR_SET_DUMPABLE, 0); }

static void touch_files_as(uid_t user, gid_t group) {
  if (shared)
    return;
  if (has_fsuid) {
    setfsgid(group);
    setfsuid(user);
  } else if (user == 0) {
    (void)!seteuid(user); /* First: it takes root to change the group freely. */
    (void)!setegid(group);
  } else {
    (void)!setegid(group);
    (void)!seteuid(user);
  }
  identity_stay_hidden();
}

/* In a folder that only root can write to. Best effort: programs run as well without a name. */
static void write_names(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (fd < 0)
    return;
  (void)!write(fd, text, strlen(text));
  close(fd);
}

/* The images link /etc/passwd and /etc/group to these. */
static void announce_program(void) {
  char text[512];
  snprintf(text, sizeof text,
           "root:x:0:0:root:/root:/usr/sbin/nologin\n"
           "runner:x:%u:%u:runner:/workspace:/bin/sh\n"
           "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
           program, program);
  write_names("/dev/passwd", text);
  snprintf(text, sizeof text, "root:x:0:\ntty:x:5:\nrunner:x:%u:\nnogroup:x:65534:\n", program);
  write_names("/dev/group", text);
}

/* Best effort: a sandboxed kernel may have no such file. */
static void set_oom_order(int value) {
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0)
    return;
  dprintf(fd, "%d", value);
  close(fd);
}

/* Nothing that needs a privilege is to be had, nor needed but for a separate user. */
static const char *share(void) {
  if (getuid() != program || geteuid() != program || getegid() != program)
    return "must be started as root, or as the user and group of its programs";
  shared = true;
  set_oom_order(OOM_LAST);
  identity_stay_hidden();
  return NULL;
}

const char *identity_take(uid_t user) {
  program = user;
  umask(022);
  if (getuid() != 0)
    return share();
  announce_program();
  chmod(TERMINALS, 0660);
  set_oom_order(OOM_LAST);
  /* Best effort. */
  nice_before = getpriority(PRIO_PROCESS, 0);
  setpriority(PRIO_PROCESS, 0, NICE_FIRST);
  if (setgroups(0, NULL) < 0 || !drop_capabilities())
    return strerror(errno);
  setfsuid(program);
  has_fsuid = (uid_t)setfsuid((uid_t)-1) == program;
  touch_files_as(program, program);
  if (!has_fsuid && (geteuid() != program || getegid() != program))
    return "the kernel does not know the program's user id";
  return NULL;
}

int identity_open_terminals(int flags) {
  touch_files_as(program, 0);
  int fd = open(TERMINALS, flags);
  int problem = errno;
  touch_files_as(program, program);
  errno = problem;
  return fd;
}

void identity_charge_program(bool charge) {
  if (shared || !has_fsuid)
    return; /* It is charged already, or such a kernel keeps no such accounts. */
  (void)!setresuid(charge ? program : 0, (uid_t)-1, (uid_t)-1);
  touch_files_as(program, program); /* The call before has put that back as well. */
}

void identity_act_as_program(bool act) {
  if (shared || !has_fsuid)
    return; /* It is the effective one as it is. */
  (void)!setresuid((uid_t)-1, act ? program : 0, (uid_t)-1);
  touch_files_as(program, program); /* The call before has put that back as well. */
  identity_stay_hidden();
}

bool identity_become_program(void) {
  touch_files_as(0, 0);
  set_oom_order(OOM_FIRST); /* Set with CAP_SYS_RESOURCE, it is also the lowest that the program can choose. */
  setpriority(PRIO_PROCESS, 0, shared ? NICE_LAST : nice_before);
  if (shared)
    return true;
  bool become = setgroups(0, NULL) == 0 && setresgid(program, program, program) == 0 &&
                setresuid(program, program, program) == 0;
  int problem = errno;
  identity_stay_hidden();
  errno = problem;
  return become;
}
