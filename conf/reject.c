/* SPDX-License-Identifier: Apache-2.0 */
/* reject.c - see reject.h. */
#include "conf/reject.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/printable.h"
#include "lib/roff.h"

static const char *const names[REJECT_REASONS] = {
#define REJECT(NAME, name, help) #name,
#include "conf/reject.def"
#undef REJECT
};

const char *
reject_name(enum reject_reason reason)
{
    assert((unsigned)reason < REJECT_REASONS);
    return names[reason];
}

void
reject_write_man(struct buf *out)
{
    static const char *const helps[REJECT_REASONS] = {
#define REJECT(NAME, name, help) help,
#include "conf/reject.def"
#undef REJECT
    };
    for (size_t i = 0; i < REJECT_REASONS; i++) {
        buf_printf(out, ".TP\n.B %s\n", names[i]);
        roff_add(out, helps[i]);
        buf_add_char(out, '\n');
    }
}

/* Cuts back over a UTF-8 sequence that vsnprintf split. */
static void
trim_partial_utf8(char *text, size_t n)
{
    size_t start = n;
    while (start > 0 && n - start < 3 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
        start--;
    if (start == 0)
        return;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    if (want > n - start + 1)
        text[start - 1] = '\0';
}

int
reject_set(struct reject *why, enum reject_reason reason, const char *format, ...)
{
    why->reason = reason;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(why->detail, sizeof(why->detail), format, args);
    va_end(args);
    if (n < 0)
        why->detail[0] = '\0';
    else if ((size_t)n >= sizeof(why->detail))
        trim_partial_utf8(why->detail, sizeof(why->detail) - 1);
    printable_clean(why->detail);
    return -1;
}
