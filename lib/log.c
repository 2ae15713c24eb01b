/*
 * log.c - see log.h.
 *
 * A line is formatted on the stack and written with one write(2): appending to a file opened with
 * O_APPEND keeps lines of several processes apart, and no lock can be left behind by a killed one.
 *
 * Process: all.  Owner: this module holds the descriptor.  Concurrency: log_open, log_reopen and
 * log_set_process from the main thread only; log_line from any.
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
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"

static struct {
    char file[4096]; /* "": stderr, or syslog */
    int fd;          /* once it is not stderr's, it stays the same number */
    bool syslog, stderr_too;
    int facility;
    enum log_level level;
    char process[64];
} state = {.fd = STDERR_FILENO, .level = LOG_LEVEL_NOTICE, .process = "monasca-persister"};

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
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
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

/* In one step wherever a thread of librdkafka may be about to write. */
static int
use_file(int fd)
{
    if (state.fd == STDERR_FILENO) {
        state.fd = fd;
        return 0;
    }
    int done = dup3(fd, state.fd, O_CLOEXEC);
    if (fd != STDERR_FILENO)
        close(fd);
    return done == -1 ? -1 : 0;
}

static int
apply(const struct choice *choice, struct errbuf *err)
{
    int fd = choice->file[0] != '\0' ? open_file(choice->file) : STDERR_FILENO;
    bool elsewhere = choice->syslog || fd != STDERR_FILENO;
    if (fd == -1 || use_file(fd) == -1)
        return errbuf_set(err, "log file %s: %s", choice->file, strerror(errno));
    if (state.syslog && (!choice->syslog || choice->facility != state.facility))
        closelog();
    if (choice->syslog)
        openlog("monasca-persister", LOG_PID | LOG_NDELAY, choice->facility);
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

static size_t
format_stamp(char *out, size_t size)
{
    int64_t now = clock_wall_ms();
    time_t seconds = (time_t)(now / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    size_t n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &utc);
    return n + (size_t)snprintf(out + n, size - n, ".%03dZ", (int)(now % 1000));
}

static void
write_all(int fd, const char *line, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, line, n);
        if (done == -1 && errno == EINTR)
            continue;
        if (done <= 0)
            return; /* a full disk must not stop the pipeline; the log is not its product */
        line += done;
        n -= (size_t)done;
    }
}

bool
log_reaches_stderr(void)
{
    return state.stderr_too || (!state.syslog && state.fd == STDERR_FILENO);
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

/*
 * The journal has a time of its own, and takes the priority from the line's beginning
 * (sd-daemon(3)). Takes: the line, with its newline, and where its time ends.
 */
static void
write_stderr(enum log_level level, char *line, size_t n, size_t time)
{
    char *start = line;
    if (is_journal()) {
        start = line + time - 2; /* the blank after it becomes the '>' */
        start[0] = '<';
        start[1] = (char)('0' + level_priorities[level]);
        start[2] = '>';
    }
    write_all(STDERR_FILENO, start, n - (size_t)(start - line));
}

void
log_line(enum log_level level, const char *format, ...)
{
    if (!log_wants(level))
        return;
    int saved = errno;
    char line[2048];
    size_t time = format_stamp(line, sizeof(line)), n = time;
    n += (size_t)snprintf(line + n, sizeof(line) - n, " %s[%ld] %s: ", state.process,
                          (long)getpid(), level_names[level]);
    size_t text = n;
    va_list args;
    va_start(args, format);
    int m = vsnprintf(line + n, sizeof(line) - n - 1, format, args);
    va_end(args);
    if (m > 0)
        n += (size_t)m < sizeof(line) - n - 1 ? (size_t)m : sizeof(line) - n - 2;
    for (size_t i = text; i < n; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[n] = '\0';
    if (state.syslog)
        syslog(level_priorities[level], "%s: %s", state.process, line + text);
    line[n++] = '\n';
    if (!state.syslog && state.fd != STDERR_FILENO)
        write_all(state.fd, line, n);
    if (log_reaches_stderr())
        write_stderr(level, line, n, time);
    errno = saved;
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
