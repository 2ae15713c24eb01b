/* SPDX-License-Identifier: Apache-2.0 */
/* pg_row.c - see pg_row.h. */
#include "store/pg/pg_row.h"

#include <endian.h>
#include <openssl/evp.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* The bounds of timestamptz (datatype/timestamp.h). */
static const int64_t min_us = -211813488000000000, end_us = 9223371331200000000;

static inline char *
put_u16(char *out, uint16_t v)
{
    v = htobe16(v);
    memcpy(out, &v, sizeof(v));
    return out + sizeof(v);
}

static inline char *
put_u32(char *out, uint32_t v)
{
    v = htobe32(v);
    memcpy(out, &v, sizeof(v));
    return out + sizeof(v);
}

static inline char *
put_u64(char *out, uint64_t v)
{
    v = htobe64(v);
    memcpy(out, &v, sizeof(v));
    return out + sizeof(v);
}

static inline char *
put_int8(char *out, int64_t v)
{
    return put_u64(put_u32(out, 8), (uint64_t)v);
}

static inline uint64_t
bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static void
add_u32(struct buf *b, uint32_t v)
{
    v = htobe32(v);
    buf_add(b, &v, sizeof(v));
}

static void
add_u64(struct buf *b, uint64_t v)
{
    v = htobe64(v);
    buf_add(b, &v, sizeof(v));
}

static inline char *
put_counted(char *out, struct slice s)
{
    out = put_u64(out, s.n);
    if (s.n > 0)
        memcpy(out, s.p, s.n);
    return out + s.n;
}

/* The algorithm is looked up once: libcrypto takes as long for that as for hashing a short text. */
static int
digest(const struct buf *bytes, struct pg_key *key)
{
    static EVP_MD *algorithm;
    static EVP_MD_CTX *context;
    if (algorithm == NULL)
        algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (context == NULL)
        context = EVP_MD_CTX_new();
    if (algorithm == NULL || context == NULL ||
        EVP_DigestInit_ex2(context, algorithm, NULL) != 1 ||
        EVP_DigestUpdate(context, bytes->data, bytes->size) != 1 ||
        EVP_DigestFinal_ex(context, key->bytes, NULL) != 1)
        return -1;
    return 0;
}

int
pg_row_key(const struct measurement *m, struct buf *work, struct pg_key *key)
{
    size_t n = m->tenant_id.n + m->region.n + m->name.n + (3 + 2 * m->n_dimensions) * sizeof(uint64_t);
    for (size_t i = 0; i < m->n_dimensions; i++)
        n += m->dimensions[i].name.n + m->dimensions[i].value.n;
    buf_clear(work);
    if (buf_grow(work, n) == -1)
        return -1;
    char *out = put_counted(work->data, m->tenant_id);
    out = put_counted(out, m->region);
    out = put_counted(out, m->name);
    for (size_t i = 0; i < m->n_dimensions; i++) {
        out = put_counted(out, m->dimensions[i].name);
        out = put_counted(out, m->dimensions[i].value);
    }
    work->size = n;
    return digest(work, key);
}

static const char hex_digits[] = "0123456789abcdef";

void
pg_row_add_hex(struct buf *b, const struct pg_key *key)
{
    static const char before[] = "\"\\\\x";
    if (buf_grow(b, sizeof(before) + 2 * PG_KEY_BYTES + 1) == -1)
        return;
    buf_add(b, before, sizeof(before) - 1);
    char *out = b->data + b->size;
    for (int i = 0; i < PG_KEY_BYTES; i++) {
        *out++ = hex_digits[key->bytes[i] >> 4];
        *out++ = hex_digits[key->bytes[i] & 15];
    }
    *out++ = '"';
    b->size = (size_t)(out - b->data);
}

enum { CONTROL_BYTES = 6 }; /* \u001f */

/* One byte that may need an escape. */
static inline char *
put_special(char *out, unsigned char c, bool json)
{
    if (json && c < 0x20) {
        memcpy(out, "\\u00", 4);
        out[4] = hex_digits[c >> 4];
        out[5] = hex_digits[c & 15];
        return out + CONTROL_BYTES;
    }
    if (c == '"' || c == '\\')
        *out++ = '\\';
    *out++ = (char)c;
    return out;
}

/* There is room for as many more escapes as bytes are left, so also for what is copied too much. */
static char *
put_escaped(char *out, struct slice text, bool json)
{
    const char *p = text.p, *end = p + text.n;
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), escape = _mm_set1_epi8('\\');
    const __m128i control = _mm_set1_epi8(json ? 0x1f : 0);
    while (end - p >= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        _mm_storeu_si128((__m128i *)(void *)out, v);
        __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, control), v);
        __m128i other = _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, escape));
        int found = _mm_movemask_epi8(_mm_or_si128(low, other));
        int n = found == 0 ? 16 : __builtin_ctz((unsigned)found);
        p += n;
        out += n;
        if (found != 0)
            out = put_special(out, (unsigned char)*p++, json);
    }
#endif
    while (p < end)
        out = put_special(out, (unsigned char)*p++, json);
    return out;
}

void
pg_row_add_quoted(struct buf *b, struct slice text, bool json)
{
    if (buf_grow(b, (json ? CONTROL_BYTES : 2) * text.n + 2) == -1)
        return;
    char *out = b->data + b->size;
    *out++ = '"';
    out = put_escaped(out, text, json);
    *out++ = '"';
    b->size = (size_t)(out - b->data);
}

void
pg_row_add_dimensions(struct buf *b, const struct measurement *m)
{
    buf_add_char(b, '{');
    for (size_t i = 0; i < m->n_dimensions; i++) {
        if (i > 0)
            buf_add_char(b, ',');
        pg_row_add_quoted(b, m->dimensions[i].name, true);
        buf_add_char(b, ':');
        pg_row_add_quoted(b, m->dimensions[i].value, true);
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
    v = htobe16(v);
    buf_add(b, &v, sizeof(v));
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

void
pg_row_add_measurement(struct buf *b, const int64_t *first, const struct pg_row_measurement *m)
{
    enum { NUMBER_BYTES = 4 + 8, FIXED_BYTES = 2 + 4 * NUMBER_BYTES + 4 + 1 };
    if (buf_grow(b, FIXED_BYTES + m->value_meta.n) == -1)
        return;
    char *out = put_u16(b->data + b->size, first != NULL ? 5 : 4);
    if (first != NULL)
        out = put_int8(out, *first);
    out = put_int8(out, m->series);
    out = put_int8(out, m->time_us);
    out = put_int8(out, (int64_t)bits_of(m->value));
    if (m->value_meta.n == 0) {
        out = put_u32(out, UINT32_MAX);
    } else {
        out = put_u32(out, (uint32_t)m->value_meta.n + 1);
        *out++ = 1;
        memcpy(out, m->value_meta.p, m->value_meta.n);
        out += m->value_meta.n;
    }
    b->size = (size_t)(out - b->data);
}
