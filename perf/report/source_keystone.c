/* SPDX-License-Identifier: Apache-2.0 */
/* source_keystone.c - see source_keystone.h. */
#include "perf/report/source_keystone.h"

#include <stdlib.h>

#include "lib/json_text.h"
#include "perf/report/source_json.h"
#include "figures/figures_json.h"

enum { URL_MAX = 4096, REQUEST_MAX = 65536, REASON_MAX = 300 };

static const char default_domain[] = "default";

struct keystone {
    const struct source_keystone *settings;
    struct source_http *http;
    bool wants_endpoint;
    struct buf url; /* with a NUL */
    char *token;    /* NULL: to be asked for */
    char *endpoint; /* NULL: not known yet */
};

static bool
is_given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* --- life --- */

static int
check_settings(const struct source_keystone *k, bool wants_endpoint, struct errbuf *err)
{
    bool password = is_given(k->username) && is_given(k->password);
    if (!is_given(k->auth_url)) {
        if (is_given(k->token) && !wants_endpoint)
            return 0; /* the token as it is, at a URL that was given */
        return errbuf_set(err, "OS_AUTH_URL (--os-auth-url) is missing: where Keystone is");
    }
    if (source_http_check_url(k->auth_url, err) == -1)
        return errbuf_prefix(err, "OS_AUTH_URL");
    if (is_given(k->token) || password) {
        if (is_given(k->project_name) || is_given(k->project_id))
            return 0;
        return errbuf_set(err,
                          "OS_PROJECT_NAME or OS_PROJECT_ID is missing: whose metrics to read");
    }
    return errbuf_set(err, "%s is missing",
                      is_given(k->username)   ? "OS_PASSWORD"
                      : is_given(k->password) ? "OS_USERNAME"
                                              : "OS_USERNAME with OS_PASSWORD, or OS_TOKEN,");
}

struct keystone *
keystone_new(const struct source_keystone *settings, struct source_http *http, bool wants_endpoint,
             struct errbuf *err)
{
    if (check_settings(settings, wants_endpoint, err) == -1)
        return NULL;
    struct keystone *k = calloc(1, sizeof(*k));
    if (k == NULL) {
        errbuf_set(err, "out of memory");
        return NULL;
    }
    *k = (struct keystone){.settings = settings, .http = http, .wants_endpoint = wants_endpoint};
    buf_init(&k->url, URL_MAX);
    if (is_given(settings->auth_url)) {
        keystone_write_url(&k->url, settings->auth_url);
        buf_add_char(&k->url, '\0');
    }
    if (!k->url.failed)
        return k;
    errbuf_set(err, "OS_AUTH_URL is longer than %d bytes", URL_MAX);
    keystone_free(&k);
    return NULL;
}

void
keystone_free(struct keystone **keystone)
{
    struct keystone *k = *keystone;
    if (k == NULL)
        return;
    buf_free(&k->url);
    free(k->token);
    free(k->endpoint);
    free(k);
    *keystone = NULL;
}

/* --- the pure parts --- */

void
keystone_write_url(struct buf *out, const char *auth_url)
{
    size_t from = out->size;
    source_http_add_base(out, auth_url);
    size_t n = out->size - from;
    bool versioned = n >= 3 && memcmp(out->data + out->size - 3, "/v3", 3) == 0;
    buf_add_text(out, versioned ? "/auth/tokens" : "/v3/auth/tokens");
}

/* "domain": {...}; the domain is called "default" where nothing else is said. */
static void
add_domain(struct buf *out, const char *id, const char *name)
{
    bool by_name = !is_given(id) && is_given(name);
    buf_add_text(out, by_name ? "\"domain\": {\"name\": " : "\"domain\": {\"id\": ");
    json_add_text(out, by_name ? name : is_given(id) ? id : default_domain);
    buf_add_char(out, '}');
}

static void
add_identity(struct buf *out, const struct source_keystone *k)
{
    if (is_given(k->token)) {
        buf_add_text(out, "\"identity\": {\"methods\": [\"token\"], \"token\": {\"id\": ");
        json_add_text(out, k->token);
        buf_add_text(out, "}}");
        return;
    }
    buf_add_text(out, "\"identity\": {\"methods\": [\"password\"], \"password\": {\"user\": {");
    add_domain(out, k->user_domain_id, k->user_domain_name);
    buf_add_text(out, ", \"name\": ");
    json_add_text(out, k->username);
    buf_add_text(out, ", \"password\": ");
    json_add_text(out, k->password);
    buf_add_text(out, "}}}");
}

static void
add_scope(struct buf *out, const struct source_keystone *k)
{
    buf_add_text(out, ", \"scope\": {\"project\": {");
    if (is_given(k->project_id)) {
        buf_add_text(out, "\"id\": ");
        json_add_text(out, k->project_id);
    } else {
        add_domain(out, k->project_domain_id, k->project_domain_name);
        buf_add_text(out, ", \"name\": ");
        json_add_text(out, k->project_name);
    }
    buf_add_text(out, "}}");
}

void
keystone_write_request(struct buf *out, const struct source_keystone *settings)
{
    buf_add_text(out, "{\"auth\": {");
    add_identity(out, settings);
    if (is_given(settings->project_id) || is_given(settings->project_name))
        add_scope(out, settings);
    buf_add_text(out, "}}");
}

static bool
is_of_region(const struct json_value *endpoint, const char *region)
{
    struct json_value id = source_json_member(endpoint, "region_id");
    struct json_value name = source_json_member(endpoint, "region");
    return !is_given(region) || source_json_is_text(&id, region) ||
           source_json_is_text(&name, region);
}

