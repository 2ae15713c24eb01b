/* SPDX-License-Identifier: Apache-2.0 */
/* printable.c - see printable.h. */
#include "lib/printable.h"

#include "lib/json.h"

/* Takes: a character of 2 or 3 bytes. */
static uint32_t
code_of(const unsigned char *p, size_t size)
{
    if (size == 2)
        return (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
    return (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
}

static bool
is_fit(uint32_t code)
{
    if (code < 0xa0 || code == 0x061c || code == 0x200e || code == 0x200f)
        return false;
    return !(code >= 0x2028 && code <= 0x202e) && !(code >= 0x2066 && code <= 0x2069);
}

size_t
printable_size(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t size = json_utf8_size(text, n);
    if (size == 1)
        return p[0] >= 0x20 && p[0] != 0x7f;
    if (size == 2 || size == 3)
        return is_fit(code_of(p, size)) ? size : 0;
    return size;
}

void
printable_clean(char *text)
{
    char *to = text;
    for (size_t n = strlen(text); n > 0;) {
        size_t size = printable_size(text, n);
        if (size > 0) {
            memmove(to, text, size);
            to += size;
        } else {
            size = json_utf8_size(text, n); /* a whole character, if it is one */
            size = size > 0 ? size : 1;
            *to++ = '?';
        }
        text += size;
        n -= size;
    }
    *to = '\0';
}
