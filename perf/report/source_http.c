/* SPDX-License-Identifier: Apache-2.0 */
/* source_http.c - see source_http.h. */
#include "perf/report/source_http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

enum { CONNECT_MS = 5000, HEADER_MAX = 65536 };

struct source_http {
    CURL *easy;
    struct source_http_options options;
    struct buf body;
    bool too_large;
    char error[CURL_ERROR_SIZE];
};

static size_t
take_body(char *data, size_t size, size_t n, void *arg)
{
    struct source_http *h = arg;
    buf_add(&h->body, data, size * n);
    h->too_large |= h->body.failed;
    return h->body.failed ? 0 : size * n;
}

/* libcurl asks about once a second, and whenever something comes. Returns: not 0 to give up. */
static int
ask_stop(void *arg, curl_off_t down, curl_off_t downed, curl_off_t up, curl_off_t upped)
{
    const struct source_http *h = arg;
    (void)down, (void)downed, (void)up, (void)upped;
    return h->options.stop != NULL && *h->options.stop != 0;
}

/* Only what makes libcurl refuse to work is checked; a bad certificate file shows on connecting. */
static int
set_options(struct source_http *h)
{
    CURL *e = h->easy;
    const struct source_http_options *o = &h->options;
    bool good = true;
    good &= curl_easy_setopt(e, CURLOPT_ERRORBUFFER, h->error) == CURLE_OK;
    good &= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK;
    good &= curl_easy_setopt(e, CURLOPT_WRITEDATA, h) == CURLE_OK;
    good &= curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, ask_stop) == CURLE_OK;
    good &= curl_easy_setopt(e, CURLOPT_XFERINFODATA, h) == CURLE_OK;
    good &= curl_easy_setopt(e, CURLOPT_NOPROGRESS, 0L) == CURLE_OK;
    good &= curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    good &= curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK;
    good &= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    good &= curl_easy_setopt(e, CURLOPT_USERAGENT, "persister-perf") == CURLE_OK;
    good &= curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS) == CURLE_OK;
    good &= curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)o->timeout_ms) == CURLE_OK;
    good &= curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, o->insecure ? 0L : 1L) == CURLE_OK;
    good &= curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, o->insecure ? 0L : 2L) == CURLE_OK;
    if (o->cacert != NULL && o->cacert[0] != '\0')
        good &= curl_easy_setopt(e, CURLOPT_CAINFO, o->cacert) == CURLE_OK;
    return good ? 0 : -1;
}

struct source_http *
source_http_new(const struct source_http_options *options, struct errbuf *err)
{
    struct source_http *h = calloc(1, sizeof(*h));
    if (h == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(h);
        errbuf_set(err, "cannot start libcurl");
        return NULL;
    }
    buf_init(&h->body, SOURCE_HTTP_ANSWER_MAX);
    h->options = *options;
    h->easy = curl_easy_init();
    if (h->easy != NULL && set_options(h) == 0)
        return h;
    errbuf_set(err, "cannot set libcurl up");
    source_http_free(&h);
    return NULL;
}

void
source_http_free(struct source_http **http)
{
    struct source_http *h = *http;
    if (h == NULL)
        return;
    if (h->easy != NULL)
        curl_easy_cleanup(h->easy);
    buf_free(&h->body);
    free(h);
    curl_global_cleanup();
    *http = NULL;
}

/* Returns: false if memory is out, or the header would be two. */
static bool
add_header(struct curl_slist **list, const char *name, const char *value)
{
    struct buf b;
    if (strpbrk(value, "\r\n") != NULL)
        return false;
    buf_init(&b, HEADER_MAX);
    buf_printf(&b, "%s: %s", name, value);
    buf_add_char(&b, '\0');
    struct curl_slist *longer = b.failed ? NULL : curl_slist_append(*list, b.data);
    buf_free(&b);
    if (longer != NULL)
        *list = longer;
    return longer != NULL;
}

static struct curl_slist *
make_headers(const struct source_http_request *r)
{
    struct curl_slist *list = NULL;
    bool good = add_header(&list, "Accept", r->accept != NULL ? r->accept : "application/json");
    if (r->token != NULL)
        good = good && add_header(&list, "X-Auth-Token", r->token);
    if (r->body.p != NULL)
        good = good && add_header(&list, "Content-Type", "application/json");
    if (good)
        return list;
    curl_slist_free_all(list);
    return NULL;
}

