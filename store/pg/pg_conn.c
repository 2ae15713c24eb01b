/* SPDX-License-Identifier: Apache-2.0 */
/* pg_conn.c - see pg_conn.h. */
#include "store/pg/pg_conn.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "lib/fiber.h"
#include "lib/host.h"
#include "lib/log.h"
#include "store/pg/pg_dial.h"

enum {
    STATEMENT_MS = 60000,
    PROBE_AFTER_MS = 1000,
    /* The largest answer asked for is a thousand ids; libpq's memory for one is a few times it. */
    MAX_ANSWER_BYTES = 8 << 20,
    READ_BYTES = 8192 /* libpq has room for so many at least, whenever it reads */
};

void
pg_error_set(struct pg_error *error, const char *sqlstate, const char *message)
{
    size_t n = strcspn(message, "\n");
    error->copy_line = 0;
    snprintf(error->sqlstate, sizeof(error->sqlstate), "%s", sqlstate);
    snprintf(error->message, sizeof(error->message), "%.*s", (int)n, message);
}

void
pg_conn_explain(const struct pg_error *error, const char *doing, struct errbuf *err)
{
    if (error->sqlstate[0] != '\0')
        errbuf_set(err, "PostgreSQL: %s: %s (%s)", doing, error->message, error->sqlstate);
    else
        errbuf_set(err, "PostgreSQL: %s: %s", doing, error->message);
}

void
pg_conn_close(struct pg_conn *conn)
{
    if (conn->pg != NULL)
        PQfinish(conn->pg);
    conn->pg = NULL;
}

static enum pg_outcome
lose(struct pg_conn *conn, struct pg_error *error)
{
    if (error != NULL)
        pg_error_set(error, "",
                  conn->pg != NULL && PQerrorMessage(conn->pg)[0] != '\0'
                      ? PQerrorMessage(conn->pg)
                      : "the connection was lost");
    pg_conn_close(conn);
    return PG_WORLD;
}

static enum pg_outcome
time_out(struct pg_conn *conn, struct pg_error *error)
{
    pg_error_set(error, "", "no answer in time");
    pg_conn_close(conn);
    return PG_WORLD;
}

/* Waits for the socket: PG_OK (look again), PG_STOPPED or PG_WORLD. */
static enum pg_outcome
wait_socket(struct pg_conn *conn, short events, int64_t deadline_ms, struct pg_error *error)
{
    struct pollfd fd = {.fd = PQsocket(conn->pg), .events = events};
    if (fd.fd == -1)
        return lose(conn, error);
    if (!conn->hooks->wait(conn->hooks->arg, &fd, 1, deadline_ms)) {
        pg_error_set(error, "", "stopped while waiting");
        pg_conn_close(conn);
        return PG_STOPPED;
    }
    return clock_mono_ms() >= deadline_ms ? time_out(conn, error) : PG_OK;
}

/*
 * After libpq has read: it would keep any number of rows.  What it took is counted, rather too low
 * than too high, since more may have come while it read.
 * Takes: before, what could be read before.
 */
static enum pg_outcome
count_read(struct pg_conn *conn, int64_t before, struct pg_error *error)
{
    int64_t least = before < READ_BYTES ? before : READ_BYTES;
    int64_t taken = before - pg_dial_readable(conn->pg);
    conn->answer_bytes += taken > least ? taken : least;
    if (conn->answer_bytes <= MAX_ANSWER_BYTES)
        return PG_OK;
    pg_error_set(error, "", "the answer is too large");
    pg_conn_close(conn);
    return PG_WORLD;
}

static enum pg_outcome
read_input(struct pg_conn *conn, struct pg_error *error)
{
    int64_t before = pg_dial_readable(conn->pg);
    return PQconsumeInput(conn->pg) ? count_read(conn, before, error) : lose(conn, error);
}

/* --- connecting --- */

/* Of each row a trigger may say something: libpq does not keep it, so it is not counted. */
static void
forget_notice(struct pg_conn *conn, const PGresult *result)
{
    char *text = PQresultVerboseErrorMessage(result, PQERRORS_VERBOSE, PQSHOW_CONTEXT_ALWAYS);
    conn->answer_bytes -= text != NULL ? (int64_t)strlen(text) : 0;
    if (conn->answer_bytes < 0)
        conn->answer_bytes = 0;
    PQfreemem(text);
}

/*
 * What the server says beside its answers: of a trigger's RAISE WARNING, a collation's version.
 * libpq itself would print it on standard error, unescaped, and wait for whoever reads that.
 */
