/* Prints the filter that the launcher makes of the words it is given: code, two jumps and a constant for each instruction. */
#include <stdio.h>

#include "confine.h"

int main(int argc, char **argv) {
  static struct sock_filter filter[FILTER_MAX];
  (void)argc;
  size_t length = confine_filter(argv + 1, filter);
  for (size_t i = 0; i < length; i++)
    printf("%u %u %u %u\n", filter[i].code, filter[i].jt, filter[i].jf, filter[i].k);
}
