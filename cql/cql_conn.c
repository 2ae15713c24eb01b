/* SPDX-License-Identifier: Apache-2.0 */
/* cql_conn.c - see cql_conn.h. */
#include "cql/cql_conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    READ_BYTES = 65536,
    READS_A_TURN = 16, /* then the others have their turn */
    LOGIN_STREAM = 0   /* of STARTUP and what follows it */
};

enum state { CONNECTING, SECURING, STARTING, AUTHENTICATING, UP, ENDED };

struct stream {
    bool busy;
    uint64_t tag;
    int64_t until_ms;
};

struct cql_conn {
    const struct cql_login *login;
    enum state state;
    int fd;
    SSL *ssl;
    char host[256];
    bool wants_write; /* TLS: it goes on when the socket can be written to */
    int64_t until_ms; /* while it is not up */
    int64_t first_ms; /* no request has to be answered before then */
    struct buf in, out;
    size_t taken, sent; /* of in, of out */
    size_t frame;       /* where the frame being written begins */
    struct stream streams[CQL_STREAMS];
    unsigned in_flight, next_stream;
    uint64_t warnings;
};

/* --- life --- */

static int
open_socket(struct cql_conn *c, const struct sockaddr *address, socklen_t n, struct errbuf *err)
{
    static const int one = 1;
    c->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd == -1)
        return errbuf_set(err, "socket: %s", strerror(errno));
    /* Without them it is slower, and a dead peer is found by the requests' deadlines. */
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    if (connect(c->fd, address, n) == -1 && errno != EINPROGRESS)
        return errbuf_set(err, "cannot connect: %s", strerror(errno));
    return 0;
}

struct cql_conn *
cql_conn_new(const struct cql_login *login, const struct sockaddr *address, socklen_t address_n,
             const char *host, int64_t now_ms, struct errbuf *err)
{
    struct cql_conn *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        errbuf_set(err, "out of memory");
        return NULL;
    }
    c->login = login;
    c->fd = -1;
    c->until_ms = now_ms + login->connect_ms;
    c->first_ms = INT64_MAX;
    buf_init(&c->in, CQL_ANSWER_BYTES + CQL_HEADER_BYTES + READ_BYTES);
    buf_init(&c->out, CQL_REQUEST_BYTES);
    strncpy(c->host, host, sizeof(c->host) - 1);
    if (open_socket(c, address, address_n, err) == -1)
        cql_conn_free(&c);
    return c;
}

void
cql_conn_free(struct cql_conn **conn)
{
    struct cql_conn *c = *conn;
    if (c == NULL)
        return;
    SSL_free(c->ssl);
    if (c->fd != -1)
        close(c->fd);
    buf_free(&c->in);
    buf_free(&c->out);
    free(c);
    *conn = NULL;
}

/* --- bytes --- */

static bool
would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* Returns: bytes written, 0 if it has to wait, -1 with a text. */
static ssize_t
write_some(struct cql_conn *c, const char *p, size_t n, struct errbuf *err)
{
    if (c->ssl == NULL) {
        ssize_t done = send(c->fd, p, n, MSG_NOSIGNAL);
        if (done >= 0)
            return done;
        return would_block() ? 0 : errbuf_set(err, "cannot send: %s", strerror(errno));
    }
    ERR_clear_error();
    int done = SSL_write(c->ssl, p, n < INT32_MAX ? (int)n : INT32_MAX);
    if (done > 0)
        return done;
    int why = SSL_get_error(c->ssl, done);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE
               ? 0
               : cql_tls_explain(c->ssl, "cannot send", err);
}

/* The same; the server's end of the connection is an error. */
static ssize_t
read_some(struct cql_conn *c, char *p, size_t n, struct errbuf *err)
{
    if (c->ssl == NULL) {
        ssize_t got = recv(c->fd, p, n, 0);
        if (got > 0)
            return got;
        if (got == 0)
            return errbuf_set(err, "the server closed the connection");
        return would_block() ? 0 : errbuf_set(err, "cannot receive: %s", strerror(errno));
    }
    ERR_clear_error();
    int got = SSL_read(c->ssl, p, (int)n);
    if (got > 0)
        return got;
    int why = SSL_get_error(c->ssl, got);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE
               ? 0
               : cql_tls_explain(c->ssl, "cannot receive", err);
}

static int
send_on(struct cql_conn *c, struct errbuf *err)
{
    while (c->sent < c->out.size) {
        ssize_t n = write_some(c, c->out.data + c->sent, c->out.size - c->sent, err);
        if (n <= 0)
            return (int)n;
        c->sent += (size_t)n;
    }
    buf_clear(&c->out);
    c->sent = 0;
    return 0;
}

