#include "order.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "confine.h"

/* Newer than some headers. */
#define NOTIFY_SET_FLAGS SECCOMP_IOW(4, uint64_t)
#define SYNCHRONOUS_WAKE_UP 1

#define FIELD(name) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, name))
#define IF_CALL(name, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, skip, 0)
#define GO(skip) BPF_STMT(BPF_JMP | BPF_JA, skip)
#define ANSWER(action) BPF_STMT(BPF_RET | BPF_K, action)

/* The low halves of arguments come first on both architectures, and descriptors have no other. Jumps count what they skip. */
static struct sock_filter announces_errors[] = {
    FIELD(arch),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 0, 9),
    FIELD(nr),
    IF_CALL(write, 8),
    IF_CALL(writev, 7),
    IF_CALL(pwritev, 6),
    IF_CALL(pwritev2, 5),
    IF_CALL(sendfile, 4),
    IF_CALL(splice, 5),
    IF_CALL(tee, 6),
    ANSWER(SECCOMP_RET_ALLOW),
    ANSWER(SECCOMP_RET_ALLOW),
    FIELD(args[0]),
    GO(3),
    FIELD(args[2]),
    GO(1),
    FIELD(args[1]),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, STDERR_FILENO, 0, 1),
    ANSWER(SECCOMP_RET_USER_NOTIF),
    ANSWER(SECCOMP_RET_ALLOW),
};

/* Room for one descriptor beside the message. */
union passed {
  struct cmsghdr header;
  char room[CMSG_SPACE(sizeof(int))];
};

void order_ask(int channel) {
  struct sock_fprog program = {.len = sizeof announces_errors / sizeof *announces_errors, .filter = announces_errors};
  int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
  if (listener < 0)
    return;
  char nothing = 0;
  struct iovec content = {.iov_base = &nothing, .iov_len = 1};
  union passed passed;
  memset(&passed, 0, sizeof passed);
  struct msghdr message = {
      .msg_iov = &content, .msg_iovlen = 1, .msg_control = passed.room, .msg_controllen = sizeof passed.room};
  passed.header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
  memcpy(CMSG_DATA(&passed.header), &listener, sizeof listener);
  (void)!sendmsg(channel, &message, MSG_NOSIGNAL);
  close(listener);
}

int order_take(int channel) {
  char nothing;
  struct iovec content = {.iov_base = &nothing, .iov_len = 1};
  union passed passed;
  struct msghdr message = {
      .msg_iov = &content, .msg_iovlen = 1, .msg_control = passed.room, .msg_controllen = sizeof passed.room};
  if (recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1)
    return -1;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  int listener = -1;
  if (header == NULL || header->cmsg_type != SCM_RIGHTS)
    return -1;
  memcpy(&listener, CMSG_DATA(header), sizeof listener);
  /* Since only one of the two can run, the other may take its processor (Linux 6.6). Best effort. */
  ioctl(listener, NOTIFY_SET_FLAGS, SYNCHRONOUS_WAKE_UP);
  return listener;
}

bool order_announced(int listener, uint64_t *id) {
  struct seccomp_notif announcement;
  memset(&announcement, 0, sizeof announcement);
  if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &announcement) < 0)
    return false; /* It was killed, or interrupted, meanwhile. */
  *id = announcement.id;
  return true;
}

void order_go_on(int listener, uint64_t id) {
  struct seccomp_notif_resp answer = {.id = id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
  ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}
