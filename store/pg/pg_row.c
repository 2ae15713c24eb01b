/* SPDX-License-Identifier: Apache-2.0 */
/* pg_row.c - see pg_row.h. */
#include "store/pg/pg_row.h"

#include <openssl/sha.h>

/* The bounds of timestamptz (datatype/timestamp.h). */
static const int64_t min_us = -211813488000000000, end_us = 9223371331200000000;

static void
add_u32(struct buf *b, uint32_t v)
{
    unsigned char bytes[4] = {(unsigned char)(v >> 24), (unsigned char)(v >> 16),
                              (unsigned char)(v >> 8), (unsigned char)v};
    buf_add(b, bytes, sizeof(bytes));
}

static void
add_u64(struct buf *b, uint64_t v)
{
    add_u32(b, (uint32_t)(v >> 32));
    add_u32(b, (uint32_t)v);
}

static void
add_counted(struct buf *b, struct slice s)
{
    add_u64(b, s.n);
    buf_add_slice(b, s);
}

int
pg_row_key(const struct measurement *m, struct buf *work, struct pg_key *key)
{
    buf_clear(work);
    add_counted(work, m->tenant_id);
    add_counted(work, m->region);
    add_counted(work, m->name);
    for (size_t i = 0; i < m->n_dimensions; i++) {
        add_counted(work, m->dimensions[i].name);
        add_counted(work, m->dimensions[i].value);
    }
    if (work->failed)
        return -1;
    SHA256((const unsigned char *)work->data, work->size, key->bytes);
    return 0;
}

static void
add_json_string(struct buf *b, struct slice s)
{
    buf_add_char(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20)
            buf_printf(b, "\\u%04x", c);
        else {
            if (c == '"' || c == '\\')
                buf_add_char(b, '\\');
            buf_add_char(b, (char)c);
        }
    }
    buf_add_char(b, '"');
}

void
pg_row_add_dimensions(struct buf *b, const struct measurement *m)
{
    buf_add_char(b, '{');
    for (size_t i = 0; i < m->n_dimensions; i++) {
        if (i > 0)
            buf_add_char(b, ',');
        add_json_string(b, m->dimensions[i].name);
        buf_add_char(b, ':');
        add_json_string(b, m->dimensions[i].value);
    }
    buf_add_char(b, '}');
}

int
pg_row_time(int64_t time_ms, int64_t *out)
{
    if (time_ms < min_us / 1000 + PG_ROW_EPOCH_MS || time_ms >= end_us / 1000 + PG_ROW_EPOCH_MS)
        return -1;
    *out = (time_ms - PG_ROW_EPOCH_MS) * 1000;
    return 0;
}

void
pg_row_begin(struct buf *b)
{
    static const char header[19] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";
    buf_add(b, header, sizeof(header));
}

static void
add_u16(struct buf *b, uint16_t v)
{
    unsigned char bytes[2] = {(unsigned char)(v >> 8), (unsigned char)v};
    buf_add(b, bytes, sizeof(bytes));
}

void
pg_row_end(struct buf *b)
{
    add_u16(b, UINT16_MAX);
}

void
pg_row_start(struct buf *b, int fields)
{
    add_u16(b, (uint16_t)fields);
}

int
pg_row_fields(struct slice row, struct slice *fields)
{
    assert(row.n >= 2);
    *fields = (struct slice){row.p + 2, row.n - 2};
    return (unsigned char)row.p[0] << 8 | (unsigned char)row.p[1];
}

void
pg_row_add_int8(struct buf *b, int64_t value)
{
    add_u32(b, 8);
    add_u64(b, (uint64_t)value);
}

void
pg_row_add_float8(struct buf *b, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    add_u32(b, 8);
    add_u64(b, bits);
}

void
pg_row_add_text(struct buf *b, struct slice text)
{
    add_u32(b, (uint32_t)text.n);
    buf_add_slice(b, text);
}

void
pg_row_add_jsonb(struct buf *b, struct slice text)
{
    if (text.n == 0) {
        add_u32(b, UINT32_MAX);
        return;
    }
    add_u32(b, (uint32_t)text.n + 1);
    buf_add_char(b, 1);
    buf_add_slice(b, text);
}
