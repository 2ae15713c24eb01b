/* SPDX-License-Identifier: Apache-2.0 */
/* buf.c - see buf.h. */
#include "lib/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void
buf_init(struct buf *b, size_t max)
{
    assert(max > 0 && max <= SIZE_MAX / 2);
    *b = (struct buf){.max = max};
}

int
buf_grow(struct buf *b, size_t extra)
{
    if (extra <= b->capacity - b->size)
        return 0;
    if (extra > b->max - b->size) {
        b->failed = true;
        return -1;
    }
    size_t need = b->size + extra;
    size_t capacity = b->capacity * 2 < 256 ? 256 : b->capacity * 2;
    if (capacity < need)
        capacity = need;
    if (capacity > b->max)
        capacity = b->max;
    char *data = realloc(b->data, capacity);
    if (data == NULL) {
        b->failed = true;
        return -1;
    }
    b->data = data;
    b->capacity = capacity;
    return 0;
}

void
buf_add(struct buf *b, const void *bytes, size_t n)
{
    if (n == 0 || buf_grow(b, n) == -1)
        return;
    memcpy(b->data + b->size, bytes, n);
    b->size += n;
}

void
buf_add_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void
buf_add_text(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

void
buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    /* vsnprintf wants room for its NUL, too. */
    if (n < 0 || buf_grow(b, (size_t)n + 1) == -1) {
        b->failed = true;
        return;
    }
    va_start(args, format);
    vsnprintf(b->data + b->size, (size_t)n + 1, format, args);
    va_end(args);
    b->size += (size_t)n;
}

void
buf_truncate(struct buf *b, size_t size)
{
    assert(size <= b->size);
    b->size = size;
    b->failed = false;
}

void
buf_free(struct buf *b)
{
    free(b->data);
    buf_init(b, b->max);
}