static int
receive_on(struct cql_conn *c, struct errbuf *err)
{
    if (c->taken > 0) {
        size_t left = c->in.size - c->taken;
        memmove(c->in.data, c->in.data + c->taken, left);
        buf_truncate(&c->in, left);
        c->taken = 0;
    }
    for (int i = 0; i < READS_A_TURN && c->in.size <= CQL_ANSWER_BYTES + CQL_HEADER_BYTES; i++) {
        if (buf_grow(&c->in, READ_BYTES) == -1)
            return errbuf_set(err, "out of memory");
        ssize_t n = read_some(c, c->in.data + c->in.size, READ_BYTES, err);
        if (n <= 0) /* what came before the end is looked at first: it may say why */
            return i > 0 ? 0 : (int)n;
        c->in.size += (size_t)n;
    }
    return 0;
}

/* --- the next frame --- */

/* Returns: 1 and a frame that is there whole; 0; -1 with a text. */
static int
next_frame(struct cql_conn *c, struct cql_header *header, struct cql_answer *answer,
           struct errbuf *err)
{
    size_t n = c->in.size - c->taken;
    const char *p = c->in.data + c->taken;
    if (n < CQL_HEADER_BYTES)
        return 0;
    if (cql_header_parse(p, header) == -1)
        return errbuf_set(err, "what answers does not speak version 4 of CQL's protocol");
    if (header->length > CQL_ANSWER_BYTES)
        return errbuf_set(err, "an answer of %lu bytes", (unsigned long)header->length);
    if (n < CQL_HEADER_BYTES + header->length)
        return 0;
    if (cql_answer_parse(header, p + CQL_HEADER_BYTES, answer) == -1)
        return errbuf_set(err, "an answer that cannot be understood");
    c->taken += CQL_HEADER_BYTES + header->length;
    c->warnings += answer->n_warnings;
    return 1;
}

/* --- connecting --- */

static int
finish_connect(struct cql_conn *c, struct errbuf *err)
{
    int error = 0;
    socklen_t n = sizeof(error);
    struct pollfd fd = {.fd = c->fd, .events = POLLOUT};
    if (poll(&fd, 1, 0) == 0)
        return 0;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &n) == -1)
        error = errno;
    if (error != 0)
        return errbuf_set(err, "cannot connect: %s", strerror(error));
    c->state = STARTING;
    if (c->login->tls != NULL) {
        c->ssl = cql_tls_begin(c->login->tls, c->fd, c->host, err);
        if (c->ssl == NULL)
            return -1;
        c->state = SECURING;
    }
    cql_put_startup(&c->out, LOGIN_STREAM);
    return 0;
}

static int
shake_hands(struct cql_conn *c, struct errbuf *err)
{
    ERR_clear_error();
    int done = SSL_do_handshake(c->ssl);
    int why = SSL_get_error(c->ssl, done);
    c->wants_write = why == SSL_ERROR_WANT_WRITE;
    if (done == 1)
        c->state = STARTING;
    else if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
        return cql_tls_explain(c->ssl, "TLS", err);
    return 0;
}

static int
log_in(struct cql_conn *c, const struct cql_answer *answer, struct errbuf *err)
{
    bool authenticating = c->state == AUTHENTICATING;
    if (answer->kind == CQL_IS_ERROR)
        return errbuf_set(err, "%.*s", (int)answer->message.n, answer->message.p);
    if (answer->kind == (authenticating ? CQL_IS_AUTHENTICATED : CQL_IS_READY)) {
        c->state = UP;
        return 0;
    }
    if (authenticating || answer->kind != CQL_IS_AUTHENTICATE)
        return errbuf_set(err, "an answer that nobody asked for");
    if (c->login->user[0] == '\0')
        return errbuf_set(err, "the server wants a user and a password, and none is set");
    c->state = AUTHENTICATING;
    cql_put_plain(&c->out, LOGIN_STREAM, c->login->user, c->login->password);
    return c->out.failed ? errbuf_set(err, "out of memory") : send_on(c, err);
}

static int
go_on_connecting(struct cql_conn *c, struct errbuf *err)
{
    struct cql_header header;
    struct cql_answer answer;
    if (c->state == CONNECTING && finish_connect(c, err) == -1)
        return -1;
    if (c->state == SECURING && shake_hands(c, err) == -1)
        return -1;
    if (c->state < STARTING)
        return 0;
    if (c->out.failed)
        return errbuf_set(err, "out of memory");
    if (send_on(c, err) == -1 || receive_on(c, err) == -1)
        return -1;
    while (c->state != UP) {
        int got = next_frame(c, &header, &answer, err);
        if (got != 1)
            return got;
        if (log_in(c, &answer, err) == -1)
            return -1;
    }
    return 0;
}

