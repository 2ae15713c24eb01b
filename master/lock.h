/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.h - one master per instance name: a lock that ends with its holder, whatever kills it.
 *
 * A classic POSIX record lock (fcntl F_SETLK) on DIRECTORY/INSTANCE.lock.  It belongs to the
 * process and not to the open file: children do not inherit it, so a worker that outlives the
 * master for a moment does not keep the next one from starting.  The price: closing any descriptor
 * of the file drops it, so nothing else may open that file.  The file stays when the lock goes: to
 * unlink it would let two masters hold locks on two files of one name.
 *
 * The directory is chosen and checked by directory.h.  The file must be regular, with one link, and
 * is opened with O_NOFOLLOW.
 *
 * Process: master.  Owner: the caller of lock_acquire, until it exits or calls lock_release.
 * Concurrency: one thread.
 */
#ifndef MASTER_LOCK_H
#define MASTER_LOCK_H

#include "lib/base.h"
#include "lib/errbuf.h"

struct lock {
    int fd; /* close it in children, and there only */
    char path[512];
};

/*
 * Takes: the directory, "" for the default ones; the instance's name, which is a plain file name.
 * Returns: 0, or -1 with a text, which for a lock that is taken says who holds it and since when.
 */
int lock_acquire(const char *directory, const char *instance, struct lock *lock,
                 struct errbuf *err) MUST_CHECK;

/* Lets go. */
void lock_release(struct lock *lock);

#endif
