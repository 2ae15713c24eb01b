/* SPDX-License-Identifier: Apache-2.0 */
/* json_out.c - see json_out.h. */
#include "admin/json_out.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "figures/figures_json.h"
#include "lib/json_text.h"

void
json_out_init(struct json_out *j, struct buf *b, bool pretty)
{
    *j = (struct json_out){.b = b, .pretty = pretty, .first = true};
}

static void
new_line(struct json_out *j)
{
    if (!j->pretty)
        return;
    buf_add_char(j->b, '\n');
    for (unsigned i = 0; i < j->depth; i++)
        buf_add_text(j->b, "  ");
}

static void
add_name(struct json_out *j, const char *name)
{
    if (!j->first)
        buf_add_char(j->b, ',');
    j->first = false;
    if (name == NULL)
        return;
    new_line(j);
    json_add_text(j->b, name);
    buf_add_text(j->b, j->pretty ? " : " : ":");
}

void
json_out_open(struct json_out *j, const char *name)
{
    add_name(j, name);
    buf_add_char(j->b, '{');
    j->depth++;
    j->first = true;
}

void
json_out_close(struct json_out *j)
{
    assert(j->depth > 0);
    j->depth--;
    if (!j->first)
        new_line(j);
    else if (j->pretty)
        buf_add_char(j->b, ' '); /* Jackson's empty object */
    buf_add_char(j->b, '}');
    j->first = false;
    if (j->depth == 0)
        buf_add_char(j->b, '\n');
}

void
json_out_text(struct json_out *j, const char *name, const char *text)
{
    add_name(j, name);
    json_add_text(j->b, text);
}

void
json_out_u64(struct json_out *j, const char *name, uint64_t value)
{
    add_name(j, name);
    buf_printf(j->b, "%" PRIu64, value);
}

void
json_out_i64(struct json_out *j, const char *name, int64_t value)
{
    add_name(j, name);
    buf_printf(j->b, "%" PRId64, value);
}

/* The fewest digits that read back as the same number. */
static void
add_double(struct buf *b, double value)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    buf_add_text(b, text);
    if (strpbrk(text, ".e") == NULL)
        buf_add_text(b, ".0");
}

void
json_out_double(struct json_out *j, const char *name, double value)
{
    if (!isfinite(value)) {
        json_out_null(j, name);
        return;
    }
    add_name(j, name);
    add_double(j->b, value);
}

void
json_out_bool(struct json_out *j, const char *name, bool value)
{
    add_name(j, name);
    buf_add_text(j->b, value ? "true" : "false");
}

void
json_out_null(struct json_out *j, const char *name)
{
    add_name(j, name);
    buf_add_text(j->b, "null");
}
