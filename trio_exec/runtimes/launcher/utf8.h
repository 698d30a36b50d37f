/* Whether a name can be told to people: it is valid UTF-8, and has no control characters. */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>

bool is_text(const char *name);

#endif