static void
log_warning_of_server(void *arg, const PGresult *result)
{
    static struct log_limit limit = {.burst = 10, .interval_ms = 60000}; /* of this process */
    struct pg_conn *conn = arg;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    uint64_t held_back;
    const char *message = PQresultErrorMessage(result);
    forget_notice(conn, result);
    if (severity != NULL && strcmp(severity, "WARNING") != 0) /* client_min_messages was lost */
        return;
    if (!log_limit_pass(&limit, clock_mono_ms(), &held_back))
        return;
    if (held_back > 0)
        log_notice("PostgreSQL said %llu more things since", (unsigned long long)held_back);
    log_notice("PostgreSQL says: %.*s", (int)strcspn(message, "\n"), message);
}

static void
on_notice(void *arg, const PGresult *result)
{
    fiber_forbid();
    log_warning_of_server(arg, result);
    fiber_allow();
}

static enum pg_outcome
connect_server(struct pg_conn *conn, struct pg_error *error)
{
    struct errbuf why;
    conn->answer_bytes = 0;
    enum pg_outcome outcome = pg_dial(conn->conninfo, conn->hooks, &conn->pg, &why);
    if (outcome != PG_OK) {
        pg_error_set(error, "", why.text);
        return outcome;
    }
    PQsetNoticeReceiver(conn->pg, on_notice, conn);
    conn->opened++;
    return PQsetnonblocking(conn->pg, 1) == 0 ? PG_OK : lose(conn, error);
}

/*
 * A stopped owner must not hold the others up for long; a commit that is confirmed must be on disk;
 * a row that is refused must not end the session; who waited for a lock sees what its holder wrote.
 * default_transaction_read_only is the operator's way to say that nothing is to be written now.
 * Behind a pooler a setting may be lost: what rows are read by does not depend on one.
 */
static const char settings[] = "SET client_encoding TO 'UTF8';"
                               "SET idle_in_transaction_session_timeout TO '15s';"
                               "SET lock_timeout TO '10s';"
                               "SET statement_timeout TO '60s';"
                               "SET standard_conforming_strings TO on;"
                               "SET exit_on_error TO off;"
                               "SET default_transaction_isolation TO 'read committed';"
                               "SET client_min_messages TO warning;"
                               "SELECT set_config('synchronous_commit', 'on', false) "
                               "WHERE current_setting('synchronous_commit') = 'off'";

/* Is what it is connected to this machine? */
static bool
is_local(const struct pg_conn *conn)
{
    struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof(peer);
    if (getpeername(PQsocket(conn->pg), (struct sockaddr *)&peer, &size) == -1)
        return false;
    if (peer.ss_family == AF_INET)
        return ntohl(((struct sockaddr_in *)&peer)->sin_addr.s_addr) >> 24 == 127;
    if (peer.ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&peer)->sin6_addr);
    return peer.ss_family == AF_UNIX;
}

/* By libpq's default (sslmode=prefer) a server that does not speak TLS is taken as it is. */
static void
warn_if_plain(struct pg_conn *conn)
{
    if (conn->warned || PQsslInUse(conn->pg) || PQgssEncInUse(conn->pg) ||
        !PQconnectionUsedPassword(conn->pg) || is_local(conn))
        return;
    conn->warned = true;
    log_warning("the connection to PostgreSQL at %s is not encrypted: what is written can be read "
                "on its way, and the password as well if the server asks for it in clear; "
                "sslmode=verify-full in conninfo prevents both",
                PQhost(conn->pg) != NULL ? PQhost(conn->pg) : "");
}

/*
 * Is a connection still there that nothing was asked of for a while?
 * Returns: PG_OK, or PG_WORLD or PG_STOPPED and it is closed.
 */
static enum pg_outcome
probe(struct pg_conn *conn)
{
    struct pg_error error;
    struct pollfd fd = {.fd = PQsocket(conn->pg), .events = POLLIN};
    /* A farewell, and the end behind it. */
    for (int i = 0; i < 3 && poll(&fd, 1, 0) > 0; i++)
        if (!PQconsumeInput(conn->pg))
            return lose(conn, NULL);
    if (clock_mono_ms() - conn->answered_ms < PROBE_AFTER_MS)
        return PG_OK;
    enum pg_outcome outcome = pg_conn_run(conn, "SELECT 1", 0, NULL, NULL, &error);
    if (outcome != PG_OK)
        pg_conn_close(conn);
    return outcome == PG_OK || outcome == PG_STOPPED ? outcome : PG_WORLD;
}

