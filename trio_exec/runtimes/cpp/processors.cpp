// Linked into every program: std::thread::hardware_concurrency() and what it asks
// tell as many processors as there is room for, as docs/languages.md says of
// {processors}. The machine may have more, and a thread for each of them would not
// fit the limit of processes and threads.
//
// All weak: a program's own function of the name takes its place.
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

extern "C" long __sysconf(int);

namespace {

constexpr long USUAL = 4, PIDS_EACH = 8;

// The numbers in a file of the container's own limits; `count` of them were read.
struct Numbers {
  long first = 0, second = 0;
  int count = 0;
};

Numbers read_numbers(const char* path) {
  Numbers numbers;
  char text[64];
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return numbers;
  const ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  if (length <= 0) return numbers;
  text[length] = '\0';
  char* end;
  numbers.first = std::strtol(text, &end, 10);
  if (end == text) return numbers;  // "max": there is no limit.
  numbers.count = 1;
  char* const rest = end;
  numbers.second = std::strtol(rest, &end, 10);
  numbers.count += end != rest;
  return numbers;
}

// Either version of control groups.
long room() {
  Numbers pids = read_numbers("/sys/fs/cgroup/pids.max");
  if (pids.count == 0) pids = read_numbers("/sys/fs/cgroup/pids/pids.max");
  if (pids.count == 0) return 0;
  Numbers cpu = read_numbers("/sys/fs/cgroup/cpu.max");
  if (cpu.count < 2) {
    cpu = read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
    cpu.second = read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_period_us").first;
  }
  const long cpus = cpu.first > 0 && cpu.second > 0 ? (cpu.first + cpu.second - 1) / cpu.second : 1;
  return std::max({1L, cpus, std::min(USUAL, pids.first / PIDS_EACH)});
}

}  // namespace

extern "C" __attribute__((weak)) int get_nprocs() noexcept {
  static const long bound = room();
  const long all = __sysconf(_SC_NPROCESSORS_ONLN);
  return static_cast<int>(bound > 0 ? std::min(all, bound) : all);
}

extern "C" __attribute__((weak)) long sysconf(int name) noexcept {
  return name == _SC_NPROCESSORS_ONLN ? get_nprocs() : __sysconf(name);
}
