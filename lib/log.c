/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c - see log.h.
 *
 * A line is formatted on the stack and written with one write(2): appending to a file opened with
 * O_APPEND keeps lines of several processes apart, and no lock can be left behind by a killed one.
 *
 * The log is not the product: no line is waited for (log_sink.h). What nobody takes is dropped and
 * counted, in each process and for each place apart, and the next line that is taken says so.
 */
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log_sink.h"
#include "lib/log_syslog.h"
#include "lib/printable.h"
#include "lib/timestamp.h"

enum { NO_FILE = -1 };

static struct {
    char file[4096]; /* "": stderr, or syslog */
    int fd;          /* of the file, once there was one; from then on it stays the same number */
    _Atomic bool has_file;
    bool syslog, stderr_too;
    _Atomic bool syslog_absent; /* it could not be reached, and that was told */
    int facility;
    enum log_level level;
    char process[64];
} state = {.fd = NO_FILE, .level = LOG_LEVEL_NOTICE, .process = "monasca-persister"};

static const char *const level_names[] = {"ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"};
static const int level_priorities[] = {LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG};

static const struct {
    const char *name;
    int value;
} facilities[] = {
    {"LOG_USER", LOG_USER},     {"LOG_DAEMON", LOG_DAEMON}, {"LOG_AUTH", LOG_AUTH},
    {"LOG_CRON", LOG_CRON},     {"LOG_MAIL", LOG_MAIL},     {"LOG_SYSLOG", LOG_SYSLOG},
    {"LOG_LOCAL0", LOG_LOCAL0}, {"LOG_LOCAL1", LOG_LOCAL1}, {"LOG_LOCAL2", LOG_LOCAL2},
    {"LOG_LOCAL3", LOG_LOCAL3}, {"LOG_LOCAL4", LOG_LOCAL4}, {"LOG_LOCAL5", LOG_LOCAL5},
    {"LOG_LOCAL6", LOG_LOCAL6}, {"LOG_LOCAL7", LOG_LOCAL7},
};

static int
find_facility(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(facilities); i++)
        if (strcasecmp(name, facilities[i].name) == 0 ||
            strcasecmp(name, facilities[i].name + 4) == 0)
            return facilities[i].value;
    return -1;
}

static int
open_file(const char *path)
{
    /* Non-blocking means something where it is a FIFO or a terminal. */
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
}

/* What a log_open asks for, by value. */
struct choice {
    char file[4096]; /* "": standard error or syslog */
    bool syslog, stderr_too;
    int facility;
    enum log_level level;
};

/* What the parent opened last; one writer, and readers that look again if it changed meanwhile. */
static struct shared {
    _Atomic uint32_t version; /* odd while it is being written */
    pid_t writer;
    struct choice choice;
} * shared;

static uint32_t followed; /* the version that this process goes by */

/*
 * In one step wherever a thread of librdkafka may be about to write. Takes: the file, which it
 * keeps or closes.
 */
static int
use_file(int fd)
{
    int done = 0;
    if (state.fd == NO_FILE) {
        state.fd = fd;
    } else {
        done = dup3(fd, state.fd, O_CLOEXEC);
        close(fd);
    }
    state.has_file = state.has_file || done != -1;
    return done == -1 ? -1 : 0;
}

/* Lets go of the file; its number stays taken. */
static void
use_no_file(void)
{
    state.has_file = false;
    int null = state.fd != NO_FILE ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
    if (null == -1)
        return;
    (void)dup3(null, state.fd, O_CLOEXEC);
    close(null);
}

static int
apply(const struct choice *choice, struct errbuf *err)
{
    bool has_file = choice->file[0] != '\0', elsewhere = choice->syslog || has_file;
    int fd = has_file ? open_file(choice->file) : NO_FILE;
    if (has_file && (fd == -1 || use_file(fd) == -1))
        return errbuf_set(err, "log file %s: %s", choice->file, strerror(errno));
    if (!has_file)
        use_no_file();
    snprintf(state.file, sizeof(state.file), "%s", choice->file);
    state.facility = choice->facility;
    state.syslog = choice->syslog;
    state.stderr_too = choice->stderr_too && elsewhere;
    state.level = choice->level;
    return 0;
}

static void
tell_children(const struct choice *choice)
{
    if (shared == NULL || shared->writer != getpid())
        return;
    uint32_t version = atomic_load(&shared->version);
    atomic_store(&shared->version, version + 1);
    atomic_thread_fence(memory_order_seq_cst); /* the choice is not stored before that */
    shared->choice = *choice;
    atomic_store(&shared->version, version + 2);
    followed = version + 2;
}

int
log_share(struct errbuf *err)
{
    void *p =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return errbuf_set(err, "no memory for the log's settings: %s", strerror(errno));
    shared = p;
    shared->writer = getpid();
    return 0;
}

