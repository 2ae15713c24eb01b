/* SPDX-License-Identifier: Apache-2.0 */
/* source_api.c - see source_api.h. */
#include "perf/report/source_api.h"

#include <stdlib.h>

#include "perf/report/source_json.h"
#include "perf/report/source_time.h"

enum { SERIES_MAX = 100000, DIMENSIONS_MAX = 64, TEXT_MAX = 65536 };

/* --- dimensions --- */

struct dimension {
    char *name, *value;
};

struct dimensions {
    struct dimension list[DIMENSIONS_MAX];
    size_t n;
};

static void
free_dimensions(struct dimensions *d)
{
    for (size_t i = 0; i < d->n; i++) {
        free(d->list[i].name);
        free(d->list[i].value);
    }
}

static int
compare_dimensions(const void *a, const void *b)
{
    const struct dimension *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* An empty value means that there is no such dimension: so group_by=* says. */
static int
read_dimensions(const struct json_value *object, struct dimensions *d, struct errbuf *err)
{
    struct json_value name, value;
    d->n = 0;
    if (object->type != JSON_OBJECT)
        return errbuf_set(err, "a series has no \"dimensions\"");
    for (struct source_json_walk w = source_json_walk(object);
         source_json_next(&w, &name, &value);) {
        if (value.type == JSON_STRING && value.text.n == 0)
            continue;
        if (d->n == DIMENSIONS_MAX)
            return errbuf_set(err, "a series has more than %d dimensions", DIMENSIONS_MAX);
        struct dimension *new = &d->list[d->n++];
        *new = (struct dimension){.name = source_json_dup(&name), .value = source_json_dup(&value)};
        if (new->name == NULL || new->value == NULL)
            return errbuf_set(err, "a series has a dimension that is no text");
    }
    qsort(d->list, d->n, sizeof(d->list[0]), compare_dimensions);
    return 0;
}

/* Returns: "k:v,k2:v2", to be freed; NULL if memory is out. */
static char *
join_dimensions(const struct dimensions *d)
{
    struct buf b;
    buf_init(&b, TEXT_MAX);
    for (size_t i = 0; i < d->n; i++)
        buf_printf(&b, "%s%s:%s", i > 0 ? "," : "", d->list[i].name, d->list[i].value);
    buf_add_char(&b, '\0');
    char *text = b.failed ? NULL : strdup(b.data);
    buf_free(&b);
    return text;
}

static char *
dup_dimension(const struct dimensions *d, const char *name)
{
    for (size_t i = 0; i < d->n; i++)
        if (strcmp(d->list[i].name, name) == 0)
            return strdup(d->list[i].value);
    return strdup("");
}

/* --- pages --- */

/* Finds the value of "offset" in a URL's query and takes it as it is quoted. */
static void
take_offset(const char *href, char offset[API_OFFSET_BYTES])
{
    static const char name[] = "offset=";
    const char *p = strchr(href, '?');
    while (p != NULL && strncmp(p + 1, name, sizeof(name) - 1) != 0)
        p = strchr(p + 1, '&');
    if (p == NULL)
        return;
    p += sizeof(name);
    size_t n = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%:");
    if (n >= API_OFFSET_BYTES || (p[n] != '\0' && p[n] != '&'))
        return;
    memcpy(offset, p, n);
    offset[n] = '\0';
}

static void
read_links(const struct json_value *root, struct api_page *page)
{
    struct json_value links = source_json_member(root, "links"), link;
    *page = (struct api_page){.more = false};
    for (struct source_json_walk w = source_json_walk(&links);
         links.type == JSON_ARRAY && source_json_next(&w, NULL, &link);) {
        struct json_value rel = source_json_member(&link, "rel");
        struct json_value href = source_json_member(&link, "href");
        if (!source_json_is_text(&rel, "next"))
            continue;
        char *url = source_json_dup(&href);
        page->more = true;
        if (url != NULL)
            take_offset(url, page->offset);
        free(url);
    }
}

/* Reads what every answer has. */
static int
read_page(struct slice body, struct json_value *elements, struct api_page *page, struct errbuf *err)
{
    struct json_value root;
    if (source_json_check(body, &root, err) == -1)
        return -1;
    *elements = source_json_member(&root, "elements");
    if (elements->type != JSON_ARRAY)
        return errbuf_set(err, "the answer has no \"elements\": is it the Monasca API?");
    read_links(&root, page);
    return 0;
}

/* --- series --- */

static int
add_series(struct api_list *list, const struct dimensions *d, struct errbuf *err)
{
    if (list->n == SERIES_MAX)
        return errbuf_set(err, "there are more than %d series of one name", SERIES_MAX);
    if (list->n == list->capacity) {
        size_t more = list->capacity == 0 ? 16 : 2 * list->capacity;
        void *bigger = reallocarray(list->series, more, sizeof(*list->series));
        if (bigger == NULL)
            return errbuf_set(err, "out of memory");
        list->series = bigger;
        list->capacity = more;
    }
    struct api_series *s = &list->series[list->n++];
    *s = (struct api_series){.dimensions = join_dimensions(d),
                             .instance = dup_dimension(d, "instance"),
                             .hostname = dup_dimension(d, "hostname"),
                             .process = dup_dimension(d, "process")};
    if (s->dimensions == NULL || s->instance == NULL || s->hostname == NULL || s->process == NULL)
        return errbuf_set(err, "memory is out, or dimensions take more than %d bytes", TEXT_MAX);
    return 0;
}

int
api_read_series(struct slice body, struct api_list *list, struct api_page *page, struct errbuf *err)
{
    struct json_value elements, element;
    if (read_page(body, &elements, page, err) == -1)
        return -1;
    for (struct source_json_walk w = source_json_walk(&elements);
         source_json_next(&w, NULL, &element);) {
        struct json_value object = source_json_member(&element, "dimensions");
        struct dimensions d;
        int result = read_dimensions(&object, &d, err);
        if (result == 0)
            result = add_series(list, &d, err);
        free_dimensions(&d);
        if (result == -1)
            return -1;
        page->n++;
    }
    return 0;
}

void
api_list_free(struct api_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->series[i].dimensions);
        free(list->series[i].instance);
        free(list->series[i].hostname);
        free(list->series[i].process);
    }
    free(list->series);
    *list = (struct api_list){.n = 0};
}

