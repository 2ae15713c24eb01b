/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf.h - a growable byte buffer that is given its maximum at init.
 *
 * Process: all.  Owner: whoever called buf_init; buf_free ends it.
 * Concurrency: one thread.
 */
#ifndef LIB_BUF_H
#define LIB_BUF_H

#include "lib/base.h"

struct buf {
    char *data; /* NULL until the first byte */
    size_t size, capacity, max;
    bool failed; /* something did not fit since the last buf_clear */
};

/* Takes: the most bytes it may ever hold, 1..SIZE_MAX/2. Allocates nothing yet. */
void buf_init(struct buf *b, size_t max);

/*
 * Makes room for `extra` more bytes.
 * Returns: 0, or -1 if that exceeds the maximum or memory is out; `failed` is then set.
 */
int buf_grow(struct buf *b, size_t extra);

/* Appends bytes. What does not fit is not appended, not even in part; `failed` tells. */
void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_add_char(struct buf *b, char c);
void buf_add_text(struct buf *b, const char *text);
void buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);

static inline void
buf_add_slice(struct buf *b, struct slice s)
{
    buf_add(b, s.p, s.n);
}

/* Cuts back to `size` bytes (at most the present size) and clears `failed`. */
void buf_truncate(struct buf *b, size_t size);

static inline void
buf_clear(struct buf *b)
{
    buf_truncate(b, 0);
}

/* Gives the memory back; the buffer may be used again with the same maximum. */
void buf_free(struct buf *b);

#endif