enum pg_outcome
pg_conn_open(struct pg_conn *conn, struct errbuf *err)
{
    struct pg_error error = {.message = ""};
    enum pg_outcome result = PG_WORLD;
    if (conn->pg != NULL && PQstatus(conn->pg) == CONNECTION_OK)
        result = probe(conn);
    if (result != PG_WORLD)
        return result;
    pg_conn_close(conn);
    result = connect_server(conn, &error);
    if (result == PG_OK) {
        warn_if_plain(conn);
        result = pg_conn_run(conn, settings, 0, NULL, NULL, &error);
        if (result != PG_OK)
            pg_conn_close(conn);
    }
    if (result != PG_OK)
        pg_conn_explain(&error, "cannot connect", err);
    return result == PG_OK || result == PG_STOPPED ? result : PG_WORLD;
}

/* Returns: what is wrong with one of a list's hosts, or NULL. A path is a socket's directory. */
static const char *
find_host_fault(const char *list)
{
    for (;;) {
        char host[300];
        size_t n = strcspn(list, ",");
        snprintf(host, sizeof(host), "%.*s", (int)n, list);
        bool is_socket = host[0] == '/' || host[0] == '@' || host[0] == '\0';
        const char *fault = is_socket ? NULL : host_find_fault(host);
        if (fault != NULL || list[n] == '\0')
            return fault;
        list += n + 1;
    }
}

/* What libpq would look up in vain for ever. A host is no secret, but what stands in its place may be
 * one, so it is not quoted. */
static int
check_hosts(const PQconninfoOption *options, struct errbuf *err)
{
    for (const PQconninfoOption *o = options; o->keyword != NULL; o++) {
        if (strcmp(o->keyword, "host") != 0 || o->val == NULL)
            continue;
        const char *fault = find_host_fault(o->val);
        if (fault != NULL)
            return errbuf_set(err,
                              "host %s; allowed: an address, a name or a socket's directory; port is "
                              "a parameter of its own",
                              fault);
    }
    return 0;
}

int
pg_conninfo_check(const char *conninfo, struct errbuf *err)
{
    char *text = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &text);
    if (options == NULL) {
        /* libpq may quote the string, which may hold a password: only say that it is wrong. */
        errbuf_set(err, "libpq cannot read it; allowed: 'host=... dbname=...' or postgresql://...");
        PQfreemem(text);
        return -1;
    }
    int result = check_hosts(options, err);
    PQconninfoFree(options);
    return result;
}

/* --- statements --- */

static enum pg_outcome
take_failure(const PGresult *result, struct pg_error *error)
{
    struct pg_fault fault = {.sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE),
                             .table = PQresultErrorField(result, PG_DIAG_TABLE_NAME),
                             .column = PQresultErrorField(result, PG_DIAG_COLUMN_NAME),
                             .constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME),
                             .context = PQresultErrorField(result, PG_DIAG_CONTEXT),
                             .file = PQresultErrorField(result, PG_DIAG_SOURCE_FILE)};
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    pg_error_set(error, fault.sqlstate != NULL ? fault.sqlstate : "",
              message != NULL ? message : PQresultErrorMessage(result));
    error->copy_line = pg_fault_find_line(&fault);
    return pg_fault_classify(&fault);
}

static enum pg_outcome
flush_output(struct pg_conn *conn, int64_t deadline_ms, struct pg_error *error)
{
    int left;
    while ((left = PQflush(conn->pg)) == 1) {
        enum pg_outcome result = wait_socket(conn, POLLIN | POLLOUT, deadline_ms, error);
        if (result == PG_OK)
            result = read_input(conn, error);
        if (result != PG_OK)
            return result;
    }
    return left == 0 ? PG_OK : lose(conn, error);
}

/* Waits until PQgetResult would not block. */
static enum pg_outcome
wait_answer(struct pg_conn *conn, int64_t deadline_ms, struct pg_error *error)
{
    while (PQisBusy(conn->pg)) {
        enum pg_outcome result = wait_socket(conn, POLLIN, deadline_ms, error);
        if (result == PG_OK)
            result = read_input(conn, error);
        if (result != PG_OK)
            return result;
    }
    return PG_OK;
}

