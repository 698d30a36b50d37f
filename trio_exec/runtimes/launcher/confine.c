#include "confine.h"

#include <errno.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

/* That some bits of an argument have a value. */
struct condition {
  unsigned argument;
  uint64_t mask, value;
};

/* What becomes of a system call where the conditions hold: `count` of them. Of several rules, the first one counts. */
struct rule {
  uint32_t number, action;
  unsigned needs; /* What the machine has to charge for. */
  size_t first, count;
};

struct limit {
  int resource;
  rlim_t charged, uncharged; /* Where sockets are charged for, and where they are not. */
};

struct charge {
  const char *word;
  unsigned bit;
};

#include "policy.h"

enum { RULES = sizeof rules / sizeof *rules, SPANS_MAX = 2 * RULES + 8 };
enum { JUMP_MAX = 250 }; /* A conditional jump skips 255 at the most; one more instruction may come between. */

#define X32 0x40000000u     /* From here on, numbers are another architecture's. */
#define NO_CALL 0xffffffffu /* By which a tracer skips a call. */

#define REFUSED (SECCOMP_RET_ERRNO | EPERM)
#define NOT_THERE (SECCOMP_RET_ERRNO | ENOSYS) /* As of calls newer than the list: C libraries then try older ones. */

/* System calls from a number on, up to where the next span begins. */
struct span {
  uint32_t from;
  uint32_t action;               /* Where no rule says otherwise. */
  const struct rule *const *rules; /* Of one call that depends on its arguments. */
  size_t count;
};

/* Is written from its end: jumps only go forward, so where they lead is there already. */
struct writer {
  struct sock_filter *all;
  size_t at; /* The first instruction so far; those before are free. */
};

/* What can be seen from in here; machine.py has the reasons. */
static unsigned find_charges(void) {
  unsigned found = 0;
  struct statfs cgroups;
  if (statfs("/sys/fs/cgroup", &cgroups) == 0 && cgroups.f_type == CGROUP2_SUPER_MAGIC)
    found |= CHARGES_SOCKETS;
  struct utsname kernel;
  int major, minor;
  if (uname(&kernel) == 0 && sscanf(kernel.release, "%d.%d", &major, &minor) == 2 &&
      (major > CHARGES_IPC_MAJOR || (major == CHARGES_IPC_MAJOR && minor >= CHARGES_IPC_MINOR)))
    found |= CHARGES_IPC;
  return found;
}

static bool read_charges(char *const *words, unsigned *charged) {
  for (*charged = 0; *words != NULL; words++) {
    if (strcmp(*words, CHARGES_UNKNOWN) == 0) {
      *charged |= find_charges();
      continue;
    }
    const struct charge *charge = charges, *end = charges + sizeof charges / sizeof *charges;
    while (charge < end && strcmp(charge->word, *words) != 0)
      charge++;
    if (charge == end)
      return false;
    *charged |= charge->bit;
  }
  return true;
}

static int by_number(const void *one, const void *other) {
  const struct rule *a = *(const struct rule *const *)one, *b = *(const struct rule *const *)other;
  if (a->number != b->number)
    return a->number < b->number ? -1 : 1;
  return a < b ? -1 : a > b; /* As in the list. */
}

/* Consecutive calls of which the same becomes are one span, so that there is less to choose from. */
static void add_span(struct span *spans, size_t *count, struct span next) {
  struct span *last = *count > 0 ? spans + *count - 1 : NULL;
  if (last == NULL || last->count > 0 || next.count > 0 || last->action != next.action)
    spans[(*count)++] = next;
}

static size_t find_spans(unsigned charged, const struct rule *sorted[RULES], struct span spans[SPANS_MAX]) {
  size_t in_force = 0, count = 0;
  for (const struct rule *rule = rules; rule < rules + RULES; rule++)
    if ((rule->needs & ~charged) == 0)
      sorted[in_force++] = rule;
  qsort(sorted, in_force, sizeof *sorted, by_number);
  uint32_t behind = 0;
  for (size_t i = 0, next; i < in_force; i = next) {
    const struct rule *rule = sorted[i];
    for (next = i + 1; next < in_force && sorted[next]->number == rule->number;)
      next++;
    if (rule->number > behind)
      add_span(spans, &count, (struct span){.from = behind, .action = REFUSED});
    struct span span = {.from = rule->number, .action = rule->action};
    if (rule->count > 0)
      span = (struct span){.from = rule->number, .action = REFUSED, .rules = sorted + i, .count = next - i};
    add_span(spans, &count, span);
    behind = rule->number + 1;
  }
  add_span(spans, &count, (struct span){.from = behind, .action = NOT_THERE});
#ifdef __x86_64__
  add_span(spans, &count, (struct span){.from = X32, .action = SECCOMP_RET_KILL_THREAD});
#endif
  add_span(spans, &count, (struct span){.from = NO_CALL, .action = REFUSED});
  return count;
}

static size_t put(struct writer *to, struct sock_filter instruction) {
  if (to->at > 0)
    to->all[--to->at] = instruction; /* Whether it was too long, its beginning tells. */
  return to->at;
}

