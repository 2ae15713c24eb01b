/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main_admin.c - see main_admin.h. Part of the wiring, like main.c: it knows admin/ and the stores'
 * names.
 */
#include "main/main_admin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "admin/admin.h"
#include "lib/num.h"
#include "lib/program.h"
#include "master/title.h"
#include "store/store.h"

static const char argument[] = "--admin-child";

enum { HANDED_BYTES = 64 << 20 };

/* --- what it needs --- */

/* Texts that end with a NUL each, in this order. */
enum field {
    FIELD_BIND,
    FIELD_ALLOWED_HOSTS,
    FIELD_PORT,
    FIELD_STALL_MS,
    FIELD_SEGMENT,
    FIELD_METRICS_TOPIC,
    FIELD_METRICS_STORE,
    FIELD_ALARMS_TOPIC,
    FIELD_ALARMS_STORE,
    FIELD_LOG_FILE,
    FIELD_LOG_SYSLOG,
    FIELD_LOG_FACILITY,
    FIELD_LOG_SYSLOG_ABSENT,
    FIELD_LOG_STDERR,
    FIELD_LOG_LEVEL,
    FIELD_CONFIGURATION,
    FIELDS
};

struct handed {
    struct buf buf;
    const char *fields[FIELDS];
};

/* No progress is no progress only if it is longer than a batch may be collected. */
static int64_t
stall_ms(const struct config *cfg)
{
    int64_t ms = ADMIN_STALL_MS;
    for (enum topic_kind kind = 0; kind < TOPIC_EVENTS; kind++)
        if (cfg->topic[kind].enabled && cfg->topic[kind].max_wait_time_seconds * 3000 > ms)
            ms = cfg->topic[kind].max_wait_time_seconds * 3000;
    return ms;
}

static void
add_text(struct buf *out, const char *text)
{
    buf_add(out, text != NULL ? text : "", text != NULL ? strlen(text) : 0);
    buf_add_char(out, '\0');
}

static void
add_number(struct buf *out, int64_t number)
{
    buf_printf(out, "%lld", (long long)number);
    buf_add_char(out, '\0');
}

static void
add_topic(struct buf *out, const struct config *cfg, enum topic_kind kind)
{
    const struct store_ops *ops = store_find(cfg_topic_driver(cfg, kind));
    add_text(out, cfg->topic[kind].enabled ? cfg->topic[kind].topic : "");
    add_text(out, ops != NULL ? ops->name : "");
}

/* As text, secrets masked. */
static void
add_configuration(struct buf *out, const struct config *cfg)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (f == NULL) {
        out->failed = true;
        return;
    }
    cfg_dump(cfg, f);
    if (fclose(f) == 0)
        add_text(out, text);
    else
        out->failed = true;
    free(text);
}

static void
add_all(struct buf *out, const struct config *cfg, const struct log_options *log,
        const char *segment)
{
    add_text(out, cfg->admin.bind);
    add_text(out, cfg->admin.allowed_hosts);
    add_number(out, cfg->admin.port);
    add_number(out, stall_ms(cfg));
    add_text(out, segment);
    add_topic(out, cfg, TOPIC_METRICS);
    add_topic(out, cfg, TOPIC_ALARM_HISTORY);
    add_text(out, log->file);
    add_number(out, log->syslog);
    add_text(out, log->facility);
    add_number(out, log->syslog_absent);
    add_number(out, log->stderr_too);
    add_number(out, log->level);
    add_configuration(out, cfg);
}

/* Returns: 0, or -1 if it is not what add_all has made. */
static int
find_fields(struct handed *h)
{
    const char *p = h->buf.data, *end = p + h->buf.size;
    for (size_t i = 0; i < FIELDS; i++) {
        const char *nul = p < end ? memchr(p, '\0', (size_t)(end - p)) : NULL;
        if (nul == NULL)
            return -1;
        h->fields[i] = p;
        p = nul + 1;
    }
    return p == end ? 0 : -1;
}

static int64_t
number_of(const struct handed *h, enum field field)
{
    int64_t number = 0;
    return num_parse_int(h->fields[field], 0, INT64_MAX, &number) == 0 ? number : 0;
}

