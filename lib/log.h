/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - log lines to stderr, a file or syslog. On a standard error that is systemd's journal they
 * carry their priority, and not the time, which the journal has.
 *
 * Process: all; each line names its process ("master", "metrics-0") and pid.
 * Owner: the module holds the one open file; children inherit it over fork, and follow with
 * log_reopen when the parent has opened another (log_share).
 * Concurrency: one thread per process, except that librdkafka's threads may log
 * (each line is one write(2) of a buffer on the stack, so lines never mix).
 *
 * No process ever waits for whoever takes its lines. What a stalled reader of a pipe, a terminal, a
 * syslog daemon or a full disk does not take is dropped and counted; the next line of the process
 * that is taken comes after one that says how many were dropped. (A regular file on a disk that
 * hangs is the exception: log_sink.h.)
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include "lib/base.h"
#include "lib/errbuf.h"

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
};

struct log_options {
    const char *file;     /* path, or NULL/"" for stderr; copied */
    bool syslog;          /* to syslog instead (wins over file); without a daemon to stderr */
    const char *facility; /* "LOG_USER", "LOG_DAEMON", "LOG_LOCAL0"...; only with syslog */
    bool syslog_absent;   /* it is told already that there is no syslog: log_syslog_is_absent */
    bool stderr_too;      /* to stderr as well */
    enum log_level level; /* the most detailed level that is written */
};

/*
 * Applies options; before the first call everything of NOTICE and above goes to stderr.
 * Returns: 0, or -1 with a text if the file cannot be opened or the facility is unknown (the log
 * stays as it was).
 */
int log_open(const struct log_options *options, struct errbuf *err) MUST_CHECK;

/*
 * From now on children follow what this process opens: log_reopen in a child applies the last
 * log_open that the parent made. To be called once, before the first fork and before log_open.
 * Returns: 0, or -1 with a text if memory is out.
 */
int log_share(struct errbuf *err) MUST_CHECK;

/*
 * Opens the same file anew, after logrotate moved it; in a child of a parent that shares, what the
 * parent has opened since. -1: the old one stays in use.
 */
int log_reopen(struct errbuf *err) MUST_CHECK;

/* Names this process in its lines; text is copied, at most 63 bytes. */
void log_set_process(const char *name);

/* True if lines reach standard error, be it beside another place or for want of syslog. */
bool log_reaches_stderr(void);

/*
 * True if lines were to go to syslog, the last one could not, and a line on standard error has said
 * so. Children inherit that, so that it is said once.
 */
bool log_syslog_is_absent(void);

/* True if a line of that level would be written. */
bool log_wants(enum log_level level);

/* Writes one line. What is not to be shown as it is (printable.h) becomes '?'. errno is kept. */
void log_line(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

/* Writes a line to standard error, wherever the log goes: for whoever has started the program. */
void log_say(const char *format, ...) PRINTF_LIKE(1, 2);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/*
 * At most `burst` lines per `interval_ms`; what is held back is counted and told with the next one.
 */
struct log_limit {
    uint32_t burst;
    int64_t interval_ms;
    int64_t window_start_ms; /* zero-initialize the rest */
    uint32_t in_window;
    uint64_t held_back;
};

/*
 * Asks whether a line may be written now.
 * Takes: the limit; now on the monotonic clock in ms.
 * Returns: true if so; *held_back is then the number of lines swallowed before it.
 */
bool log_limit_pass(struct log_limit *limit, int64_t now_ms, uint64_t *held_back) MUST_CHECK;

#endif
