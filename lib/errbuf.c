/* SPDX-License-Identifier: Apache-2.0 */
/* errbuf.c - see errbuf.h. */
#include "lib/errbuf.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/printable.h"

int
errbuf_set(struct errbuf *err, const char *format, ...)
{
    if (err == NULL)
        return -1;
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    printable_clean(err->text);
    return -1;
}

int
errbuf_prefix(struct errbuf *err, const char *format, ...)
{
    if (err == NULL)
        return -1;
    char rest[sizeof(err->text)];
    memcpy(rest, err->text, sizeof(rest));
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof(err->text))
        snprintf(err->text + n, sizeof(err->text) - (size_t)n, ": %s", rest);
    printable_clean(err->text);
    return -1;
}
