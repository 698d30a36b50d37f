#include "match.h"

#include <string.h>

/* One part of a pattern; each is a place that a pattern can be at. */
static struct part {
  const char *text;
  size_t length;
  bool any_folders, is_last;
} parts[PLACES_MAX];

static size_t count, patterns;
static char texts[PATTERNS_MAX][PATTERN_LENGTH_MAX + 1];
static bool dots_match;

static bool is(const struct part *part, const char *text) {
  return part->length == strlen(text) && memcmp(part->text, text, part->length) == 0;
}

void match_reset(bool hidden_too) {
  count = patterns = 0;
  dots_match = hidden_too;
}

bool match_add(const char *pattern) {
  size_t length = strlen(pattern), first = count;
  if (patterns == PATTERNS_MAX || length == 0 || length > PATTERN_LENGTH_MAX)
    return false;
  const char *at = memcpy(texts[patterns], pattern, length + 1);
  for (bool more = true; more;) {
    const char *slash = strchr(at, '/');
    struct part *part = &parts[count++];
    *part = (struct part){.text = at, .length = slash == NULL ? strlen(at) : (size_t)(slash - at), .is_last = slash == NULL};
    part->any_folders = is(part, "**");
    more = slash != NULL;
    at = slash + more;
    if (part->length == 0 || is(part, ".") || is(part, "..")) {
      count = first;
      return false;
    }
  }
  patterns++;
  return true;
}

/* Whether a set, which begins behind its bracket, has a byte; where there is no closing bracket there is no set. */
static bool in_set(const char *at, const char *end, uint8_t byte, const char **behind, bool *has) {
  bool negated = at < end && (*at == '!' || *at == '^');
  at += negated;
  bool found = false;
  for (const char *first = at; at < end && (*at != ']' || at == first);) {
    uint8_t low = (uint8_t)*at, high = low;
    if (end - at > 2 && at[1] == '-' && at[2] != ']') {
      high = (uint8_t)at[2];
      at += 2;
    }
    at++;
    found |= low <= byte && byte <= high;
  }
  if (at >= end)
    return false;
  *behind = at + 1;
  *has = found != negated;
  return true;
}

/* Matches one byte against what is at a place in a pattern that is no star. */
static bool matches_byte(const char *at, const char *end, uint8_t byte, const char **behind) {
  bool has;
  if (*at == '[' && in_set(at + 1, end, byte, behind, &has))
    return has;
  *behind = at + 1;
  return *at == '?' || (uint8_t)*at == byte;
}

/* Only the last star can have to take more: whatever an earlier one could take, it can as well. */
static bool matches(const struct part *part, const char *name) {
  if (name[0] == '.' && !dots_match && part->text[0] != '.')
    return false;
  const char *at = part->text, *end = at + part->length, *star = NULL, *retry = NULL;
  while (*name != '\0') {
    const char *behind;
    if (at < end && *at == '*') {
      star = ++at;
      retry = name;
    } else if (at < end && matches_byte(at, end, (uint8_t)*name, &behind)) {
      at = behind;
      name++;
    } else if (star != NULL) {
      at = star;
      name = ++retry;
    } else {
      return false;
    }
  }
  while (at < end && *at == '*')
    at++;
  return at == end;
}

static bool has(const struct places *places, size_t place) {
  return places->bits[place / PLACE_BITS] >> place % PLACE_BITS & 1;
}

/* `**` may stand for no folder at all, so whoever is there is also behind it. */
static void put(struct places *places, size_t place) {
  for (;; place++) {
    places->bits[place / PLACE_BITS] |= (uint64_t)1 << place % PLACE_BITS;
    if (!parts[place].any_folders || parts[place].is_last)
      return;
  }
}

void match_begin(struct places *places) {
  memset(places, 0, sizeof *places);
  for (size_t i = 0; i < count; i++)
    if (i == 0 || parts[i - 1].is_last)
      put(places, i);
}

bool match_folder(const struct places *before, const char *name, struct places *after) {
  bool any = false;
  memset(after, 0, sizeof *after);
  for (size_t i = 0; i < count; i++) {
    if (!has(before, i))
      continue;
    bool stays = parts[i].any_folders && (name[0] != '.' || dots_match);
    bool goes = !parts[i].any_folders && !parts[i].is_last && matches(&parts[i], name);
    if (stays || goes)
      put(after, i + goes);
    any |= stays || goes;
  }
  return any;
}

bool match_file(const struct places *places, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (has(places, i) && parts[i].is_last &&
        (parts[i].any_folders ? name[0] != '.' || dots_match : matches(&parts[i], name)))
      return true;
  return false;
}
