/*
 * Whether anything of a network can be reached from in here: what a server asks a container that it tries, since only
 * there it shows. A program of its own, run as any other in the container, with all that holds for those.
 *
 * Usage: launcher reach SECONDS MILLISECONDS {ADDRESS PORT}…
 *          tries to connect to each, for milliseconds, and tells of each, in a line: address, port, what came of it at
 *          first, and in the end: "connected", "silence", or an error's name. Goes on while any connects, for seconds at
 *          the most: rules of a network may come into force after the container starts.
 *        launcher listen SECONDS PORT
 *          waits to be reached by another one, and says "listening" before
 */
#ifndef REACH_H
#define REACH_H

/* Returns the exit code; -1 where the arguments ask for nothing of this. */
int reach(int argc, char **argv);

#endif