/* --- points --- */

/* Returns: 1 if the element is the series meant, 0 if not, -1 with a text. */
static int
is_meant(const struct json_value *element, const char *only, struct errbuf *err)
{
    struct json_value object = source_json_member(element, "dimensions");
    struct dimensions d;
    if (only == NULL)
        return 1;
    int result = read_dimensions(&object, &d, err);
    char *text = result == 0 ? join_dimensions(&d) : NULL;
    if (text != NULL)
        result = strcmp(text, only) == 0;
    else if (result == 0)
        result = errbuf_set(err, "out of memory");
    free(text);
    free_dimensions(&d);
    return result;
}

/* Returns: the number of a column; -1 if there is none. */
static int
find_column(const struct json_value *element, const char *name)
{
    struct json_value columns = source_json_member(element, "columns"), column;
    int n = 0;
    for (struct source_json_walk w = source_json_walk(&columns);
         columns.type == JSON_ARRAY && source_json_next(&w, NULL, &column); n++)
        if (source_json_is_text(&column, name))
            return n;
    return -1;
}

/* One element's columns of interest. */
struct columns {
    int at, value;
};

static int
read_point(const struct json_value *point, const struct columns *columns,
           const struct api_points *p, struct api_page *page, struct errbuf *err)
{
    struct json_value at = {.type = JSON_ABSENT}, value = at, any;
    double number;
    int n = 0;
    for (struct source_json_walk w = source_json_walk(point);
         point->type == JSON_ARRAY && source_json_next(&w, NULL, &any); n++) {
        if (n == columns->at)
            at = any;
        if (n == columns->value)
            value = any;
    }
    if (at.type != JSON_STRING || source_time_parse(at.text, &page->last_ms) == -1)
        return errbuf_set(err, "a point has no time like 2026-11-23T06:00:00.123Z: %.*s",
                          point->text.n < 60 ? (int)point->text.n : 60, point->text.p);
    page->n++;
    if (value.type == JSON_NULL)
        return 0;
    if (!source_json_number(&value, &number))
        return errbuf_set(err, "a point has no number for its \"%s\": %.*s", p->column,
                          point->text.n < 60 ? (int)point->text.n : 60, point->text.p);
    return p->take(p->arg, page->last_ms, number, err);
}

static int
read_element(const struct json_value *element, const struct api_points *p, struct api_page *page,
             struct errbuf *err)
{
    struct json_value points = source_json_member(element, p->elements), point;
    const struct columns columns = {find_column(element, "timestamp"),
                                    find_column(element, p->column)};
    int meant = is_meant(element, p->only, err);
    if (meant != 1)
        return meant;
    if (points.type != JSON_ARRAY || columns.at == -1 || columns.value == -1)
        return errbuf_set(err, "an element has no \"%s\", or no columns \"timestamp\" and \"%s\"",
                          p->elements, p->column);
    for (struct source_json_walk w = source_json_walk(&points); source_json_next(&w, NULL, &point);)
        if (read_point(&point, &columns, p, page, err) == -1)
            return -1;
    return 0;
}

int
api_read_points(struct slice body, const struct api_points *points, struct api_page *page,
                struct errbuf *err)
{
    struct json_value elements, element;
    if (read_page(body, &elements, page, err) == -1)
        return -1;
    for (struct source_json_walk w = source_json_walk(&elements);
         source_json_next(&w, NULL, &element);)
        if (read_element(&element, points, page, err) == -1)
            return -1;
    return 0;
}
