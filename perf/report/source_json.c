/* SPDX-License-Identifier: Apache-2.0 */
/* source_json.c - see source_json.h. */
#include "perf/report/source_json.h"

#include <math.h>
#include <stdlib.h>

enum { NUMBER_BYTES = 64 }; /* 17 digits, a sign, a point and an exponent take 25 */

int
source_json_check(struct slice text, struct json_value *root, struct errbuf *err)
{
    struct json_scanner s;
    json_scanner_init(&s, text);
    if (json_scan_value(&s, root) == 0 && json_scan_end(&s) == 0)
        return 0;
    return errbuf_set(err, "the answer is not JSON: %s at byte %zu",
                      s.fault_text != NULL ? s.fault_text : "it is wrong",
                      s.start != NULL ? (size_t)(s.p - s.start) + 1 : 1);
}

struct source_json_walk
source_json_walk(const struct json_value *container)
{
    struct source_json_walk w = {.object = container->type == JSON_OBJECT};
    if (w.object) {
        json_scanner_init(&w.scanner, container->text);
        w.object = json_enter_object(&w.scanner) == 0;
    } else if (container->type == JSON_ARRAY) {
        w.rest = (struct slice){container->text.p + 1, container->text.n - 2};
    }
    return w;
}

/* The text was checked, so that at most one comma stands between two elements. */
static struct slice
skip_to_element(struct slice rest)
{
    while (rest.n > 0 && strchr(" \t\r\n,", rest.p[0]) != NULL) {
        rest.p++;
        rest.n--;
    }
    return rest;
}

static bool
next_element(struct source_json_walk *w, struct json_value *value)
{
    struct json_scanner s;
    w->rest = skip_to_element(w->rest);
    if (w->rest.n == 0)
        return false;
    json_scanner_init(&s, w->rest);
    if (json_scan_value(&s, value) == -1)
        return false;
    const char *end = value->text.p + value->text.n + (value->type == JSON_STRING);
    w->rest.n -= (size_t)(end - w->rest.p);
    w->rest.p = end;
    return true;
}

bool
source_json_next(struct source_json_walk *walk, struct json_value *name, struct json_value *value)
{
    struct json_value ignored;
    if (!walk->object)
        return next_element(walk, value);
    return json_next_member(&walk->scanner, name != NULL ? name : &ignored) == 1 &&
           json_scan_value(&walk->scanner, value) == 0;
}

struct json_value
source_json_member(const struct json_value *object, const char *name)
{
    static const struct json_value absent = {.type = JSON_ABSENT};
    struct json_value found, value;
    if (object->type != JSON_OBJECT)
        return absent;
    for (struct source_json_walk w = source_json_walk(object);
         source_json_next(&w, &found, &value);)
        if (source_json_is_text(&found, name))
            return value;
    return absent;
}

bool
source_json_is_text(const struct json_value *value, const char *text)
{
    return value->type == JSON_STRING && !value->escaped &&
           slice_equal(value->text, (struct slice){text, strlen(text)});
}

bool
source_json_number(const struct json_value *value, double *number)
{
    char text[NUMBER_BYTES];
    if (value->type != JSON_NUMBER || value->text.n >= sizeof(text))
        return false;
    memcpy(text, value->text.p, value->text.n);
    text[value->text.n] = '\0';
    *number = strtod(text, NULL);
    return isfinite(*number);
}

char *
source_json_dup(const struct json_value *value)
{
    if (value->type != JSON_STRING)
        return NULL;
    size_t n;
    char *text = malloc(value->text.n + 1);
    if (text == NULL)
        return NULL;
    if (json_unescape(value->text, text, &n) == -1 || memchr(text, '\0', n) != NULL) {
        free(text);
        return NULL;
    }
    text[n] = '\0';
    return text;
}
