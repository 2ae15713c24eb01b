/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_cql.c - libFuzzer target: any bytes as what a Cassandra server answers.
 *
 * One answer is parsed, and all that is in it is read; then the same bytes come over a socket, as the
 * answers of a connection on which requests are in flight. Seeds are made of recorded answers, each
 * in hex in tests/tools/fuzz_cql.seeds:
 *
 *   tests/tools/fuzz_cql -max_total_time=60 -max_len=4096 seeds
 *
 * Process: the fuzzer.  Owner: each call.  Concurrency: one thread.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "cql/cql_conn.h"
#include "cql/cql_ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
promise(bool kept)
{
    if (!kept)
        abort();
}

static void
read_all(struct cql_answer *answer)
{
    struct slice values[6];
    struct cql_ring ring = {.places = NULL};
    int64_t number;
    while (answer->kind == CQL_IS_ROWS && cql_rows_next(&answer->rows, values, 6))
        for (size_t i = 0; i < 6; i++) {
            (void)cql_get_bigint(values[i], &number);
            promise(cql_ring_set(&ring, (uint32_t)i, values[i]) == 0);
        }
    for (size_t i = 1; i < ring.n; i++)
        promise(ring.places[i - 1].token <= ring.places[i].token);
    cql_ring_free(&ring);
    promise(answer->kind != CQL_IS_PREPARED || (answer->id.n >= 1 && answer->id.n <= CQL_ID_BYTES));
}

static void
check_answer(const char *bytes, size_t size)
{
    struct cql_header header;
    struct cql_answer answer;
    if (size < CQL_HEADER_BYTES || cql_header_parse(bytes, &header) == -1)
        return;
    header.length = (uint32_t)(size - CQL_HEADER_BYTES);
    if (cql_answer_parse(&header, bytes + CQL_HEADER_BYTES, &answer) == 0)
        read_all(&answer);
}

static int listener = -1;
static struct sockaddr_in address;

static void
listen_once(void)
{
    socklen_t n = sizeof(address);
    if (listener != -1)
        return;
    address = (struct sockaddr_in){.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    listener = socket(AF_INET, SOCK_STREAM, 0);
    promise(bind(listener, (struct sockaddr *)&address, n) == 0 && listen(listener, 5) == 0 &&
            getsockname(listener, (struct sockaddr *)&address, &n) == 0);
}

static void
ask(struct cql_conn *conn, uint64_t tag)
{
    struct buf *out;
    int stream = cql_conn_begin(conn, tag, 0, &out);
    if (stream == -1)
        return;
    cql_put_query(out, (int16_t)stream, CQL_ONE, SLICE("Q"));
    promise(cql_conn_sent(conn, stream) == 0);
}

static void
take_all(struct cql_conn *conn)
{
    struct errbuf err = {.text = ""};
    struct cql_answer answer;
    uint64_t tag;
    int got;
    for (uint64_t i = 0; cql_conn_is_up(conn) && i < 3; i++)
        ask(conn, i);
    while ((got = cql_conn_take(conn, &tag, &answer, &err)) == 1) {
        promise(tag < 3);
        read_all(&answer);
    }
    promise(got == 0 || err.text[0] != '\0');
}

/* The bytes as a stream. Every tenth input only: a socket costs more than the rest. */
static void
check_stream(const uint8_t *data, size_t size)
{
    static const struct cql_login login = {
        .user = "u", .password = "p", .connect_ms = 1000, .answer_ms = 1000};
    static unsigned calls;
    struct errbuf err = {.text = ""};
    if (calls++ % 10 != 0 || size > 65536)
        return;
    listen_once();
    struct cql_conn *conn = cql_conn_new(&login, (struct sockaddr *)&address, sizeof(address),
                                         "127.0.0.1", 0, &err);
    int server = accept(listener, NULL, NULL);
    if (conn != NULL && server != -1) {
        static const char ready[] = "\x84\0\0\0\2\0\0\0\0";
        (void)!write(server, ready, calls % 20 == 1 ? 9 : 0);
        for (int i = 0; i < 3 && cql_conn_turn(conn, 1, &err) == 0; i++)
            take_all(conn);
        (void)!write(server, data, size);
        shutdown(server, SHUT_WR);
        for (int i = 0; i < 3 && cql_conn_turn(conn, 1, &err) == 0; i++)
            take_all(conn);
    }
    if (server != -1)
        close(server);
    cql_conn_free(&conn);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_answer((const char *)data, size);
    check_stream(data, size);
    return 0;
}
