/*
 * Memory for the last words. A program that fills its memory limit with files or sockets leaves them
 * behind when the kernel kills it, and nothing for the launcher to tell its end with: writing to a
 * pipe takes a page. So the launcher keeps some pages, and gives them up when a stage is over.
 */
#ifndef RESERVE_H
#define RESERVE_H

#include <stdbool.h>

void reserve_take(void);   /* Before a stage, while there is memory. */
void reserve_give(void);   /* When there may be none left; harmless when there are none to give. */
bool reserve_needed(void); /* Whether that is so, or can't be known. To give and take takes a tenth of a millisecond. */

#endif