static struct log_options
log_of(const struct handed *h)
{
    return (struct log_options){.file = h->fields[FIELD_LOG_FILE],
                                .syslog = number_of(h, FIELD_LOG_SYSLOG) != 0,
                                .facility = h->fields[FIELD_LOG_FACILITY],
                                .syslog_absent = number_of(h, FIELD_LOG_SYSLOG_ABSENT) != 0,
                                .stderr_too = number_of(h, FIELD_LOG_STDERR) != 0,
                                .level = (enum log_level)number_of(h, FIELD_LOG_LEVEL)};
}

static int
serve(const struct handed *h)
{
    struct admin_options options = {.bind = h->fields[FIELD_BIND],
                                    .allowed_hosts = h->fields[FIELD_ALLOWED_HOSTS],
                                    .port = (unsigned)number_of(h, FIELD_PORT),
                                    .stall_ms = number_of(h, FIELD_STALL_MS),
                                    .segment = h->fields[FIELD_SEGMENT],
                                    .config_text = h->fields[FIELD_CONFIGURATION],
                                    .report_fd = -1};
    options.names.kinds[VIEW_METRICS].topic = h->fields[FIELD_METRICS_TOPIC];
    options.names.kinds[VIEW_METRICS].store = h->fields[FIELD_METRICS_STORE];
    options.names.kinds[VIEW_ALARMS].topic = h->fields[FIELD_ALARMS_TOPIC];
    options.names.kinds[VIEW_ALARMS].store = h->fields[FIELD_ALARMS_STORE];
    return admin_run(&options);
}

/* --- the fork --- */

/* Returns: an anonymous file that outlives exec, or -1. */
static int
hand_over(const struct buf *buf)
{
    int fd = memfd_create("admin", 0);
    size_t done = 0;
    while (fd != -1 && done < buf->size) {
        ssize_t n = pwrite(fd, buf->data + done, buf->size - done, (off_t)done);
        if (n > 0) {
            done += (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            close(fd);
            return -1;
        }
    }
    return fd;
}

/* Returns only if that is not possible. */
static void
run_again(const struct buf *buf)
{
    char name[] = "monasca-persister: admin", number[16];
    char *const arguments[] = {name, (char *)(uintptr_t)argument, number, NULL};
    int fd = hand_over(buf);
    if (fd == -1)
        return;
    snprintf(number, sizeof(number), "%d", fd);
    execv("/proc/self/exe", arguments);
    int why = errno;
    close(fd);
    errno = why;
}

int
main_admin_run(struct config *cfg, const struct log_options *log, struct segment *segment)
{
    struct handed h;
    buf_init(&h.buf, HANDED_BYTES);
    add_all(&h.buf, cfg, log, segment->path);
    segment_close(segment);
    if (h.buf.failed || find_fields(&h) == -1) {
        log_error("admin port: out of memory");
        return ADMIN_EXIT_SICK;
    }
    run_again(&h.buf);
    log_warning("admin port: the program cannot be run once more (%s): its process keeps what the "
                "master's memory held",
                strerror(errno));
    cfg_forget_secrets(cfg);
    return serve(&h);
}

/* --- the program that it becomes --- */

bool
main_admin_is_meant(int argc, char **argv)
{
    return argc == 3 && strcmp(argv[1], argument) == 0;
}

static int
read_handed(const char *number, struct handed *h)
{
    int64_t fd;
    char chunk[4096];
    ssize_t n;
    off_t at = 0;
    buf_init(&h->buf, HANDED_BYTES);
    if (num_parse_int(number, 3, INT32_MAX, &fd) == -1)
        return -1;
    while ((n = pread((int)fd, chunk, sizeof(chunk), at)) > 0) {
        buf_add(&h->buf, chunk, (size_t)n);
        at += n;
    }
    close((int)fd);
    return n == 0 && !h->buf.failed ? find_fields(h) : -1;
}

int
main_admin_serve(int argc, char **argv)
{
    struct handed h;
    struct errbuf err;
    program_allow_dumps(false);
    log_set_process("admin");
    if (read_handed(argv[2], &h) == -1) {
        log_error("%s is not an option; the program starts itself with it", argument);
        return ADMIN_EXIT_SICK;
    }
    title_init(argc, argv);
    title_set("admin");
    struct log_options log = log_of(&h);
    int result = log_open(&log, &err) == 0 ? serve(&h) : ADMIN_EXIT_SICK;
    if (result == ADMIN_EXIT_SICK && !log_reaches_stderr())
        log_say("admin port: it cannot be served; see the log");
    buf_free(&h.buf);
    return result;
}
