/* SPDX-License-Identifier: Apache-2.0 */
/* pg_dial.c - see pg_dial.h. */
#include "store/pg/pg_dial.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/clock.h"
#include "lib/log.h"

enum {
    CONNECT_MS = 10000,
    MAX_ANSWER_BYTES = 1 << 20 /* a few hundred are usual; libpq would keep any number */
};

/* One attempt; all that the thread beside has to do with. */
struct dial {
    char *conninfo;
    const struct store_hooks *hooks; /* it waits by */
    PGconn *pg;
    enum pg_outcome outcome;
    struct errbuf why;
    struct errbuf said; /* a warning of the server's, say of a collation's version */
};

static void
free_dial(void *arg)
{
    struct dial *dial = arg;
    if (dial->pg != NULL)
        PQfinish(dial->pg);
    free(dial->conninfo);
    free(dial);
}

static struct dial *
dial_new(const char *conninfo)
{
    struct dial *dial = calloc(1, sizeof(*dial));
    if (dial == NULL)
        return NULL;
    dial->outcome = PG_WORLD;
    dial->conninfo = strdup(conninfo);
    if (dial->conninfo != NULL)
        return dial;
    free(dial);
    return NULL;
}

/* libpq itself would print it on standard error, unescaped, and wait for whoever reads that. */
static void
keep_first_warning(void *arg, const PGresult *result)
{
    struct dial *dial = arg;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *message = PQresultErrorMessage(result);
    if (dial->said.text[0] == '\0' && severity != NULL && strcmp(severity, "WARNING") == 0)
        errbuf_set(&dial->said, "%.*s", (int)strcspn(message, "\n"), message);
}

static void
lose(struct dial *dial, const char *why)
{
    errbuf_set(&dial->why, "%.*s", (int)strcspn(why, "\n"), why);
    PQfinish(dial->pg);
    dial->pg = NULL;
}

static void
lose_by_word_of_libpq(struct dial *dial)
{
    const char *message = PQerrorMessage(dial->pg);
    lose(dial, message[0] != '\0' ? message : "the connection was lost");
}

int64_t
pg_dial_readable(const PGconn *pg)
{
    int n = 0;
    return ioctl(PQsocket(pg), FIONREAD, &n) == 0 ? n : 0;
}

/* Goes on until it is connected, or lost. */
static void
connect_until(struct dial *dial, int64_t deadline_ms)
{
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    int64_t read_bytes = 0;
    while (dial->pg != NULL && next != PGRES_POLLING_OK) {
        struct pollfd fd = {.fd = PQsocket(dial->pg),
                            .events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT};
        if (!dial->hooks->wait(dial->hooks->arg, &fd, 1, deadline_ms)) {
            dial->outcome = PG_STOPPED;
            lose(dial, "stopped while connecting");
            return;
        }
        if (fd.revents != 0) {
            read_bytes += pg_dial_readable(dial->pg);
            next = PQconnectPoll(dial->pg);
        }
        if (next == PGRES_POLLING_FAILED)
            lose_by_word_of_libpq(dial);
        else if (read_bytes > MAX_ANSWER_BYTES)
            lose(dial, "the answer is too large");
        else if (next != PGRES_POLLING_OK && clock_mono_ms() >= deadline_ms)
            lose(dial, "no answer in time");
    }
    if (dial->pg != NULL)
        dial->outcome = PG_OK;
}

/* On the thread beside, or here. */
static void
run_dial(void *arg)
{
    /* What conninfo says itself comes later in the list and wins. */
    static const char *const names[] = {"connect_timeout", "tcp_user_timeout", "application_name",
                                        "dbname", NULL};
    struct dial *dial = arg;
    const char *const values[] = {"10", "20000", "monasca-persister", dial->conninfo, NULL};
    int64_t deadline_ms = clock_mono_ms() + CONNECT_MS;
    dial->pg = PQconnectStartParams(names, values, 1);
    if (dial->pg == NULL) {
        errbuf_set(&dial->why, "out of memory");
        return;
    }
    PQsetNoticeReceiver(dial->pg, keep_first_warning, dial);
    if (PQstatus(dial->pg) == CONNECTION_BAD)
        lose_by_word_of_libpq(dial);
    else
        connect_until(dial, deadline_ms);
}

static bool
go_on(void *arg)
{
    (void)arg;
    return true;
}

static void
log_what_it_said(const struct dial *dial)
{
    static struct log_limit limit = {.burst = 10, .interval_ms = 60000}; /* of this process */
    uint64_t held_back;
    if (dial->said.text[0] != '\0' && log_limit_pass(&limit, clock_mono_ms(), &held_back))
        log_notice("PostgreSQL says: %s", dial->said.text);
}

enum pg_outcome
pg_dial(const char *conninfo, const struct store_hooks *hooks, PGconn **pg, struct errbuf *why)
{
    static struct store_look nothing_to_look_for = {.look = go_on};
    static const struct store_hooks on_thread = {.wait = store_wait_and_look,
                                                 .arg = &nothing_to_look_for};
    struct dial *dial = dial_new(conninfo);
    *pg = NULL;
    if (dial == NULL) {
        errbuf_set(why, "out of memory");
        return PG_WORLD;
    }
    dial->hooks = hooks->offload != NULL ? &on_thread : hooks;
    if (hooks->offload == NULL) {
        run_dial(dial);
    } else if (!hooks->offload(hooks->arg, run_dial, free_dial, dial)) {
        errbuf_set(why, "stopped while connecting");
        return PG_STOPPED;
    }
    enum pg_outcome outcome = dial->outcome;
    *why = dial->why;
    *pg = dial->pg;
    dial->pg = NULL;
    if (outcome == PG_OK)
        log_what_it_said(dial);
    free_dial(dial);
    return outcome;
}
