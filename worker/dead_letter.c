/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dead_letter.c - see dead_letter.h.
 *
 * A letter that the topic refuses for its size goes to the file instead: a hostile message must not
 * jam the stream.  Those go to the file with one sync, whatever their number.
 *
 * To the file letters are written in pieces, so that a large payload is not in memory a second
 * time, in base64.
 */
#include "worker/dead_letter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/json.h"
#include "worker/dead_file.h"
#include "worker/dead_topic.h"

enum { WRITE_BYTES = 1 << 20, PIECE_BYTES = 3 << 18, LOCK_WAIT_MS = 20000, LOOK_MS = 5 };

struct dead_letters {
    const char *topic; /* the letters' own, in the configuration */
    const struct store_hooks *hooks;
    struct dead_file *file;
    struct dead_topic *to_topic; /* NULL: to the file only */
    size_t whole; /* a payload that is larger is cut */
    struct buf text;
};

static void
add_base64(struct buf *b, struct slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)bytes.p;
    size_t groups = (bytes.n + 2) / 3;
    if (buf_grow(b, groups * 4) == -1)
        return;
    char *out = b->data + b->size;
    for (size_t i = 0; i < bytes.n; i += 3, out += 4) {
        uint32_t v = (uint32_t)p[i] << 16;
        v |= i + 1 < bytes.n ? (uint32_t)p[i + 1] << 8 : 0;
        v |= i + 2 < bytes.n ? p[i + 2] : 0;
        out[0] = digits[v >> 18];
        out[1] = digits[v >> 12 & 63];
        out[2] = i + 1 < bytes.n ? digits[v >> 6 & 63] : '=';
        out[3] = i + 2 < bytes.n ? digits[v & 63] : '=';
    }
    b->size += groups * 4;
}

/* A text of ours as a JSON string; it may quote bytes of a message that was not UTF-8. */
static void
add_json_string(struct buf *b, const char *text)
{
    size_t n = strlen(text);
    bool utf8 = json_is_utf8(text, n);
    buf_add_char(b, '"');
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            buf_add_char(b, '\\');
        if (c < 0x20)
            buf_printf(b, "\\u%04x", c);
        else
            buf_add_char(b, c >= 0x80 && !utf8 ? '?' : (char)c);
    }
    buf_add_char(b, '"');
}

static void
add_time(struct buf *b, int64_t time_ms)
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm utc;
    char text[32];
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    buf_printf(b, "\"%s.%03dZ\"", text, (int)(time_ms % 1000));
}

/* Returns: what of the payload is kept. */
static struct slice
find_kept(const struct dead_letter *letter, size_t whole)
{
    struct slice payload = letter->message->payload;
    return payload.n > whole ? (struct slice){payload.p, DEAD_LETTER_HEAD} : payload;
}

/* All before the payload's bytes; '"}' and a newline come after them. */
static void
add_beginning(struct buf *b, const char *topic, const struct dead_letter *letter, int64_t time_ms,
              size_t whole)
{
    buf_add_text(b, "{\"topic\":");
    add_json_string(b, topic);
    buf_printf(b, ",\"partition\":%d,\"offset\":%lld,\"time\":", (int)letter->message->partition,
               (long long)letter->message->offset);
    add_time(b, time_ms);
    buf_add_text(b, ",\"reason\":");
    add_json_string(b, reject_name(letter->why->reason));
    buf_add_text(b, ",\"detail\":");
    add_json_string(b, letter->why->detail);
    if (letter->why->reason == REJECT_UNREADABLE)
        buf_printf(b, ",\"last_offset\":%lld",
                   (long long)(letter->message->offset + letter->message->more));
    if (letter->message->payload.n > whole)
        buf_printf(b, ",\"payload_bytes\":%zu", letter->message->payload.n);
    buf_add_text(b, ",\"payload\":\"");
}

void
dead_letter_format(struct buf *b, const char *topic, const struct dead_letter *letter,
                   int64_t time_ms, size_t whole)
{
    add_beginning(b, topic, letter, time_ms, whole);
    add_base64(b, find_kept(letter, whole));
    buf_add_text(b, "\"}\n");
}

struct dead_letters *
dead_letters_new(const struct config *cfg, enum topic_kind kind, const struct store_hooks *hooks)
{
    struct dead_letters *dead = calloc(1, sizeof(*dead));
    if (dead == NULL)
        return NULL;
    dead->topic = cfg->topic[kind].topic;
    dead->hooks = hooks;
    dead->whole = (size_t)cfg->persister.max_message_bytes;
    if (dead->whole < DEAD_LETTER_WHOLE)
        dead->whole = DEAD_LETTER_WHOLE;
    buf_init(&dead->text, (size_t)1 << 30);
    dead->file = dead_file_new(cfg->dead_letter.file, cfg->dead_letter.max_size_mb << 20,
                               (unsigned)cfg->dead_letter.keep);
    if (cfg->dead_letter.topic[0] != '\0')
        dead->to_topic = dead_topic_new(cfg, kind, hooks);
    if (dead->file == NULL || (cfg->dead_letter.topic[0] != '\0' && dead->to_topic == NULL))
        dead_letters_free(&dead);
    return dead;
}

