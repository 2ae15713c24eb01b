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

#include "lib/base64.h"
#include "lib/clock.h"
#include "lib/json_text.h"
#include "lib/timestamp.h"
#include "worker/dead_file.h"
#include "worker/dead_topic.h"

enum { WRITE_BYTES = 1 << 20, PIECE_BYTES = 3 << 18, LOCK_WAIT_MS = 20000, LOOK_MS = 5 };

/*
 * The file, and one thing to be done with it: on a thread beside, as a disk may hang.  Whoever gives
 * up waiting leaves all of it behind.
 */
struct disk {
    struct dead_file *file;
    struct buf text;
    int (*deed)(struct disk *disk);
    int result;
    struct errbuf err;
};

struct dead_letters {
    const struct config *cfg;
    const char *topic; /* the letters' own, in the configuration */
    const struct store_hooks *hooks;
    struct disk *disk;           /* NULL: left behind */
    struct dead_topic *to_topic; /* NULL: to the file only */
    bool writing;                /* to the file; a job may have it */
    bool reopen;                 /* it, when that is done */
    size_t whole;                /* a payload that is larger is cut */
    struct buf text;             /* a letter to the topic */
};

/* --- the disk --- */

static struct disk *
disk_new(const struct config *cfg)
{
    struct disk *disk = calloc(1, sizeof(*disk));
    if (disk == NULL)
        return NULL;
    buf_init(&disk->text, (size_t)1 << 30);
    disk->file = dead_file_new(cfg->dead_letter.file, cfg->dead_letter.max_size_mb << 20,
                               (unsigned)cfg->dead_letter.keep);
    if (disk->file != NULL)
        return disk;
    free(disk);
    return NULL;
}

static void
free_disk(void *arg)
{
    struct disk *disk = arg;
    dead_file_free(&disk->file);
    buf_free(&disk->text);
    free(disk);
}

static void
run_deed(void *arg)
{
    struct disk *disk = arg;
    disk->result = disk->deed(disk);
}

/* Returns: STORE_DONE and the deed's result, or STORE_STOPPED. */
static enum store_status
do_with_disk(struct dead_letters *dead, int (*deed)(struct disk *disk), int *result,
             struct errbuf *err)
{
    const struct store_hooks *hooks = dead->hooks;
    struct disk *disk = dead->disk;
    disk->deed = deed;
    if (hooks->offload == NULL) {
        run_deed(disk);
    } else if (!hooks->offload(hooks->arg, run_deed, free_disk, disk)) {
        dead->disk = NULL;
        return STORE_STOPPED;
    }
    *result = disk->result;
    if (*result == -1)
        *err = disk->err;
    return STORE_DONE;
}

/* A deed that must not fail. */
static enum store_status
do_or_fail(struct dead_letters *dead, int (*deed)(struct disk *disk), struct errbuf *err)
{
    int result = 0;
    enum store_status status = do_with_disk(dead, deed, &result, err);
    return status == STORE_DONE && result == -1 ? STORE_SICK : status;
}

static int
begin_deed(struct disk *disk)
{
    return dead_file_try_begin(disk->file, &disk->err);
}

static int
append_deed(struct disk *disk)
{
    return dead_file_append(disk->file, disk->text.data, disk->text.size, &disk->err);
}

static int
commit_deed(struct disk *disk)
{
    return dead_file_commit(disk->file, &disk->err);
}

static int
undo_deed(struct disk *disk)
{
    dead_file_undo(disk->file);
    return 0;
}

/* --- letters --- */

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
    char time[TIMESTAMP_BYTES];
    buf_add_text(b, "{\"topic\":");
    json_add_text(b, topic);
    buf_printf(b, ",\"partition\":%d,\"offset\":%lld,\"time\":", (int)letter->message->partition,
               (long long)letter->message->offset);
    buf_printf(b, "\"%s\"", timestamp_format(time, time_ms));
    buf_add_text(b, ",\"reason\":");
    json_add_text(b, reject_name(letter->why->reason));
    buf_add_text(b, ",\"detail\":");
    json_add_text(b, letter->why->detail);
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
    base64_add(b, find_kept(letter, whole));
    buf_add_text(b, "\"}\n");
}

struct dead_letters *
dead_letters_new(const struct config *cfg, enum topic_kind kind, const struct store_hooks *hooks)
{
    struct dead_letters *dead = calloc(1, sizeof(*dead));
    if (dead == NULL)
        return NULL;
    dead->cfg = cfg;
    dead->topic = cfg->topic[kind].topic;
    dead->hooks = hooks;
    dead->whole = (size_t)cfg->persister.max_message_bytes;
    if (dead->whole < DEAD_LETTER_WHOLE)
        dead->whole = DEAD_LETTER_WHOLE;
    buf_init(&dead->text, (size_t)1 << 30);
    dead->disk = disk_new(cfg);
    if (cfg->dead_letter.topic[0] != '\0')
        dead->to_topic = dead_topic_new(cfg, kind, hooks);
    if (dead->disk == NULL || (cfg->dead_letter.topic[0] != '\0' && dead->to_topic == NULL))
        dead_letters_free(&dead);
    return dead;
}

void
dead_letters_free(struct dead_letters **dead)
{
    if (*dead == NULL)
        return;
    dead_topic_free(&(*dead)->to_topic);
    if ((*dead)->disk != NULL)
        free_disk((*dead)->disk);
    buf_free(&(*dead)->text);
    free(*dead);
    *dead = NULL;
}

void
dead_letters_reopen(struct dead_letters *dead)
{
    dead->reopen = dead->writing;
    if (!dead->writing && dead->disk != NULL)
        dead_file_reopen(dead->disk->file);
}