/* Collects all results; the last good one goes to *last, the first failure decides. */
static enum pg_outcome
collect(struct pg_conn *conn, int64_t deadline_ms, PGresult **last, struct pg_error *error)
{
    enum pg_outcome outcome = PG_OK;
    for (;;) {
        enum pg_outcome result = wait_answer(conn, deadline_ms, error);
        if (result != PG_OK)
            return result;
        PGresult *one = PQgetResult(conn->pg);
        if (one == NULL)
            break;
        ExecStatusType status = PQresultStatus(one);
        if (status == PGRES_COPY_IN) {
            PQclear(one);
            return PG_OK;
        }
        if (status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) { /* there would be no end */
            PQclear(one);
            pg_error_set(error, "", "an answer that nobody asked for");
            pg_conn_close(conn);
            return PG_WORLD;
        }
        bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
        if (!good && outcome == PG_OK)
            outcome = take_failure(one, error);
        if (good && last != NULL) {
            PQclear(*last);
            *last = one;
        } else {
            PQclear(one);
        }
    }
    if (PQstatus(conn->pg) != CONNECTION_OK)
        return lose(conn, outcome == PG_OK ? error : NULL);
    return outcome;
}

static enum pg_outcome
finish_statement(struct pg_conn *conn, PGresult **result, struct pg_error *error)
{
    PGresult *last = NULL;
    int64_t deadline = clock_mono_ms() + STATEMENT_MS;
    enum pg_outcome outcome = flush_output(conn, deadline, error);
    if (outcome == PG_OK)
        outcome = collect(conn, deadline, &last, error);
    conn->answered_ms = clock_mono_ms();
    conn->answer_bytes = 0;
    if (outcome == PG_OK && result != NULL) {
        *result = last;
        return PG_OK;
    }
    PQclear(last);
    if (outcome == PG_WORLD)
        pg_conn_close(conn); /* also for errors of the server: a failover wants a new connection */
    return outcome;
}

enum pg_outcome
pg_conn_run(struct pg_conn *conn, const char *sql, int n, const char *const *values,
            PGresult **result, struct pg_error *error)
{
    if (result != NULL)
        *result = NULL;
    int sent = n == 0 ? PQsendQuery(conn->pg, sql)
                      : PQsendQueryParams(conn->pg, sql, n, NULL, values, NULL, NULL, 0);
    return sent ? finish_statement(conn, result, error) : lose(conn, error);
}

const char *
pg_conn_value(const PGresult *result, int row, int column)
{
    const char *value = NULL;
    if (row < PQntuples(result) && column < PQnfields(result))
        value = PQgetvalue(result, row, column);
    return value != NULL ? value : "";
}

enum pg_outcome
pg_conn_copy_begin(struct pg_conn *conn, const char *sql, struct pg_error *error)
{
    enum pg_outcome outcome = pg_conn_run(conn, sql, 0, NULL, NULL, error);
    if (outcome != PG_OK || PQtransactionStatus(conn->pg) == PQTRANS_ACTIVE)
        return outcome;
    pg_error_set(error, "", "the server does not take rows");
    pg_conn_close(conn);
    return PG_WORLD;
}

enum pg_outcome
pg_conn_copy_send(struct pg_conn *conn, const char *bytes, size_t n, struct pg_error *error)
{
    int64_t deadline = clock_mono_ms() + STATEMENT_MS;
    while (n > 0) {
        size_t chunk = n < 65536 ? n : 65536;
        int sent = PQputCopyData(conn->pg, bytes, (int)chunk);
        if (sent == -1)
            return PQstatus(conn->pg) == CONNECTION_OK ? PG_OK : lose(conn, error);
        if (sent == 0) { /* libpq's buffer is full */
            enum pg_outcome result = flush_output(conn, deadline, error);
            if (result != PG_OK)
                return result;
            continue;
        }
        bytes += chunk;
        n -= chunk;
    }
    /* Sent on as far as it goes without waiting, so that libpq need not hold all of it. */
    return flush_output(conn, deadline, error);
}

enum pg_outcome
pg_conn_copy_end(struct pg_conn *conn, struct pg_error *error)
{
    int64_t deadline = clock_mono_ms() + STATEMENT_MS;
    int sent;
    while ((sent = PQputCopyEnd(conn->pg, NULL)) == 0) {
        enum pg_outcome result = flush_output(conn, deadline, error);
        if (result != PG_OK)
            return result;
    }
    if (sent == -1 && PQstatus(conn->pg) != CONNECTION_OK)
        return lose(conn, error);
    return finish_statement(conn, NULL, error);
}