void
dead_letters_free(struct dead_letters **dead)
{
    if (*dead == NULL)
        return;
    dead_topic_free(&(*dead)->to_topic);
    dead_file_free(&(*dead)->file);
    buf_free(&(*dead)->text);
    free(*dead);
    *dead = NULL;
}

void
dead_letters_reopen(struct dead_letters *dead)
{
    dead_file_reopen(dead->file);
}

/* Waits for the file's lock, which others hold for the time of one write. */
static enum store_status
begin_file(struct dead_letters *dead, struct errbuf *err)
{
    int64_t deadline = clock_mono_ms() + LOCK_WAIT_MS;
    for (;;) {
        int begun = dead_file_try_begin(dead->file, err);
        if (begun != 0)
            return begun == 1 ? STORE_DONE : STORE_SICK;
        if (clock_mono_ms() >= deadline) {
            errbuf_set(err, "dead letters: another worker holds the file's lock");
            return STORE_SICK;
        }
        if (!dead->hooks->wait(dead->hooks->arg, NULL, 0, clock_mono_ms() + LOOK_MS))
            return STORE_STOPPED;
    }
}

static int
flush_text(struct dead_letters *dead, struct errbuf *err)
{
    int result = dead_file_append(dead->file, dead->text.data, dead->text.size, err);
    buf_clear(&dead->text);
    return result;
}

/* After each piece: writes if it is enough. */
static int
end_piece(struct dead_letters *dead, struct errbuf *err)
{
    (void)store_goes_on(dead->hooks);
    if (dead->text.failed) {
        buf_clear(&dead->text);
        return errbuf_set(err, "dead letters: out of memory");
    }
    return dead->text.size >= WRITE_BYTES ? flush_text(dead, err) : 0;
}

static int
append_letter(struct dead_letters *dead, const struct dead_letter *letter, int64_t now,
              struct errbuf *err)
{
    struct slice kept = find_kept(letter, dead->whole);
    add_beginning(&dead->text, dead->topic, letter, now, dead->whole);
    while (kept.n > PIECE_BYTES) { /* of whole groups of three bytes */
        add_base64(&dead->text, (struct slice){kept.p, PIECE_BYTES});
        kept = (struct slice){kept.p + PIECE_BYTES, kept.n - PIECE_BYTES};
        if (end_piece(dead, err) == -1)
            return -1;
    }
    add_base64(&dead->text, kept);
    buf_add_text(&dead->text, "\"}\n");
    return end_piece(dead, err);
}

/* Takes: which of them; NULL: all. */
static int
append_letters(struct dead_letters *dead, const struct dead_letter *letters, size_t n,
               const bool *which, struct errbuf *err)
{
    int64_t now = clock_wall_ms();
    buf_clear(&dead->text);
    for (size_t i = 0; i < n; i++)
        if ((which == NULL || which[i]) && append_letter(dead, &letters[i], now, err) == -1)
            return -1;
    return flush_text(dead, err);
}

static enum store_status
write_to_file(struct dead_letters *dead, const struct dead_letter *letters, size_t n,
              const bool *which, struct errbuf *err)
{
    enum store_status status = begin_file(dead, err);
    if (status != STORE_DONE)
        return status;
    if (append_letters(dead, letters, n, which, err) == -1) {
        dead_file_undo(dead->file);
        return STORE_SICK;
    }
    return dead_file_commit(dead->file, err) == -1 ? STORE_SICK : STORE_DONE;
}

static bool
has_any(const bool *which, size_t n)
{
    return memchr(which, true, n * sizeof(*which)) != NULL;
}

/* Sends all; those the topic finds too large go to the file. */
static enum store_status
write_to_topic(struct dead_letters *dead, const struct dead_letter *letters, size_t n,
               struct errbuf *err)
{
    int64_t now = clock_wall_ms();
    bool *too_large = calloc(n, sizeof(*too_large));
    if (too_large == NULL) {
        errbuf_set(err, "dead letters: out of memory");
        return STORE_SICK;
    }
    enum store_status status = STORE_DONE;
    for (size_t i = 0; i < n && status == STORE_DONE; i++) {
        buf_clear(&dead->text);
        dead_letter_format(&dead->text, dead->topic, &letters[i], now, dead->whole);
        if (dead->text.failed) {
            errbuf_set(err, "dead letters: out of memory");
            status = STORE_SICK;
        } else {
            struct slice line = {dead->text.data, dead->text.size - 1};
            status = dead_topic_send(dead->to_topic, line, &too_large[i], err);
        }
    }
    if (status == STORE_DONE)
        status = dead_topic_flush(dead->to_topic, err);
    if (status == STORE_DONE && has_any(too_large, n))
        status = write_to_file(dead, letters, n, too_large, err);
    free(too_large);
    return status;
}

enum store_status
dead_letters_write(struct dead_letters *dead, const struct dead_letter *letters, size_t n,
                   struct errbuf *err)
{
    if (n == 0)
        return STORE_DONE;
    return dead->to_topic != NULL ? write_to_topic(dead, letters, n, err)
                                  : write_to_file(dead, letters, n, NULL, err);
}
