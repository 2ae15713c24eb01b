/* SPDX-License-Identifier: Apache-2.0 */
/* http.c - see http.h. */
#include "store/http.h"

#include <curl/curl.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/fiber.h"

enum {
    ANSWER_MAX = 1 << 20,
    CONNECT_MS = 5000,
    SOCKETS_MAX = 16, /* at a time: two of a connection, and some of the resolver */
    /* One buffer is sent a turn: a body in few turns, not in one for each of 64 KiB. */
    UPLOAD_BYTES = 2 << 20
};

struct http {
    CURL *easy;
    CURLM *multi;
    const struct store_hooks *hooks;
    struct curl_slist *headers;
    const char *type; /* the headers' content type; a literal */
    struct buf answer;
    char error[CURL_ERROR_SIZE];
    int timeout_ms;
    struct pollfd sockets[SOCKETS_MAX]; /* what libcurl waits for, and until when */
    size_t n_sockets;
    int64_t due_ms;
};

/* --- what libcurl waits for --- */

static size_t
find_socket(const struct http *h, curl_socket_t fd)
{
    size_t i = 0;
    while (i < h->n_sockets && h->sockets[i].fd != fd)
        i++;
    return i;
}

/* CURLMOPT_SOCKETFUNCTION. */
static int
note_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *of_socket)
{
    struct http *h = arg;
    size_t i = find_socket(h, fd);
    (void)easy, (void)of_socket;
    if (what == CURL_POLL_REMOVE) {
        if (i < h->n_sockets)
            h->sockets[i] = h->sockets[--h->n_sockets];
        return 0;
    }
    if (i == SOCKETS_MAX)
        return -1;
    h->n_sockets += i == h->n_sockets;
    h->sockets[i] = (struct pollfd){.fd = fd,
                                    .events = (short)((what & CURL_POLL_IN ? POLLIN : 0) |
                                                      (what & CURL_POLL_OUT ? POLLOUT : 0))};
    return 0;
}

/* CURLMOPT_TIMERFUNCTION. */
static int
note_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct http *h = arg;
    (void)multi;
    h->due_ms = timeout_ms < 0 ? INT64_MAX : clock_mono_ms() + timeout_ms;
    return 0;
}

/* --- requests --- */

static size_t
take_answer(char *data, size_t size, size_t n, void *arg)
{
    struct http *h = arg;
    size_t room = ANSWER_MAX - h->answer.size, want = size * n;
    buf_add(&h->answer, data, want < room ? want : room);
    return want;
}

/* Only what makes libcurl refuse to work is checked; unknown certificates show at the first
 * request. */
static int
set_options(struct http *h, const struct http_options *o)
{
    CURL *e = h->easy;
    bool good = true;
    good &= curl_easy_setopt(e, CURLOPT_ERRORBUFFER, h->error) == CURLE_OK;
    good &= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_answer) == CURLE_OK;
    good &= curl_easy_setopt(e, CURLOPT_WRITEDATA, h) == CURLE_OK;
    good &= curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    /* Giving up does not wait for a resolver's thread: that may take half a minute. */
    good &= curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK;
    good &= curl_easy_setopt(e, CURLOPT_PROXY, "") == CURLE_OK;
    good &= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    good &= curl_easy_setopt(e, CURLOPT_USERAGENT, "monasca-persister") == CURLE_OK;
    good &= curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK;
    good &= curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS) == CURLE_OK;
    good &= curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BYTES) == CURLE_OK;
    good &= curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)o->timeout_ms) == CURLE_OK;
    good &= curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, o->verify ? 1L : 0L) == CURLE_OK;
    good &= curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, o->verify ? 2L : 0L) == CURLE_OK;
    if (o->ca_file[0] != '\0')
        good &= curl_easy_setopt(e, CURLOPT_CAINFO, o->ca_file) == CURLE_OK;
    if (o->user[0] != '\0') {
        good &= curl_easy_setopt(e, CURLOPT_HTTPAUTH, CURLAUTH_BASIC) == CURLE_OK;
        good &= curl_easy_setopt(e, CURLOPT_USERNAME, o->user) == CURLE_OK;
        good &= curl_easy_setopt(e, CURLOPT_PASSWORD, o->password) == CURLE_OK;
    }
    good &= curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, note_socket) == CURLM_OK;
    good &= curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h) == CURLM_OK;
    good &= curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, note_timer) == CURLM_OK;
    good &= curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h) == CURLM_OK;
    return good ? 0 : -1;
}

struct http *
http_new(const struct http_options *options, const struct store_hooks *hooks, struct errbuf *err)
{
    struct http *h = calloc(1, sizeof(*h));
    if (h == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(h);
        errbuf_set(err, "cannot start libcurl");
        return NULL;
    }
    buf_init(&h->answer, ANSWER_MAX + 1);
    h->hooks = hooks;
    h->timeout_ms = options->timeout_ms;
    h->easy = curl_easy_init();
    h->multi = curl_multi_init();
    if (h->easy != NULL && h->multi != NULL && set_options(h, options) == 0)
        return h;
    errbuf_set(err, "cannot set libcurl up");
    http_free(&h);
    return NULL;
}