/* Returns: the URL of a service's endpoint that fits, of type JSON_ABSENT if none does. */
static struct json_value
find_url(const struct json_value *service, const char *region)
{
    struct json_value endpoints = source_json_member(service, "endpoints"), endpoint;
    for (struct source_json_walk w = source_json_walk(&endpoints);
         source_json_next(&w, NULL, &endpoint);) {
        struct json_value interface = source_json_member(&endpoint, "interface");
        if (source_json_is_text(&interface, "public") && is_of_region(&endpoint, region))
            return source_json_member(&endpoint, "url");
    }
    return (struct json_value){.type = JSON_ABSENT};
}

static char *
check_endpoint(char *url, struct errbuf *err)
{
    if (url == NULL)
        errbuf_set(err, "Keystone's catalogue: the API's URL is no text");
    else if (source_http_check_url(url, err) == -1)
        errbuf_prefix(err, "Keystone's catalogue");
    else
        return url;
    free(url);
    return NULL;
}

char *
keystone_find_endpoint(struct slice body, const char *region, struct errbuf *err)
{
    struct json_value root, service;
    if (source_json_check(body, &root, err) == -1) {
        errbuf_prefix(err, "Keystone");
        return NULL;
    }
    struct json_value token = source_json_member(&root, "token");
    struct json_value catalog = source_json_member(&token, "catalog");
    for (struct source_json_walk w = source_json_walk(&catalog);
         catalog.type == JSON_ARRAY && source_json_next(&w, NULL, &service);) {
        struct json_value type = source_json_member(&service, "type");
        if (!source_json_is_text(&type, "monitoring"))
            continue;
        struct json_value url = find_url(&service, region);
        if (url.type != JSON_ABSENT)
            return check_endpoint(source_json_dup(&url), err);
    }
    errbuf_set(err,
               "Keystone's catalogue has no endpoint of type monitoring, interface public%s%s; "
               "one can be given as monasca=URL",
               is_given(region) ? ", region " : "", is_given(region) ? region : "");
    return NULL;
}

static bool
add_text(struct buf *out, const struct json_value *value)
{
    char *text = source_json_dup(value);
    bool good = is_given(text);
    if (good)
        buf_printf(out, ": %.*s", REASON_MAX, text);
    free(text);
    return good;
}

void
keystone_add_reason(struct buf *out, struct slice body)
{
    struct json_value root, inner;
    if (source_json_check(body, &root, NULL) == -1)
        return;
    struct json_value error = source_json_member(&root, "error");
    struct json_value message = source_json_member(&error, "message");
    if (add_text(out, &message))
        return;
    /* The API: {"title", "description"}, or within one member called after the error. */
    struct json_value description = source_json_member(&root, "description");
    if (add_text(out, &description))
        return;
    for (struct source_json_walk w = source_json_walk(&root);
         root.type == JSON_OBJECT && source_json_next(&w, NULL, &inner);) {
        message = source_json_member(&inner, "message");
        if (add_text(out, &message))
            return;
    }
    struct json_value title = source_json_member(&root, "title");
    (void)add_text(out, &title);
}

/* --- asking --- */

static int
refuse(const struct keystone *k, const struct source_http_answer *answer, struct errbuf *err)
{
    struct buf reason;
    buf_init(&reason, 2 * REASON_MAX);
    keystone_add_reason(&reason, answer->body);
    const char *what = answer->status == 401
                           ? is_given(k->settings->token)
                                 ? " (the token is not valid, or not for this project)"
                                 : " (wrong user, password, domain or project)"
                           : "";
    errbuf_set(err, "Keystone at %s answered %ld%s%.*s", k->url.data, answer->status, what,
               (int)reason.size, reason.size > 0 ? reason.data : "");
    buf_free(&reason);
    return -1;
}

static int
take_answer(struct keystone *k, const struct source_http_answer *answer, struct errbuf *err)
{
    if (answer->status != 200 && answer->status != 201)
        return refuse(k, answer, err);
    if (answer->token[0] == '\0')
        return errbuf_set(err, "Keystone at %s sent no X-Subject-Token: is it Keystone?",
                          k->url.data);
    if (k->wants_endpoint) {
        char *endpoint = keystone_find_endpoint(answer->body, k->settings->region_name, err);
        if (endpoint == NULL)
            return -1;
        free(k->endpoint);
        k->endpoint = endpoint;
    }
    k->token = strdup(answer->token);
    return k->token != NULL ? 0 : errbuf_set(err, "out of memory");
}

static int
log_in(struct keystone *k, struct errbuf *err)
{
    struct source_http_answer answer;
    struct buf body;
    int result = -1;
    buf_init(&body, REQUEST_MAX);
    keystone_write_request(&body, k->settings);
    const struct source_http_request request = {.url = k->url.data, .body = {body.data, body.size}};
    if (body.failed)
        errbuf_set(err, "the credentials are longer than %d bytes", REQUEST_MAX);
    else if (source_http_send(k->http, &request, &answer, err) == -1)
        errbuf_prefix(err, "Keystone");
    else
        result = take_answer(k, &answer, err);
    if (body.data != NULL)
        explicit_bzero(body.data, body.size);
    buf_free(&body);
    return result;
}

const char *
keystone_token(struct keystone *keystone, struct errbuf *err)
{
    struct keystone *k = keystone;
    if (k->token != NULL)
        return k->token;
    if (k->url.size == 0) {
        k->token = strdup(k->settings->token);
        if (k->token == NULL)
            errbuf_set(err, "out of memory");
        return k->token;
    }
    return log_in(k, err) == 0 ? k->token : NULL;
}

bool
keystone_forget(struct keystone *keystone)
{
    free(keystone->token);
    keystone->token = NULL;
    return keystone->url.size > 0;
}

const char *
keystone_endpoint(const struct keystone *keystone)
{
    return keystone->endpoint != NULL ? keystone->endpoint : "";
}