int
log_open(const struct log_options *options, struct errbuf *err)
{
    struct choice choice = {.syslog = options->syslog,
                            .stderr_too = options->stderr_too,
                            .facility = LOG_USER,
                            .level = options->level};
    if (options->syslog && (choice.facility = find_facility(options->facility)) == -1)
        return errbuf_set(err, "unknown syslog facility '%s'", options->facility);
    if (!options->syslog && options->file != NULL &&
        (size_t)snprintf(choice.file, sizeof(choice.file), "%s", options->file) >=
            sizeof(choice.file))
        return errbuf_set(err, "log file %.100s...: the path is too long", options->file);
    if (apply(&choice, err) == -1)
        return -1;
    state.syslog_absent = state.syslog_absent || options->syslog_absent;
    tell_children(&choice);
    return 0;
}

/* Returns: the version of another log that the parent has opened than this process goes by; or the
 * one that it goes by. */
static uint32_t
look_for_news(struct choice *choice)
{
    if (shared == NULL)
        return followed;
    for (unsigned tries = 0; tries < 1000; tries++) {
        uint32_t version = atomic_load(&shared->version);
        *choice = shared->choice;
        atomic_thread_fence(memory_order_seq_cst);
        if (version % 2 != 0 || atomic_load(&shared->version) != version)
            continue;
        return version;
    }
    return followed; /* the parent died in the middle of it, and so do we */
}

int
log_reopen(struct errbuf *err)
{
    struct choice choice;
    uint32_t version = look_for_news(&choice);
    if (version != followed) {
        if (apply(&choice, err) == -1)
            return -1; /* and the next time it is tried again */
        followed = version;
        return 0;
    }
    if (state.file[0] == '\0')
        return 0;
    int fd = open_file(state.file);
    if (fd == -1 || use_file(fd) == -1)
        return errbuf_set(err, "log file %s: %s", state.file, strerror(errno));
    return 0;
}

void
log_set_process(const char *name)
{
    snprintf(state.process, sizeof(state.process), "%s", name);
}

bool
log_wants(enum log_level level)
{
    return level <= state.level;
}

/* --- a line --- */

enum { LINE_BYTES = 2048 }; /* with its newline */

_Static_assert(LINE_BYTES + 1 <= (int)LOG_SINK_BYTES, "a sink takes a line whole");

struct line {
    enum log_level level;
    size_t time, body, n;     /* of the text: where its time ends, its message begins; its size */
    char raw[LINE_BYTES + 2]; /* a newline for where a line was torn, the text, a NUL */
};

/* Its last byte is a newline. */
static char *
text_of(struct line *line)
{
    return line->raw + 1;
}

static void
format_line(struct line *line, enum log_level level, const char *format, va_list args)
{
    char *text = text_of(line);
    const size_t size = LINE_BYTES;
    char time[TIMESTAMP_BYTES];
    size_t n = strlen(timestamp_format(time, clock_wall_ms()));
    memcpy(text, time, n);
    line->level = level;
    line->raw[0] = '\n';
    line->time = n;
    n += (size_t)snprintf(text + n, size - n, " %s[%ld] %s: ", state.process, (long)getpid(),
                          level_names[level]);
    line->body = n;
    int m = vsnprintf(text + n, size - n, format, args);
    if (m > 0)
        n += (size_t)m < size - n ? (size_t)m : size - n - 1;
    text[n] = '\0';
    printable_clean(text + line->body);
    n = line->body + strlen(text + line->body);
    text[n++] = '\n';
    text[n] = '\0';
    line->n = n;
}

/* --- where it goes --- */

static bool
goes_to_stderr(void)
{
    return state.stderr_too || (!state.syslog && !state.has_file);
}

bool
log_syslog_is_absent(void)
{
    return state.syslog && state.syslog_absent;
}

bool
log_reaches_stderr(void)
{
    return goes_to_stderr() || log_syslog_is_absent();
}

/*
 * Whether standard error is the journal's: JOURNAL_STREAM names its device and inode then
 * (systemd.exec(5)). The environment stays what it is, so it is looked at once.
 */
static bool
is_journal(void)
{
    static _Atomic int known; /* 1: it is, -1: it is not */
    if (known == 0) {
        const char *stream = getenv("JOURNAL_STREAM");
        struct stat st;
        char ours[64] = "";
        if (stream != NULL && fstat(STDERR_FILENO, &st) == 0)
            snprintf(ours, sizeof(ours), "%llu:%llu", (unsigned long long)st.st_dev,
                     (unsigned long long)st.st_ino);
        known = stream != NULL && strcmp(stream, ours) == 0 ? 1 : -1;
    }
    return known == 1;
}

/* How to write to standard error: found out by the first line, which comes before any thread. */
static struct log_sink
stderr_sink(void)
{
    static struct log_sink sink;
    static _Atomic bool known;
    if (!known) {
        sink = log_sink_from(STDERR_FILENO);
        known = true;
    }
    return sink;
}