void
http_free(struct http **http)
{
    struct http *h = *http;
    if (h == NULL)
        return;
    if (h->easy != NULL)
        curl_easy_cleanup(h->easy);
    if (h->multi != NULL)
        curl_multi_cleanup(h->multi);
    curl_slist_free_all(h->headers);
    buf_free(&h->answer);
    free(h);
    curl_global_cleanup();
    *http = NULL;
}

/* "Expect:" would cost a round trip: InfluxDB answers errors as well after the body. */
static int
set_headers(struct http *h, const char *type)
{
    if (h->type == type)
        return 0;
    struct buf b;
    buf_init(&b, 256);
    buf_printf(&b, "Content-Type: %s", type);
    buf_add_char(&b, '\0');
    struct curl_slist *list = b.failed ? NULL : curl_slist_append(NULL, b.data);
    struct curl_slist *both = list != NULL ? curl_slist_append(list, "Expect:") : NULL;
    buf_free(&b);
    if (both == NULL) {
        curl_slist_free_all(list);
        return -1;
    }
    curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, both);
    curl_slist_free_all(h->headers);
    h->headers = both;
    h->type = type;
    return 0;
}

/* The transfer's own result, once the multi handle has one. */
static bool
is_done(struct http *h, CURLcode *code)
{
    int left;
    const CURLMsg *message;
    while ((message = curl_multi_info_read(h->multi, &left)) != NULL)
        if (message->msg == CURLMSG_DONE) {
            *code = message->data.result;
            return true;
        }
    return false;
}

/* Tells libcurl what is ready. It may change h->sockets with each word. */
static CURLMcode
turn(struct http *h, const struct pollfd *ready, size_t n)
{
    CURLMcode code = CURLM_OK;
    int running;
    bool any = false;
    fiber_forbid();
    for (size_t i = 0; i < n && code == CURLM_OK; i++) {
        short events = ready[i].revents;
        int what = (events & (POLLIN | POLLHUP) ? CURL_CSELECT_IN : 0) |
                   (events & POLLOUT ? CURL_CSELECT_OUT : 0) |
                   (events & (POLLERR | POLLNVAL) ? CURL_CSELECT_ERR : 0);
        if (what != 0)
            code = curl_multi_socket_action(h->multi, ready[i].fd, what, &running);
        any = any || what != 0;
    }
    if (!any || clock_mono_ms() >= h->due_ms)
        code = curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    fiber_allow();
    return code;
}

static enum http_result
run_transfer(struct http *h, CURLcode *code)
{
    /* libcurl has the same deadline; ours is for the case that it does not look. */
    int64_t deadline = clock_mono_ms() + h->timeout_ms + 1000;
    struct pollfd ready[SOCKETS_MAX];
    size_t n = 0;
    while (turn(h, ready, n) == CURLM_OK) {
        if (is_done(h, code))
            return HTTP_ANSWERED;
        if (clock_mono_ms() >= deadline)
            break;
        n = h->n_sockets;
        memcpy(ready, h->sockets, n * sizeof(*ready));
        if (!h->hooks->wait(h->hooks->arg, ready, n, h->due_ms < deadline ? h->due_ms : deadline))
            return HTTP_STOPPED;
    }
    *code = CURLE_OPERATION_TIMEDOUT;
    return HTTP_FAILED;
}

static enum http_result
judge(struct http *h, enum http_result result, CURLcode code, long *status, struct errbuf *err)
{
    if (result == HTTP_STOPPED)
        return result;
    if (result == HTTP_FAILED || code != CURLE_OK) {
        /* libcurl keeps to itself why it could not connect. */
        long number = 0;
        if (code == CURLE_COULDNT_CONNECT)
            curl_easy_getinfo(h->easy, CURLINFO_OS_ERRNO, &number);
        errbuf_set(err, "%s%s%s", h->error[0] != '\0' ? h->error : curl_easy_strerror(code),
                   number != 0 ? ": " : "", number != 0 ? strerror((int)number) : "");
        return HTTP_FAILED;
    }
    curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, status);
    return HTTP_ANSWERED;
}

enum http_result
http_post(struct http *http, const char *url, struct slice body, const char *type, long *status,
          struct slice *answer, struct errbuf *err)
{
    CURLcode code = CURLE_OK;
    buf_clear(&http->answer);
    http->error[0] = '\0';
    if (set_headers(http, type) == -1 ||
        curl_easy_setopt(http->easy, CURLOPT_URL, url) != CURLE_OK ||
        curl_easy_setopt(http->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n) != CURLE_OK ||
        curl_easy_setopt(http->easy, CURLOPT_POSTFIELDS, body.n > 0 ? body.p : "") != CURLE_OK ||
        curl_multi_add_handle(http->multi, http->easy) != CURLM_OK) {
        errbuf_set(err, "out of memory");
        return HTTP_FAILED;
    }
    enum http_result result = run_transfer(http, &code);
    curl_multi_remove_handle(http->multi, http->easy);
    *answer = (struct slice){http->answer.data, http->answer.size};
    return judge(http, result, code, status, err);
}

const char *
http_header(struct http *http, const char *name)
{
    struct curl_header *header;
    return curl_easy_header(http->easy, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK
               ? header->value
               : "";
}

void
http_escape(struct buf *b, struct slice text)
{
    static const char kept[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] != '\0' && strchr(kept, text.p[i]) != NULL)
            buf_add_char(b, text.p[i]);
        else
            buf_printf(b, "%%%02X", (unsigned char)text.p[i]);
}
