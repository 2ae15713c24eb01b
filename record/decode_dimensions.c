/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode_dimensions.c - a metric's dimensions: read as the pass comes to them, sorted and judged
 * after it, so that a flaw counts only in the last of duplicates.
 *
 * Process: workers.  Owner: the worker that made the decoder.  Concurrency: one thread per decoder.
 */
#include "record/decode_number.h"
#include "record/decode_priv.h"

enum {
    RUN = 16, /* dimensions that are sorted by insertion: all of them, but for hostile messages */
    NAME_SHOWN = 64 /* bytes of a dimension's name in a detail */
};

/* Numbers and booleans are the text that upstream's str() makes of them; the rest is no text. */
static enum flaw
read_dimension_value(struct decoder *d, const struct json_value *value, struct slice *out)
{
    size_t n;
    switch (value->type) {
    case JSON_NUMBER:
        n = value->text.n > DECODE_PYTHON_TEXT_MAX ? value->text.n : DECODE_PYTHON_TEXT_MAX;
        n = decode_number_python_text(value->text, decode_find_room(d, n));
        *out = decode_keep_room(d, n);
        return n == 0 ? FLAW_NOT_FINITE : FLAW_NONE;
    case JSON_TRUE:
        *out = SLICE("True");
        return FLAW_NONE;
    case JSON_FALSE:
        *out = SLICE("False");
        return FLAW_NONE;
    default:
        return decode_read_text(d, value, TEXT_LINE, out);
    }
}

static void
add_dimension(struct decoder *d, const struct json_value *name, const struct json_value *value)
{
    if (d->n_dimensions == DECODE_DIMENSIONS_MAX) {
        d->dimensions_flaw = FLAW_CROWDED;
        return;
    }
    struct dimension *dimension = &d->dimensions[d->n_dimensions];
    enum flaw flaw = decode_read_text(d, name, TEXT_LINE | TEXT_FILLED, &dimension->name);
    if (flaw != FLAW_NONE) {
        d->name_flaw = flaw;
        return;
    }
    flaw = read_dimension_value(d, value, &dimension->value);
    if (flaw != FLAW_NONE)
        dimension->value = (struct slice){NULL, flaw};
    d->n_dimensions++;
}

int
decode_scan_dimensions(struct decoder *d)
{
    struct json_value name, value;
    int more;
    d->n_dimensions = 0;
    d->dimensions_flaw = d->name_flaw = FLAW_NONE;
    if (json_enter_object(&d->scanner) == -1)
        return -1;
    while ((more = json_next_member(&d->scanner, &name)) == 1) {
        if (json_scan_value(&d->scanner, &value) == -1)
            return -1;
        add_dimension(d, &name, &value);
    }
    return more;
}

static void
sort_run(struct dimension *run, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct dimension moving = run[i];
        size_t hole = i;
        for (; hole > 0 && slice_compare(run[hole - 1].name, moving.name) > 0; hole--)
            run[hole] = run[hole - 1];
        run[hole] = moving;
    }
}

static void
merge_runs(const struct dimension *left, size_t n_left, const struct dimension *right,
           size_t n_right, struct dimension *out)
{
    while (n_left > 0 && n_right > 0) {
        bool take_right = slice_compare(left->name, right->name) > 0;
        *out++ = take_right ? *right++ : *left++;
        if (take_right)
            n_right--;
        else
            n_left--;
    }
    memcpy(out, left, n_left * sizeof(*out));
    memcpy(out + n_left, right, n_right * sizeof(*out));
}

static inline size_t
min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Stable (of equal names the last stays last), without recursion, n log n whatever the order. */
static void
sort_dimensions(struct decoder *d)
{
    size_t n = d->n_dimensions;
    for (size_t i = 0; i < n; i += RUN)
        sort_run(d->dimensions + i, min_size(RUN, n - i));
    for (size_t width = RUN; width < n; width *= 2) {
        for (size_t i = 0; i < n; i += 2 * width) {
            size_t n_left = min_size(width, n - i), n_right = min_size(width, n - i - n_left);
            const struct dimension *left = d->dimensions + i;
            merge_runs(left, n_left, left + n_left, n_right, d->merged + i);
        }
        struct dimension *sorted = d->merged;
        d->merged = d->dimensions;
        d->dimensions = sorted;
    }
}

/* Of dimensions of the same name, the last stays. */
static void
drop_duplicates(struct decoder *d)
{
    size_t kept = 0;
    for (size_t i = 0; i < d->n_dimensions; i++) {
        if (kept > 0 && slice_equal(d->dimensions[kept - 1].name, d->dimensions[i].name))
            kept--;
        d->dimensions[kept++] = d->dimensions[i];
    }
    d->n_dimensions = kept;
}

/* How many bytes of a name to show: whole characters. */
static int
shown_size(struct slice name)
{
    size_t n = min_size(name.n, NAME_SHOWN);
    while (n > 0 && n < name.n && ((unsigned char)name.p[n] & 0xc0) == 0x80)
        n--;
    return (int)n;
}

int
decode_take_dimensions(struct decoder *d, struct measurement *m, struct reject *why)
{
    enum json_type type = d->metric[METRIC_DIMENSIONS].type;
    if (type == JSON_ABSENT || type == JSON_NULL)
        return 0;
    if (type != JSON_OBJECT)
        return reject_set(why, REJECT_BAD_ENVELOPE, "metric.dimensions: not an object");
    if (d->dimensions_flaw != FLAW_NONE)
        return reject_set(why, decode_flaw_info(d->dimensions_flaw)->reason,
                          "metric.dimensions: %s", decode_flaw_info(d->dimensions_flaw)->text);
    if (d->name_flaw != FLAW_NONE)
        return reject_set(why, decode_flaw_info(d->name_flaw)->reason,
                          "metric.dimensions: a name: %s", decode_flaw_info(d->name_flaw)->text);
    sort_dimensions(d);
    drop_duplicates(d);
    for (size_t i = 0; i < d->n_dimensions; i++) {
        const struct dimension *bad = &d->dimensions[i];
        if (bad->value.p == NULL)
            return reject_set(why, decode_flaw_info(bad->value.n)->reason,
                              "metric.dimensions.%.*s: %s", shown_size(bad->name), bad->name.p,
                              decode_flaw_info(bad->value.n)->text);
    }
    m->dimensions = d->dimensions;
    m->n_dimensions = d->n_dimensions;
    return 0;
}
