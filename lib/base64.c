/* SPDX-License-Identifier: Apache-2.0 */
/* base64.c - see base64.h. */
#include "lib/base64.h"

void
base64_add(struct buf *out, struct slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)bytes.p;
    size_t groups = (bytes.n + 2) / 3;
    if (buf_grow(out, groups * 4) == -1)
        return;
    char *at = out->data + out->size;
    for (size_t i = 0; i < bytes.n; i += 3, at += 4) {
        uint32_t v = (uint32_t)p[i] << 16;
        v |= i + 1 < bytes.n ? (uint32_t)p[i + 1] << 8 : 0;
        v |= i + 2 < bytes.n ? p[i + 2] : 0;
        at[0] = digits[v >> 18];
        at[1] = digits[v >> 12 & 63];
        at[2] = i + 1 < bytes.n ? digits[v >> 6 & 63] : '=';
        at[3] = i + 2 < bytes.n ? digits[v & 63] : '=';
    }
    out->size += groups * 4;
}

/* Returns: 0..63, or -1. */
static int
find_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes four characters, `pad` of them padding. Returns: 0 or -1. */
static int
decode_group(const char *in, size_t pad, char *out)
{
    uint32_t v = 0;
    for (size_t i = 0; i < 4; i++) {
        int digit = i < 4 - pad ? find_digit(in[i]) : 0;
        if (digit == -1)
            return -1;
        v = v << 6 | (uint32_t)digit;
    }
    if ((pad == 1 && (v & 0xff) != 0) || (pad == 2 && (v & 0xffff) != 0))
        return -1;
    for (size_t i = 0; i < 3 - pad; i++)
        out[i] = (char)(v >> (16 - 8 * i) & 0xff);
    return 0;
}

int
base64_decode(struct slice text, char *out, size_t *n)
{
    *n = 0;
    if (text.n % 4 != 0)
        return -1;
    for (size_t i = 0; i < text.n; i += 4) {
        size_t pad = 0;
        if (i + 4 == text.n && text.p[i + 3] == '=')
            pad = text.p[i + 2] == '=' ? 2 : 1;
        if (decode_group(text.p + i, pad, out + *n) == -1)
            return -1;
        *n += 3 - pad;
    }
    return 0;
}