static bool
set_request(struct source_http *h, const struct source_http_request *r,
            const struct curl_slist *headers)
{
    CURL *e = h->easy;
    if (curl_easy_setopt(e, CURLOPT_URL, r->url) != CURLE_OK ||
        curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers) != CURLE_OK)
        return false;
    if (r->body.p == NULL)
        return curl_easy_setopt(e, CURLOPT_HTTPGET, 1L) == CURLE_OK;
    return curl_easy_setopt(e, CURLOPT_POST, 1L) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_POSTFIELDS, r->body.p) == CURLE_OK;
}

/* Says why there is no answer. */
static int
set_error(const struct source_http *h, const char *url, CURLcode code, struct errbuf *err)
{
    long number = 0;
    if (code == CURLE_COULDNT_CONNECT) /* libcurl keeps the reason to itself */
        curl_easy_getinfo(h->easy, CURLINFO_OS_ERRNO, &number);
    int url_n = (int)strcspn(url, "?");
    if (h->too_large)
        return errbuf_set(err, "%.*s: the answer is larger than %d bytes", url_n, url,
                          SOURCE_HTTP_ANSWER_MAX);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return errbuf_set(err, "%.*s: given up, since it was asked to stop", url_n, url);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return errbuf_set(err, "%.*s: no answer in time (%lld ms at most)", url_n, url,
                          (long long)h->options.timeout_ms);
    return errbuf_set(err, "%.*s: %s%s%s", url_n, url,
                      h->error[0] != '\0' ? h->error : curl_easy_strerror(code),
                      number != 0 ? ": " : "", number != 0 ? strerror((int)number) : "");
}

int
source_http_send(struct source_http *http, const struct source_http_request *request,
                 struct source_http_answer *answer, struct errbuf *err)
{
    struct curl_slist *headers = make_headers(request);
    struct curl_header *token;
    buf_clear(&http->body);
    http->too_large = false;
    http->error[0] = '\0';
    if (headers == NULL || !set_request(http, request, headers)) {
        curl_slist_free_all(headers);
        return errbuf_set(err, "cannot make a request: memory is out, or a token is none");
    }
    CURLcode code = curl_easy_perform(http->easy);
    /* Neither the headers nor a body with a password in it are kept. */
    curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(http->easy, CURLOPT_POSTFIELDS, NULL);
    curl_slist_free_all(headers);
    if (code != CURLE_OK)
        return set_error(http, request->url, code, err);
    *answer = (struct source_http_answer){.body = {http->body.data, http->body.size}, .token = ""};
    curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &answer->status);
    if (curl_easy_header(http->easy, "X-Subject-Token", 0, CURLH_HEADER, -1, &token) == CURLHE_OK)
        answer->token = token->value;
    return 0;
}

/* --- URLs --- */

/* Returns: true if the URL has that part, and it is not "". */
static bool
has_part(CURLU *u, CURLUPart part)
{
    char *text = NULL;
    bool has = curl_url_get(u, part, &text, 0) == CURLUE_OK && text[0] != '\0';
    curl_free(text);
    return has;
}

static bool
is_http(CURLU *u)
{
    char *scheme = NULL;
    bool is = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
              (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    curl_free(scheme);
    return is;
}

int
source_http_check_url(const char *url, struct errbuf *err)
{
    CURLU *u = curl_url();
    if (u == NULL)
        return errbuf_set(err, "out of memory");
    CURLUcode code = curl_url_set(u, CURLUPART_URL, url, 0);
    int result = 0;
    if (strchr(url, '@') != NULL || has_part(u, CURLUPART_USER))
        result =
            errbuf_set(err, "the URL has an '@': users and passwords do not go into a URL here");
    else if (code != CURLUE_OK || !is_http(u) || !has_part(u, CURLUPART_HOST))
        result = errbuf_set(err, "\"%s\" is no URL like http://HOST:PORT or https://HOST:PORT%s%s",
                            url, code != CURLUE_OK ? ": " : "",
                            code != CURLUE_OK ? curl_url_strerror(code) : "");
    else if (has_part(u, CURLUPART_QUERY) || has_part(u, CURLUPART_FRAGMENT))
        result = errbuf_set(err, "\"%s\": a '?' or a '#' has no place in it", url);
    curl_url_cleanup(u);
    return result;
}

bool
source_http_has_path(const char *url)
{
    const char *host = strstr(url, "://");
    const char *path = strchr(host != NULL ? host + 3 : url, '/');
    return path != NULL && path[strspn(path, "/")] != '\0';
}

void
source_http_escape(struct buf *out, const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (; *text != '\0'; text++)
        if (strchr(plain, *text) != NULL)
            buf_add_char(out, *text);
        else
            buf_printf(out, "%%%02X", (unsigned char)*text);
}

void
source_http_add_base(struct buf *out, const char *url)
{
    size_t n = strlen(url);
    while (n > 0 && url[n - 1] == '/')
        n--;
    buf_add(out, url, n);
}
