// compile SOURCE... -- COMMAND...
//
// Runs the compile command with a precompiled header added in front of the
// sources, where the sources allow that, and else as it is.
//
// By itself GCC uses a precompiled header only for the first #include of a source
// file, so <algorithm>, <iostream> and <vector> would have to be read as text
// again and again. `-include` brings several of them at once. A program must mean
// the same with that as without, so a precompiled header is only taken if each
// header in it is brought in by those that the source begins with anyhow. Then it
// sees no name that it would not have seen; one that lacks an #include fails, and
// one that calls its own function `sort` is free to.
//
// What GCC says is another matter: it names the chain of #includes that led to a
// line, and where one is missing. So the first command's words are not shown: at
// the first one, or if it fails, the command runs anew as it is.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Headers = std::set<std::string, std::less<>>;

// Both made by precompile.sh. A line of the first is a header to -include and the
// headers that it holds; one of the second is a standard header and those of the
// precompiled ones that it brings in.
constexpr auto PRECOMPILED = "/usr/local/lib/trio-exec/precompiled";
constexpr auto STANDARD_HEADERS = "/usr/local/lib/trio-exec/standard-headers";

// With these GCC finds other headers than ours, or writes down which it found.
constexpr const char* VARIABLES[] = {"CPATH", "CPLUS_INCLUDE_PATH", "DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES"};

constexpr size_t BEGINNING = 64 * 1024;

// Each line's first word, with the words after it, in the file's order.
std::vector<std::pair<std::string, Headers>> read_table(const char* path) {
  std::vector<std::pair<std::string, Headers>> rows;
  std::ifstream file(path);
  for (std::string line, first; std::getline(file, line);) {
    std::istringstream words(line);
    words >> first;
    rows.emplace_back(first, Headers(std::istream_iterator<std::string>(words), {}));
  }
  return rows;
}

std::string read_beginning(const char* path) {
  struct stat status;
  std::string text;
  // Anything but a file may block, or be gone when GCC wants to read it too.
  if (stat(path, &status) != 0 || !S_ISREG(status.st_mode)) return text;
  text.resize(BEGINNING);
  std::ifstream file(path, std::ios::binary);
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

class Scanner {
 public:
  // A backslash may join lines, so nothing from there on is looked at.
  explicit Scanner(std::string_view text) : rest_(text.substr(0, text.find('\\'))) { take("\xef\xbb\xbf"); }

  // The header of the next #include <...>, if nothing but white space and comments
  // precedes it. The first other thing is the end: a macro, a pragma or a header of
  // the program's own may change what the headers after it mean.
  std::optional<std::string_view> next_include() {
    if (!skip(" \t\r\n") || !take("#")) return {};
    if (!skip(" \t") || !take("include") || !skip(" \t") || !take("<")) return {};
    const size_t length = rest_.find_first_of(">\n");
    if (length == rest_.npos || rest_[length] != '>') return {};
    const auto name = rest_.substr(0, length);
    rest_.remove_prefix(length + 1);
    if (!skip(" \t\r") || (!rest_.empty() && !take("\n"))) rest_ = {};
    return name;
  }

 private:
  bool take(std::string_view expected) {
    if (!rest_.starts_with(expected)) return false;
    rest_.remove_prefix(expected.size());
    return true;
  }

  // Skips white space and comments; false for one that has no end, or that goes over
  // lines where white space may not.
  bool skip(std::string_view white) {
    for (;;) {
      rest_.remove_prefix(std::min(rest_.find_first_not_of(white), rest_.size()));
      if (rest_.starts_with("//")) {
        rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size()));
      } else if (rest_.starts_with("/*")) {
        const size_t end = rest_.find("*/", 2);
        const bool lines = rest_.substr(0, end).find('\n') != rest_.npos;
        if (end == rest_.npos || (lines && white.find('\n') == white.npos)) return false;
        rest_.remove_prefix(end + 2);
      } else {
        return true;
      }
    }
  }

  std::string_view rest_;
};

struct Beginning {
  std::string first;  // What the first #include names.
  Headers brought;    // What of the precompiled headers the #includes bring in.
};

Beginning beginning_of(const char* source, const std::map<std::string, Headers, std::less<>>& standard) {
  Beginning beginning;
  const std::string text = read_beginning(source);
  Scanner scanner(text);
  while (const auto name = scanner.next_include()) {
    const auto found = standard.find(*name);
    if (found == standard.end()) break;
    if (beginning.first.empty()) beginning.first = *name;
    beginning.brought.insert(found->second.begin(), found->second.end());
  }
  return beginning;
}

// The header to -include; empty if there is none, or if GCC finds it by itself.
std::string choose(const std::vector<const char*>& sources) {
  const auto is_set = [](const char* name) { return std::getenv(name) != nullptr; };
  if (sources.empty() || std::ranges::any_of(VARIABLES, is_set)) return {};
  const auto rows = read_table(STANDARD_HEADERS);
  const std::map<std::string, Headers, std::less<>> standard(rows.begin(), rows.end());
  std::vector<Beginning> beginnings;
  for (const char* source : sources) beginnings.push_back(beginning_of(source, standard));
  for (const auto& [path, holds] : read_table(PRECOMPILED)) {
    const auto allows = [&](const Beginning& it) { return std::ranges::includes(it.brought, holds); };
    if (!std::ranges::all_of(beginnings, allows)) continue;
    // A header of the standard library itself has its precompiled form beside it.
    const auto finds_it = [&](const Beginning& it) { return path.ends_with("/" + it.first); };
    return std::ranges::all_of(beginnings, finds_it) ? "" : path;
  }
  return {};
}

// Whether the command succeeded without a word on stderr. If not, nothing of it is left.
bool runs_silently(char** command) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  // A group of its own, so that all of it can be ended.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  pid_t pid;
  const bool started = posix_spawnp(&pid, command[0], &actions, &attributes, command, environ) == 0;
  close(ends[1]);
  char byte;
  ssize_t read_bytes = 0;
  while (started && (read_bytes = read(ends[0], &byte, 1)) < 0 && errno == EINTR) {
  }
  close(ends[0]);
  if (!started) return false;
  // g++ removes its temporary files at SIGTERM.
  if (read_bytes != 0) kill(-pid, SIGTERM);
  int status;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (read_bytes == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  // What g++ has left behind counts as processes until it is gone.
  while (wait(nullptr) > 0 || errno == EINTR) {
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  char** const end = argv + argc;
  char** const separator = std::find(argv + 1, end, std::string_view("--"));
  if (end - separator < 2) return 2;
  char** const command = separator + 1;

  std::string header = choose({argv + 1, separator});
  if (!header.empty()) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    std::string option = "-include";
    std::vector<char*> faster{command[0], option.data(), header.data()};
    faster.insert(faster.end(), command + 1, end + 1);  // With the null pointer after them.
    if (runs_silently(faster.data())) return 0;
    prctl(PR_SET_CHILD_SUBREAPER, 0);
  }
  execvp(command[0], command);
  perror(command[0]);
  return 127;
}