/* Where an action is answered; one that is near enough serves many. */
static size_t answer(struct writer *to, uint32_t action) {
  for (size_t i = to->at; i < FILTER_MAX && i < to->at + JUMP_MAX; i++)
    if (to->all[i].code == (BPF_RET | BPF_K) && to->all[i].k == action)
      return i;
  return put(to, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* A place within the reach of conditional jumps from which it goes on elsewhere. */
static size_t reach(struct writer *to, size_t target) {
  if (target - to->at <= JUMP_MAX)
    return target;
  return put(to, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, (uint32_t)(target - to->at)));
}

static size_t branch(struct writer *to, uint16_t comparison, uint32_t with, size_t yes, size_t no) {
  yes = reach(to, yes);
  no = reach(to, no);
  struct sock_filter jump = BPF_JUMP(BPF_JMP | comparison | BPF_K, with, 0, 0);
  jump.jt = (uint8_t)(yes - to->at);
  jump.jf = (uint8_t)(no - to->at);
  return put(to, jump);
}

/* A filter sees 32 bits at a time; of both architectures' arguments the low ones come first. */
static size_t compare_half(struct writer *to, const struct condition *condition, bool high, size_t yes, size_t no) {
  uint32_t mask = (uint32_t)(condition->mask >> (high ? 32 : 0));
  uint32_t value = (uint32_t)(condition->value >> (high ? 32 : 0));
  uint32_t place = (uint32_t)(offsetof(struct seccomp_data, args) + 8 * condition->argument + (high ? 4 : 0));
  if (mask == 0)
    return yes;
  branch(to, BPF_JEQ, value, yes, no);
  if (mask != UINT32_MAX)
    put(to, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask));
  return put(to, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, place));
}

static size_t decide(struct writer *to, const struct span *span) {
  size_t next = answer(to, span->action);
  for (size_t i = span->count; i-- > 0;) {
    const struct rule *rule = span->rules[i];
    size_t then = answer(to, rule->action);
    for (const struct condition *it = conditions + rule->first + rule->count; it-- > conditions + rule->first;)
      then = compare_half(to, it, false, compare_half(to, it, true, then, next), next);
    next = then;
  }
  return next;
}

static size_t choose(struct writer *to, const struct span *spans, size_t count) {
  if (count == 1)
    return decide(to, spans);
  size_t half = count / 2;
  size_t above = choose(to, spans + half, count - half);
  size_t below = choose(to, spans, half);
  return branch(to, BPF_JGE, spans[half].from, above, below);
}

static size_t make_filter(unsigned charged, struct sock_filter filter[FILTER_MAX]) {
  static const struct rule *sorted[RULES];
  static struct span spans[SPANS_MAX];
  struct writer to = {.all = filter, .at = FILTER_MAX};
  size_t count = find_spans(charged, sorted, spans);
  choose(&to, spans, count); /* There are several, so it begins where the choice does. */
  size_t ours = put(&to, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
  size_t others = answer(&to, SECCOMP_RET_KILL_THREAD);
  branch(&to, BPF_JEQ, ARCHITECTURE, ours, others);
  put(&to, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
  if (to.at == 0)
    return 0;
  memmove(filter, filter + to.at, (FILTER_MAX - to.at) * sizeof *filter);
  return FILTER_MAX - to.at;
}

size_t confine_filter(char *const *charged, struct sock_filter filter[FILTER_MAX]) {
  unsigned bits;
  return read_charges(charged, &bits) ? make_filter(bits, filter) : 0;
}

/* Lowers it, if it is higher. Linux refuses that to nobody; gVisor does, of limits that it does not keep. */
static bool lower(int resource, rlim_t value) {
  struct rlimit now;
  if (getrlimit(resource, &now) < 0)
    return false;
  struct rlimit wanted = {.rlim_cur = now.rlim_cur < value ? now.rlim_cur : value,
                          .rlim_max = now.rlim_max < value ? now.rlim_max : value};
  return setrlimit(resource, &wanted) == 0 || errno == EPERM;
}

static bool set_limit(int resource, rlim_t value) {
  if (!lower(resource, value))
    return false;
  /* Of core dumps, 1 keeps more from happening than 0 does. Where 0 is the limit already, it takes a capability. */
  if (resource == RLIMIT_CORE)
    setrlimit(resource, &(struct rlimit){.rlim_cur = value, .rlim_max = value});
  return true;
}

/* Whether the kernel has filters at all. */
static bool knows_filters(void) {
  uint32_t action = SECCOMP_RET_ERRNO;
  return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

static const char *tell(const char *what) {
  static char problem[128];
  snprintf(problem, sizeof problem, "%s: %s", what, strerror(errno));
  return problem;
}

const char *confine_processes(unsigned long count) {
  return lower(RLIMIT_NPROC, count) ? NULL : tell("processes can't be limited");
}

const char *confine(char *const *charged) {
  unsigned bits;
  if (!read_charges(charged, &bits))
    return "what the machine charges for is a word that is not known here";
  for (const struct limit *limit = limits; limit < limits + sizeof limits / sizeof *limits; limit++)
    if (!set_limit(limit->resource, bits & CHARGES_SOCKETS ? limit->charged : limit->uncharged))
      return tell("a limit of processes can't be set");
  static struct sock_filter filter[FILTER_MAX];
  size_t length = make_filter(bits, filter);
  if (length == 0)
    return "the filter of system calls is too long";
  struct sock_fprog program = {.len = (unsigned short)length, .filter = filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
    return tell("no_new_privs can't be set");
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0)
    return NULL;
  const char *problem = tell("system calls can't be filtered");
  return knows_filters() ? problem : NULL;
}
