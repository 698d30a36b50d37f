/* Empties a folder, whatever a program has put there. */
#ifndef CLEAR_H
#define CLEAR_H

/*
 * Deletes all that is in an open folder, following nothing, with a bounded number of descriptors and
 * no memory of its own, however deep it goes. Nobody else may be at work there. Returns NULL, or what
 * went wrong, after which the folder is not to be used.
 */
const char *clear_folder(int folder);

#endif
