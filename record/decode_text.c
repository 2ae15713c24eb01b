/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode_text.c - texts, and what is wrong with them.
 *
 * Those without escapes stay where they are in the message; others are unescaped into the arena.
 *
 * NUL is refused, since neither PostgreSQL nor InfluxDB keeps it.  A newline is refused in what
 * identifies a series (it would end a line of the line protocol), and kept in an alarm's texts,
 * which are written as string fields.  All other control characters (they come as escapes: tab,
 * carriage return, DEL) are data that both stores hold, so they are kept.
 *
 * Process: workers.  Owner: the worker that made the decoder.  Concurrency: one thread per decoder.
 */
#include "record/decode_priv.h"

static const struct flaw_info flaws[] = {
    [FLAW_MISSING] = {REJECT_BAD_ENVELOPE, "missing"},
    [FLAW_NOT_TEXT] = {REJECT_BAD_ENVELOPE, "not a string"},
    [FLAW_EMPTY] = {REJECT_BAD_ENVELOPE, "empty"},
    [FLAW_HALF_PAIR] = {REJECT_NOT_UTF8, "half a surrogate pair, which UTF-8 cannot express"},
    [FLAW_NUL] = {REJECT_UNSTORABLE, "contains NUL"},
    [FLAW_NEWLINE] = {REJECT_UNSTORABLE, "contains a newline"},
    [FLAW_NOT_FINITE] = {REJECT_BAD_VALUE, "outside the range of a double"},
    [FLAW_CROWDED] = {REJECT_TOO_LARGE, "more than 65536"},
};

_Static_assert(DECODE_DIMENSIONS_MAX == 65536, "FLAW_CROWDED says so");

const struct flaw_info *
decode_flaw_info(enum flaw flaw)
{
    assert(flaw != FLAW_NONE && (size_t)flaw < COUNT_OF(flaws));
    return &flaws[flaw];
}

char *
decode_find_room(struct decoder *d, size_t n)
{
    assert(n <= d->arena_size - d->arena_used);
    return d->arena + d->arena_used;
}

struct slice
decode_keep_room(struct decoder *d, size_t n)
{
    struct slice kept = {d->arena + d->arena_used, n};
    d->arena_used += n;
    return kept;
}

enum flaw
decode_unescape(struct decoder *d, struct slice text, struct slice *out)
{
    size_t n;
    if (json_unescape(text, decode_find_room(d, text.n), &n) == -1)
        return FLAW_HALF_PAIR;
    *out = decode_keep_room(d, n);
    return memchr(out->p, '\0', n) != NULL ? FLAW_NUL : FLAW_NONE;
}

/* A text without a backslash has neither NUL nor newline: JSON allows them as escapes only. */
enum flaw
decode_read_text(struct decoder *d, const struct json_value *value, unsigned flags,
                 struct slice *out)
{
    if (value->type != JSON_STRING) {
        bool none = value->type == JSON_ABSENT || value->type == JSON_NULL;
        *out = SLICE("");
        if (none && (flags & TEXT_OPTIONAL))
            return FLAW_NONE;
        return value->type == JSON_ABSENT ? FLAW_MISSING : FLAW_NOT_TEXT;
    }
    *out = value->text;
    if (value->escaped) {
        enum flaw flaw = decode_unescape(d, value->text, out);
        if (flaw != FLAW_NONE)
            return flaw;
        if ((flags & TEXT_LINE) && memchr(out->p, '\n', out->n) != NULL)
            return FLAW_NEWLINE;
    }
    return (flags & TEXT_FILLED) && out->n == 0 ? FLAW_EMPTY : FLAW_NONE;
}

int
decode_take_text(struct decoder *d, const struct json_value *value, const char *name,
                 unsigned flags, struct slice *out, struct reject *why)
{
    enum flaw flaw = decode_read_text(d, value, flags, out);
    if (flaw == FLAW_NONE)
        return 0;
    return reject_set(why, decode_flaw_info(flaw)->reason, "%s: %s", name,
                      decode_flaw_info(flaw)->text);
}