/* --- turns --- */

/* The earliest time that a request has to be answered by. */
static void
find_first(struct cql_conn *c)
{
    c->first_ms = INT64_MAX;
    for (size_t i = 0; i < CQL_STREAMS && c->in_flight > 0; i++)
        if (c->streams[i].busy && c->streams[i].until_ms < c->first_ms)
            c->first_ms = c->streams[i].until_ms;
}

int64_t
cql_conn_poll(const struct cql_conn *conn, struct pollfd *fd)
{
    bool writes = conn->state == CONNECTING || conn->wants_write ||
                  (conn->state >= STARTING && conn->sent < conn->out.size);
    *fd = (struct pollfd){.fd = conn->fd,
                          .events = (short)((conn->state == CONNECTING ? 0 : POLLIN) |
                                            (writes ? POLLOUT : 0))};
    if (conn->ssl != NULL && SSL_pending(conn->ssl) > 0)
        return 0; /* it is here already: the socket will not tell */
    return conn->state != UP ? conn->until_ms : conn->in_flight > 0 ? conn->first_ms : INT64_MAX;
}

static int
go_on(struct cql_conn *c, int64_t now_ms, struct errbuf *err)
{
    if (c->state < UP && go_on_connecting(c, err) == -1)
        return -1;
    if (c->state < UP)
        return now_ms < c->until_ms ? 0 : errbuf_set(err, "not connected in time");
    if (send_on(c, err) == -1 || receive_on(c, err) == -1)
        return -1;
    if (c->in_flight == 0 || now_ms < c->first_ms)
        return 0;
    find_first(c); /* it may have been answered long ago */
    /* What is there now may be what is waited for. */
    return now_ms < c->first_ms || c->in.size > c->taken ? 0 : errbuf_set(err, "no answer in time");
}

int
cql_conn_turn(struct cql_conn *conn, int64_t now_ms, struct errbuf *err)
{
    if (conn->state == ENDED)
        return errbuf_set(err, "the connection has ended");
    if (go_on(conn, now_ms, err) == 0)
        return 0;
    conn->state = ENDED;
    return -1;
}

bool
cql_conn_is_up(const struct cql_conn *conn)
{
    return conn->state == UP;
}

unsigned
cql_conn_in_flight(const struct cql_conn *conn)
{
    return conn->in_flight;
}

uint64_t
cql_conn_warnings(const struct cql_conn *conn)
{
    return conn->warnings;
}

/* --- requests and answers --- */

int
cql_conn_begin(struct cql_conn *conn, uint64_t tag, int64_t now_ms, struct buf **out)
{
    if (conn->in_flight == CQL_STREAMS || conn->state != UP)
        return -1;
    while (conn->streams[conn->next_stream].busy)
        conn->next_stream = (conn->next_stream + 1) % CQL_STREAMS;
    int stream = (int)conn->next_stream;
    conn->streams[stream] =
        (struct stream){.tag = tag, .until_ms = now_ms + conn->login->answer_ms};
    conn->frame = conn->out.size;
    *out = &conn->out;
    return stream;
}

int
cql_conn_sent(struct cql_conn *conn, int stream)
{
    if (conn->out.failed) {
        buf_truncate(&conn->out, conn->frame);
        return -1;
    }
    struct stream *s = &conn->streams[stream];
    s->busy = true;
    if (conn->in_flight++ == 0 || s->until_ms < conn->first_ms)
        conn->first_ms = s->until_ms;
    conn->next_stream = (conn->next_stream + 1) % CQL_STREAMS;
    return 0;
}

int
cql_conn_take(struct cql_conn *conn, uint64_t *tag, struct cql_answer *answer, struct errbuf *err)
{
    struct cql_header header;
    for (;;) {
        int got = conn->state == UP ? next_frame(conn, &header, answer, err) : 0;
        if (got == -1)
            conn->state = ENDED;
        if (got != 1)
            return got;
        if (header.stream < 0)
            continue; /* an event, or what is no answer to anybody */
        if (header.stream >= CQL_STREAMS || !conn->streams[header.stream].busy) {
            conn->state = ENDED;
            return errbuf_set(err, "an answer that nobody asked for");
        }
        conn->streams[header.stream].busy = false;
        conn->in_flight--;
        *tag = conn->streams[header.stream].tag;
        return 1;
    }
}
