/*
 * Patterns for paths, as in shells: `*`, `?` and `[…]` within one part, `**` as a whole part for any
 * number of folders, and after the last of them any file. A leading dot is matched by a dot only.
 * What counts are bytes. There is no escaping.
 *
 * A path is matched part by part, on the way down: the set of places that the patterns are at says
 * all that is to be known of the folders so far. So each part is looked at once, however many
 * folders `**` might stand for.
 */
#ifndef MATCH_H
#define MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PATTERNS_MAX = 32, PATTERN_LENGTH_MAX = 512, PLACES_MAX = PATTERNS_MAX * (PATTERN_LENGTH_MAX / 2 + 1), PLACE_BITS = 64 };

struct places {
  uint64_t bits[PLACES_MAX / PLACE_BITS + 1];
};

/* Forgets all patterns. With `hidden_too`, leading dots are nothing special. */
void match_reset(bool hidden_too);

/* Adds a pattern; false where it is none: empty, absolute, with an empty part, with `.` or `..`, too long, one too many. */
bool match_add(const char *pattern);

/* Where the patterns are before the first part. */
void match_begin(struct places *places);

/* Where they are behind a folder of this name; false when nothing below can match. */
bool match_folder(const struct places *before, const char *name, struct places *after);

/* Whether a file of this name matches here. */
bool match_file(const struct places *places, const char *name);

#endif
