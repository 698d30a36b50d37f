/*
 * The launcher's matcher for tests. Input: records, each of lines that are hex; a hidden flag and
 * patterns, an empty line, paths, an empty line. Output: one character for each path: whether it matches;
 * `0` also where a folder is said to have nothing below that matches. An `x` where a pattern is none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "match.h"
#include "utf8.h"

static bool read_line(char *line, size_t size) {
  char hex[16384];
  if (fgets(hex, sizeof hex, stdin) == NULL)
    exit(0);
  size_t length = strcspn(hex, "\n") / 2;
  if (length >= size)
    abort();
  for (size_t i = 0; i < length; i++) {
    unsigned byte;
    sscanf(hex + 2 * i, "%2x", &byte);
    line[i] = (char)byte;
  }
  line[length] = '\0';
  return length > 0;
}

static bool matches(char *path) {
  struct places sets[2];
  int now = 0;
  match_begin(&sets[now]);
  for (char *slash; (slash = strchr(path, '/')) != NULL; path = slash + 1, now = !now) {
    *slash = '\0';
    if (!match_folder(&sets[now], path, &sets[!now]))
      return false;
  }
  return match_file(&sets[now], path);
}

int main(int argc, char **argv) {
  static char line[8192];
  bool text = argc > 1 && strcmp(argv[1], "text") == 0;
  for (;;) {
    if (text) {
      read_line(line, sizeof line);
      puts(is_text(line) ? "1" : "0");
      continue;
    }
    read_line(line, sizeof line);
    match_reset(line[0] == 'h');
    bool good = true;
    while (read_line(line, sizeof line))
      good &= match_add(line);
    while (read_line(line, sizeof line))
      putchar(!good ? 'x' : matches(line) ? '1' : '0');
    putchar('\n');
    fflush(stdout);
  }
}
