/*
 * Who is who. The launcher is root in its container, with five capabilities; programs run under a
 * user id that no other container has, with none. So no system call that a program has names the
 * launcher with any effect, whatever it names it by, and what the kernel keeps for each user
 * (pipes, signals, inotify, descriptors in flight) is used up by nobody but its own user.
 *
 * Files are the program's all the same: the launcher touches them with the program's user id, and
 * with that alone. A separate id for files (setfsuid) opens no window to other calls. A kernel
 * without it, such as gVisor's, gets the effective id instead, which signals don't look at.
 *
 * Where nobody may be root, the launcher is started as the program's user, and stays that. Its memory and descriptors
 * are as far from the program then, since it is not dumpable, and as PID 1 it can't be killed from within; but what
 * the kernel keeps for a user both use up, and a program that harms its launcher ends its own container.
 */
#ifndef IDENTITY_H
#define IDENTITY_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Makes this process the launcher of programs that run as the given user and group, and, as root, announces
 * them to the C library's look-ups. Afterwards files are touched as that user. Returns NULL, or
 * what went wrong.
 */
const char *identity_take(uid_t program);

/* open() of the file that makes terminals: nobody else can, and what it makes is the program's. */
int identity_open_terminals(int flags);

/*
 * From here on, until the call with false, the kernel charges new pipes to the program's user. Only
 * while nothing of the program runs: meanwhile it could send us signals.
 */
void identity_charge_program(bool charge);

/*
 * From here on, until the call with false, what asks for an effective user gets the program's. Only
 * while nothing of the program runs.
 */
void identity_act_as_program(bool act);

/*
 * In a child: becomes the program's user, for good. False with errno set where that failed. It stays
 * as hard to get at as its parent, with whom it may share memory, until it runs something else.
 */
bool identity_become_program(void);

/* Keeps this process's memory from others, after a change of ids here or in a child that shares it. */
void identity_stay_hidden(void);

#endif