static int
put(struct log_sink sink, struct line *line, bool torn, size_t *done)
{
    return log_sink_write(sink, text_of(line) - torn, line->n + torn, done);
}

static int
put_file(struct line *line, bool torn, size_t *done)
{
    return put((struct log_sink){.kind = LOG_SINK_PLAIN, .fd = state.fd}, line, torn, done);
}

/*
 * The journal has a time of its own, and takes the priority from the line's beginning
 * (sd-daemon(3)): it is written over the end of the time.
 */
static int
put_stderr(struct line *line, bool torn, size_t *done)
{
    if (!is_journal())
        return put(stderr_sink(), line, torn, done);
    size_t skip = line->time - 2; /* the blank after it becomes the '>' */
    char *start = text_of(line) + skip;
    start[0] = '<';
    start[1] = (char)('0' + level_priorities[line->level]);
    start[2] = '>';
    return log_sink_write(stderr_sink(), start, line->n - skip, done);
}

static bool tell_absence(int why);

/* Where there is no daemon, the line would be nowhere: then it goes to standard error. */
static int
put_syslog(struct line *line, bool torn, size_t *done)
{
    int priority = state.facility | level_priorities[line->level];
    char *end = text_of(line) + line->n - 1;
    *end = '\0';
    int why = log_syslog_send(LOG_SYSLOG_PATH, priority, state.process, text_of(line) + line->body);
    *end = '\n';
    *done = 0;
    if (!log_syslog_means_absent(why)) {
        state.syslog_absent = state.syslog_absent && why != 0;
        return why;
    }
    /* Once; by the first thread that comes, and again if nobody took it. */
    if (!atomic_exchange(&state.syslog_absent, true) && !tell_absence(why))
        state.syslog_absent = false;
    return state.stderr_too ? why : put_stderr(line, torn, done);
}

/* A place where lines go, and what it did not take. */
struct place {
    int (*put)(struct line *line, bool torn, size_t *done); /* Returns: as log_sink_write */
    _Atomic uint64_t dropped;
    _Atomic int why;   /* the last one was */
    _Atomic bool torn; /* it has taken the beginning of a line */
};

static struct place to_file = {.put = put_file}, to_stderr = {.put = put_stderr},
                    to_syslog = {.put = put_syslog};

static int
put_at(struct place *place, struct line *line)
{
    size_t done;
    int why = place->put(line, place->torn, &done);
    if (why == 0)
        place->torn = false;
    else if (done > 0)
        place->torn = true;
    return why;
}

static int PRINTF_LIKE(2, 3) put_notice(struct place *place, const char *format, ...)
{
    struct line line;
    va_list args;
    va_start(args, format);
    format_line(&line, LOG_LEVEL_WARNING, format, args);
    va_end(args);
    return put_at(place, &line);
}

static bool
tell_absence(int why)
{
    return put_notice(&to_stderr,
                      "syslog cannot be reached (" LOG_SYSLOG_PATH ": %s): until it can, lines go "
                      "to standard error",
                      strerror(why)) == 0;
}

static void
deliver(struct place *place, struct line *line)
{
    uint64_t dropped = atomic_exchange(&place->dropped, 0);
    int why = 0;
    if (dropped > 0)
        why = put_notice(place, "%llu log lines before this one were dropped here: %s",
                         (unsigned long long)dropped,
                         place->why == EAGAIN ? "nobody took them" : strerror(place->why));
    if (why == 0) {
        dropped = 0;
        why = put_at(place, line);
    }
    if (why == 0)
        return;
    place->why = why;
    atomic_fetch_add(&place->dropped, dropped + 1);
}

void
log_line(enum log_level level, const char *format, ...)
{
    if (!log_wants(level))
        return;
    int saved = errno;
    struct line line;
    va_list args;
    va_start(args, format);
    format_line(&line, level, format, args);
    va_end(args);
    if (state.syslog)
        deliver(&to_syslog, &line);
    else if (state.has_file)
        deliver(&to_file, &line);
    if (goes_to_stderr())
        deliver(&to_stderr, &line);
    errno = saved;
}

void
log_say(const char *format, ...)
{
    char text[LINE_BYTES];
    size_t done;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text) - 1, format, args);
    va_end(args);
    if (n < 0)
        return;
    n = (size_t)n < sizeof(text) - 1 ? n : (int)sizeof(text) - 2;
    text[n] = '\n';
    (void)!log_sink_write(stderr_sink(), text, (size_t)n + 1, &done);
}

bool
log_limit_pass(struct log_limit *limit, int64_t now_ms, uint64_t *held_back)
{
    if (limit->in_window == 0 || now_ms - limit->window_start_ms >= limit->interval_ms) {
        limit->window_start_ms = now_ms;
        limit->in_window = 0;
    }
    if (limit->in_window >= limit->burst) {
        limit->held_back++;
        return false;
    }
    limit->in_window++;
    *held_back = limit->held_back;
    limit->held_back = 0;
    return true;
}
