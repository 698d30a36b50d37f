#include "utf8.h"

#include <stddef.h>
#include <stdint.h>

enum { DELETE = 0x7f, C1_FIRST = 0x80, C1_LAST = 0x9f, SURROGATE_FIRST = 0xd800, SURROGATE_LAST = 0xdfff, LAST = 0x10ffff };

bool is_text(const char *name) {
  /* The least that needs so many bytes behind the first one: longer forms of less are no UTF-8. */
  static const uint32_t least[] = {' ', C1_FIRST, 0x800, 0x10000};
  for (const uint8_t *at = (const uint8_t *)name; *at != 0;) {
    size_t more = *at < 0x80 ? 0 : *at >> 5 == 6 ? 1 : *at >> 4 == 14 ? 2 : *at >> 3 == 30 ? 3 : 4;
    if (more == 4)
      return false;
    uint32_t point = more == 0 ? *at : *at & (0x3fU >> more);
    at++;
    for (size_t i = 0; i < more; i++, at++) {
      if (*at >> 6 != 2)
        return false;
      point = point << 6 | (*at & 0x3f);
    }
    bool is_control = point == DELETE || (point >= C1_FIRST && point <= C1_LAST);
    bool is_surrogate = point >= SURROGATE_FIRST && point <= SURROGATE_LAST;
    if (point < least[more] || point > LAST || is_surrogate || is_control)
      return false;
  }
  return true;
}
