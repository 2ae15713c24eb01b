/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode_hole.h - reads what changes in a metric's message from one to the next (series.h): mostly
 * numbers, which cost a few instructions here.
 *
 * Process: workers.  Owner: the caller's structures.  Concurrency: any thread.
 */
#ifndef RECORD_DECODE_HOLE_H
#define RECORD_DECODE_HOLE_H

#include "record/decode_priv.h"

enum { PLAIN_DIGITS = 15 }; /* so that a double, and a time's bounds, hold them */

static inline bool
hole_is_digit(char c)
{
    return (unsigned char)(c - '0') <= 9;
}

/* Eight digits at once, as a number: pairs, then pairs of these, then both halves. */
static inline bool
hole_read_eight(const char *p, int64_t *number)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    v -= UINT64_C(0x3030303030303030);
    if (((v | (v + UINT64_C(0x7676767676767676))) & UINT64_C(0x8080808080808080)) != 0)
        return false;
    v = v * 10 + (v >> 8);
    v = (v & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064) +
        (v >> 16 & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x0000271000000001);
    *number = (int64_t)(v >> 32);
    return true;
}

/* Over digits, at most to `most`. */
static inline const char *
hole_read_digits(const char *p, const char *most, int64_t *number)
{
    int64_t value = 0;
    if (most - p >= 8 && hole_read_eight(p, &value))
        p += 8;
    while (p < most) {
        unsigned digit = (unsigned char)*p - (unsigned)'0';
        if (digit > 9)
            break;
        value = value * 10 + digit;
        p++;
    }
    *number = value;
    return p;
}

/*
 * A number without sign and exponent, whose digits a double holds, and "null".
 * Returns: its end, or NULL: it is for the scanner.
 */
static inline const char *
hole_read_plain(const char *p, const char *end, struct known_hole *hole)
{
    const char *begin = p, *most = end - p > PLAIN_DIGITS ? p + PLAIN_DIGITS : end - 1;
    int64_t integer = 0;
    if (end - p > 4 && memcmp(p, "null", 4) == 0) {
        hole->type = JSON_NULL;
        return p + 4;
    }
    p = hole_read_digits(p, most, &integer);
    if (p == begin || (*begin == '0' && p > begin + 1))
        return NULL;
    hole->integer = *p != '.';
    if (!hole->integer) {
        const char *fraction = ++p;
        while (p < most && hole_is_digit(*p))
            p++;
        if (p == fraction)
            return NULL;
    }
    if (p >= end || hole_is_digit(*p) || *p == '.' || (*p | 0x20) == 'e')
        return NULL;
    hole->type = JSON_NUMBER;
    hole->plain = true;
    hole->number = integer;
    return p;
}

/*
 * Reads a hole: one whole JSON value, wherever it stands. Blanks before it are none of it.
 * Takes: where it begins; the message's end; how many containers it is in.
 * Returns: its end, or NULL.
 */
static inline const char *
hole_read(const char *p, const char *end, unsigned depth, struct known_hole *hole)
{
    const char *after = hole_read_plain(p, end, hole);
    if (after != NULL)
        return after;
    if (p == end || (unsigned char)*p <= ' ')
        return NULL;
    struct json_scanner scanner = {.start = p, .p = p, .end = end, .depth = depth};
    struct json_value value;
    if (json_scan_value(&scanner, &value) == -1)
        return NULL;
    hole->type = value.type;
    return scanner.p;
}

#endif
