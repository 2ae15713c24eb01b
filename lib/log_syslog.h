/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_syslog.h - one message to the syslog daemon, without waiting for it, as syslog(3) does when
 * the daemon's queue is full.
 *
 * Source of the form: RFC 3164, as glibc's syslog(3) sends it to a local daemon.
 *
 * Process: all.  Owner: nobody, it keeps nothing.  Concurrency: any thread.
 */
#ifndef LIB_LOG_SYSLOG_H
#define LIB_LOG_SYSLOG_H

#include "lib/base.h"

#define LOG_SYSLOG_PATH "/dev/log"

/*
 * Takes: the daemon's socket (datagrams, or a stream as some daemons want it); facility | priority;
 * who says it and what, one line without a newline.
 * Returns: 0, or an errno: EAGAIN if the daemon does not keep up.
 */
int log_syslog_send(const char *path, int priority, const char *process,
                    const char *text) MUST_CHECK;

/* Returns: true if the errno means that there is no daemon, rather than one that is busy. */
bool log_syslog_means_absent(int error);

#endif
