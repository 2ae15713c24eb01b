/* SPDX-License-Identifier: Apache-2.0 */
/* json_text.c - see json_text.h. */
#include "lib/json_text.h"

#include <stdio.h>
#include <string.h>

#include "lib/json.h"

void
json_add_utf8(struct buf *out, struct slice text, const char *(*escape)(unsigned char c))
{
    while (text.n > 0) {
        size_t size = json_utf8_size(text.p, text.n);
        const char *instead = size == 1 ? escape((unsigned char)*text.p) : NULL;
        if (size == 0)
            instead = "\xef\xbf\xbd";
        if (instead != NULL)
            buf_add_text(out, instead);
        else
            buf_add(out, text.p, size);
        text.p += size > 0 ? size : 1;
        text.n -= size > 0 ? size : 1;
    }
}

static const char *
escape_json(unsigned char c)
{
    static _Thread_local char text[8];
    if (c == '"')
        return "\\\"";
    if (c == '\\')
        return "\\\\";
    if (c >= 0x20 && c != 0x7f)
        return NULL;
    snprintf(text, sizeof(text), "\\u%04x", c);
    return text;
}

void
json_add_slice(struct buf *out, struct slice text)
{
    buf_add_char(out, '"');
    json_add_utf8(out, text, escape_json);
    buf_add_char(out, '"');
}

void
json_add_text(struct buf *out, const char *text)
{
    json_add_slice(out, (struct slice){text, strlen(text)});
}
