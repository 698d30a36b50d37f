/*
 * The workspace as it was at one moment, kept in the launcher's own memory, and made anew from there:
 * what one program leaves does not reach the next one in the same container. A program can't get at
 * the copy: it is in no file, and the launcher's memory is out of its reach (see identity.h).
 *
 * Both block for as long as it takes to copy a workspace, and are for moments when nothing runs.
 */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

/* Once, before anything runs: the workspace is the working directory. Returns NULL, or what went wrong. */
const char *snapshot_prepare(void);

/*
 * Keeps folders, regular files and links in the workspace, in place of what was kept before, and
 * empties the shared memory. Returns NULL, or what went wrong; then nothing is kept.
 */
const char *snapshot_save(void);

/*
 * Makes the workspace what it was, and empties the shared memory. Returns NULL, or what went wrong;
 * then programs must not be run here any more.
 */
const char *snapshot_restore(void);

#endif