/* Waits for the file's lock, which others hold for the time of one write. */
static enum store_status
begin_file(struct dead_letters *dead, struct errbuf *err)
{
    int64_t deadline = clock_mono_ms() + LOCK_WAIT_MS;
    if (dead->disk == NULL)
        dead->disk = disk_new(dead->cfg);
    if (dead->disk == NULL) {
        errbuf_set(err, "dead letters: out of memory");
        return STORE_SICK;
    }
    for (;;) {
        int begun = 0;
        enum store_status status = do_with_disk(dead, begin_deed, &begun, err);
        if (status != STORE_DONE || begun != 0)
            return status == STORE_DONE && begun == -1 ? STORE_SICK : status;
        if (clock_mono_ms() >= deadline) {
            errbuf_set(err, "dead letters: another worker holds the file's lock");
            return STORE_SICK;
        }
        if (!dead->hooks->wait(dead->hooks->arg, NULL, 0, clock_mono_ms() + LOOK_MS))
            return STORE_STOPPED;
    }
}

static enum store_status
flush_text(struct dead_letters *dead, struct errbuf *err)
{
    enum store_status status = do_or_fail(dead, append_deed, err);
    if (dead->disk != NULL)
        buf_clear(&dead->disk->text);
    return status;
}

/* After each piece: writes if it is enough. */
static enum store_status
end_piece(struct dead_letters *dead, struct errbuf *err)
{
    if (dead->disk->text.failed) {
        buf_clear(&dead->disk->text);
        errbuf_set(err, "dead letters: out of memory");
        return STORE_SICK;
    }
    return dead->disk->text.size >= WRITE_BYTES ? flush_text(dead, err) : STORE_DONE;
}

static enum store_status
append_letter(struct dead_letters *dead, const struct dead_letter *letter, int64_t now,
              struct errbuf *err)
{
    struct slice kept = find_kept(letter, dead->whole);
    add_beginning(&dead->disk->text, dead->topic, letter, now, dead->whole);
    while (kept.n > PIECE_BYTES) { /* of whole groups of three bytes */
        base64_add(&dead->disk->text, (struct slice){kept.p, PIECE_BYTES});
        kept = (struct slice){kept.p + PIECE_BYTES, kept.n - PIECE_BYTES};
        enum store_status status = end_piece(dead, err);
        if (status != STORE_DONE)
            return status;
    }
    base64_add(&dead->disk->text, kept);
    buf_add_text(&dead->disk->text, "\"}\n");
    return end_piece(dead, err);
}

/* Takes: which of them; NULL: all. */
static enum store_status
append_letters(struct dead_letters *dead, const struct dead_letter *letters, size_t n,
               const bool *which, struct errbuf *err)
{
    enum store_status status = STORE_DONE;
    int64_t now = clock_wall_ms();
    buf_clear(&dead->disk->text);
    for (size_t i = 0; i < n && status == STORE_DONE; i++)
        if (which == NULL || which[i])
            status = append_letter(dead, &letters[i], now, err);
    return status == STORE_DONE ? flush_text(dead, err) : status;
}

static enum store_status
append_and_sync(struct dead_letters *dead, const struct dead_letter *letters, size_t n,
                const bool *which, struct errbuf *err)
{
    enum store_status status = begin_file(dead, err);
    if (status != STORE_DONE)
        return status;
    status = append_letters(dead, letters, n, which, err);
    if (status == STORE_DONE)
        return do_or_fail(dead, commit_deed, err);
    struct errbuf ignored;
    if (dead->disk != NULL)
        (void)do_or_fail(dead, undo_deed, &ignored);
    return status;
}

static enum store_status
write_to_file(struct dead_letters *dead, const struct dead_letter *letters, size_t n,
              const bool *which, struct errbuf *err)
{
    dead->writing = true;
    enum store_status status = append_and_sync(dead, letters, n, which, err);
    dead->writing = false;
    if (dead->reopen)
        dead_letters_reopen(dead);
    return status;
}

static bool
has_any(const bool *which, size_t n)
{
    return memchr(which, true, n * sizeof(*which)) != NULL;
}

static enum store_status
say_no_memory(struct errbuf *err)
{
    errbuf_set(err, "dead letters: out of memory");
    return STORE_SICK;
}

static enum store_status
send_all(struct dead_letters *dead, const struct dead_letter *letters, size_t n,
         struct errbuf *err)
{
    int64_t now = clock_wall_ms();
    for (size_t i = 0; i < n; i++) {
        buf_clear(&dead->text);
        dead_letter_format(&dead->text, dead->topic, &letters[i], now, dead->whole);
        if (dead->text.failed)
            return say_no_memory(err);
        struct slice line = {dead->text.data, dead->text.size - 1};
        enum store_status status = dead_topic_send(dead->to_topic, i, line, err);
        if (status != STORE_DONE)
            return status;
    }
    return dead_topic_flush(dead->to_topic, err);
}

/* Sends all; those the topic finds too large go to the file. */
static enum store_status
write_to_topic(struct dead_letters *dead, const struct dead_letter *letters, size_t n,
               struct errbuf *err)
{
    bool *too_large = calloc(n, sizeof(*too_large));
    if (too_large == NULL || dead_topic_begin(dead->to_topic, n) == -1) {
        free(too_large);
        return say_no_memory(err);
    }
    enum store_status status = send_all(dead, letters, n, err);
    for (size_t i = 0; i < n && status == STORE_DONE; i++)
        too_large[i] = dead_topic_is_too_large(dead->to_topic, i);
    dead_topic_end(dead->to_topic);
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
