/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.c - persister-dead replay: letters into a topic, and a note of each that Kafka has.
 *
 * At least once: a letter is noted (journal.h; from_topic.h for the topic's) after Kafka has
 * acknowledged its message, so a replay that was killed sends again what was under way, and nothing
 * else.  What the persister rejects again is a new letter with a place of its own: this run does
 * not see it, since it sees what was there when it began.
 *
 * Process: persister-dead.  Owner: replay_run's stack.  Concurrency: one thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dead/journal.h"
#include "dead/pace.h"
#include "dead/run.h"
#include "dead/sender.h"
#include "dead/tally.h"
#include "lib/clock.h"

enum { STOP_WAIT_MS = 10000, POLL_MS = 100, STALE_MIN = 10000, OPEN_MAX = 10000 };

/* A message under way: of a letter, or of the mark that a letter was replayed. */
struct flight {
    struct flight *next; /* in the list of marks to be sent */
    struct letter_id id;
    int64_t offset;
    int32_t partition, dead_partition; /* dead_partition: -1 for a letter of the file */
    bool mark;
    const char *to;
    size_t topic_n;
    char topic[LETTER_TOPIC_MAX + 1];
};

struct replay {
    struct run *run;
    struct box box;
    struct journal *journal; /* NULL: no file */
    struct sender *sender;
    struct flight *marks; /* to be sent */
    struct tally before, after;
    uint64_t known;      /* letters that the options mean, replayed or not */
    uint64_t incomplete; /* of these: without their message, so that they cannot be sent */
    uint64_t chosen, sent, delivered, too_large, undelivered;
    uint64_t open;  /* flights */
    int64_t due_ns; /* of the next message under --rate, monotonic */
    bool counted;   /* `after` is known */
    bool failed;    /* run->err says why */
};

static bool
is_meant(const struct replay *r, const struct box_item *item)
{
    return !item->letter->partial && (r->run->a->again || !item->replayed) &&
           run_means(r->run, item->letter);
}

static bool
is_full(const struct replay *r, uint64_t n)
{
    return r->run->a->limit > 0 && n >= (uint64_t)r->run->a->limit;
}

/* The first failure is the one that is told. */
static void
note_failure(struct replay *r, const struct errbuf *err)
{
    if (!r->failed)
        *r->run->err = *err;
    r->failed = true;
}

/* --- reports --- */

static void
note_delivered(struct replay *r, struct flight *f)
{
    r->delivered++;
    if (f->dead_partition >= 0) {
        f->mark = true;
        f->next = r->marks;
        r->marks = f;
        return;
    }
    journal_add(r->journal, (struct slice){f->topic, f->topic_n}, f->partition, f->offset, f->id,
                f->to, clock_wall_ms());
    free(f);
}

static void
on_report(void *arg, void *message, enum sender_end end, const char *why)
{
    struct replay *r = arg;
    struct flight *f = message;
    struct errbuf err;
    r->open--;
    if (end == SENDER_DELIVERED && !f->mark) {
        note_delivered(r, f);
        return;
    }
    if (end != SENDER_DELIVERED && f->mark) {
        errbuf_set(&err, "%s/%d/%lld was delivered, but that could not be noted in %s: %s",
                   f->topic, (int)f->partition, (long long)f->offset, r->run->where.topic, why);
        note_failure(r, &err);
    } else if (end == SENDER_TOO_LARGE)
        r->too_large++;
    else if (end == SENDER_UNDELIVERED) {
        r->undelivered++;
        errbuf_set(&err, "%s/%d/%lld to %s: %s", f->topic, (int)f->partition, (long long)f->offset,
                   f->to, why);
        note_failure(r, &err);
    }
    free(f);
}

/* Notes what reports said: in the journal, and in the topic. */
static void
keep_notes(struct replay *r)
{
    struct errbuf err;
    if (r->journal != NULL && journal_write(r->journal, &err) == -1)
        note_failure(r, &err);
    while (r->marks != NULL) {
        struct flight *f = r->marks;
        char id[LETTER_ID_BYTES];
        letter_format_id(f->id, id);
        r->marks = f->next;
        r->open++;
        if (sender_send(r->sender,
                        &(struct sender_message){.kind = r->run->where.client.kind,
                                                 .topic = r->run->where.topic,
                                                 .partition = f->dead_partition,
                                                 .key = {id, LETTER_ID_BYTES - 1},
                                                 .message = f},
                        &err) == -1)
            on_report(r, f, SENDER_UNDELIVERED, err.text);
    }
}

static void
serve(struct replay *r, int wait_ms)
{
    sender_poll(r->sender, wait_ms);
    keep_notes(r);
}

/* --- sending --- */

/* Waits until --rate allows the next message. */
static void
keep_pace(struct replay *r)
{
    while (r->run->a->rate > 0 && !*r->run->stop && !r->failed) {
        int64_t now_ns = clock_mono_ns(), wait_ms = (r->due_ns - now_ns) / 1000000;
        if (wait_ms <= 0) {
            r->due_ns = pace_next(r->due_ns, now_ns, r->run->a->rate);
            return;
        }
        serve(r, wait_ms < POLL_MS ? (int)wait_ms : POLL_MS);
    }
}

static struct flight *
make_flight(const struct replay *r, const struct box_item *item)
{
    struct flight *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return NULL;
    f->id = item->letter->id;
    f->partition = item->letter->partition;
    f->offset = item->letter->offset;
    f->dead_partition = item->line->partition;
    f->topic_n = item->letter->topic.n;
    memcpy(f->topic, item->letter->topic.p, f->topic_n);
    f->to = r->run->a->to != NULL ? r->run->a->to : f->topic;
    return f;
}

static enum topic_kind
find_kind(const struct replay *r, struct slice topic)
{
    if (r->run->a->section != TOPIC_KINDS)
        return r->run->a->section;
    enum topic_kind kind = judge_find_kind(r->run->cfg, topic);
    return kind == TOPIC_KINDS ? TOPIC_METRICS : kind;
}

static int
send_letter(struct replay *r, const struct box_item *item, struct errbuf *err)
{
    enum topic_kind kind = find_kind(r, item->letter->topic);
    struct flight *f = make_flight(r, item);
    if (f == NULL)
        return errbuf_set(err, "out of memory");
    if (r->run->where.topic != NULL && strcmp(f->to, r->run->where.topic) == 0) {
        free(f);
        return errbuf_set(err, "%s is the dead letter topic: letters are not sent there",
                          r->run->where.topic);
    }
    r->open++;
    if (sender_find_topic(r->sender, kind, f->to, err) == -1 ||
        sender_send(r->sender,
                    &(struct sender_message){.kind = kind,
                                             .topic = f->to,
                                             .partition = -1,
                                             .value = item->letter->payload,
                                             .message = f},
                    err) == -1) {
        r->open--;
        free(f);
        return -1;
    }
    r->sent++;
    return 0;
}

/* A message that the topic finds too large makes room for another one under --limit. */
static bool
has_room(struct replay *r)
{
    while (is_full(r, r->sent - r->too_large) && r->open > 0 && !r->failed && !*r->run->stop)
        serve(r, POLL_MS);
    return !is_full(r, r->sent - r->too_large);
}

static int
take_to_send(void *arg, const struct box_item *item, struct errbuf *err)
{
    struct replay *r = arg;
    if (!is_meant(r, item) || !has_room(r))
        return 0;
    keep_pace(r);
    if (*r->run->stop)
        return errbuf_set(err, "interrupted");
    if (!r->failed && send_letter(r, item, err) == -1)
        return -1;
    serve(r, 0);
    while (r->open >= OPEN_MAX && !r->failed && !*r->run->stop)
        serve(r, POLL_MS);
    return r->failed ? -1 : 0;
}

/* Waits for the reports; not for ever once it was told to stop. */
static void
await_reports(struct replay *r)
{
    int64_t deadline = 0;
    while (r->open > 0) {
        serve(r, POLL_MS);
        if (*r->run->stop && deadline == 0)
            deadline = clock_mono_ms() + STOP_WAIT_MS;
        if (deadline != 0 && clock_mono_ms() >= deadline)
            return;
    }
}

/* After the last report. What is left to be marked in the topic will be sent again. */
static void
end_notes(struct replay *r)
{
    struct errbuf err;
    if (r->journal != NULL &&
        (journal_write(r->journal, &err) == -1 || journal_sync(r->journal, &err) == -1))
        note_failure(r, &err);
    while (r->marks != NULL) {
        struct flight *f = r->marks;
        r->marks = f->next;
        free(f);
    }
}

static void
send_all(struct replay *r)
{
    struct errbuf err;
    r->sender = sender_new(&r->run->where.client, on_report, r);
    if (r->sender == NULL) {
        errbuf_set(&err, "out of memory");
        note_failure(r, &err);
        return;
    }
    r->due_ns = clock_mono_ns();
    if (box_each(&r->box, take_to_send, r, &err) == -1)
        note_failure(r, &err);
    await_reports(r);
    keep_notes(r);
    sender_free(&r->sender);
    end_notes(r);
}

/* --- before and after --- */

static int
take_before(void *arg, const struct box_item *item, struct errbuf *err)
{
    struct replay *r = arg;
    if (tally_add(&r->before, item->letter, item->replayed) == -1)
        return errbuf_set(err, "out of memory");
    if (run_means(r->run, item->letter)) {
        r->known++;
        r->incomplete += item->letter->partial;
        r->chosen += !item->letter->partial && (r->run->a->again || !item->replayed) &&
                     !is_full(r, r->chosen);
    }
    return 0;
}

static int
take_after(void *arg, const struct box_item *item, struct errbuf *err)
{
    struct replay *r = arg;
    return tally_add(&r->after, item->letter, item->replayed) == -1
               ? errbuf_set(err, "out of memory")
               : 0;
}

/* Counts what is there now, and leaves out of the journal what is not, if that is most of it. */
static int
count_after(struct replay *r, struct errbuf *err)
{
    static const volatile sig_atomic_t never = 0; /* what was sent is told also after a ^C */
    struct box box;
    struct box_options where = r->run->where;
    where.stop = &never;
    size_t dropped;
    int result = -1;
    if (box_open(&box, &where, err) == 0 && box_each(&box, take_after, r, err) == 0)
        result = 0;
    r->counted = result == 0;
    size_t stale = box.replayed.n - (size_t)r->after.total.replayed;
    if (result == 0 && r->journal != NULL && r->box.topic == NULL && box.counts.unusable == 0 &&
        stale >= STALE_MIN && stale > box.replayed.n / 2)
        result = journal_compact(r->journal, &box.seen, &dropped, err);
    box_free(&box);
    return result;
}

/* --- asking and telling --- */

static bool
has_consent(struct replay *r)
{
    char answer[16];
    fprintf(stderr, "Send %llu messages into %s? [y/N] ", (unsigned long long)r->chosen,
            r->run->a->to != NULL ? r->run->a->to : "the topics that they came from");
    return fgets(answer, sizeof(answer), stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

static void
write_counts(struct buf *out, const char *name, const struct tally *tally)
{
    buf_printf(out, "%-7s %llu letters, %llu of them replayed\n", name,
               (unsigned long long)tally->total.letters, (unsigned long long)tally->total.replayed);
}

static void
write_summary(struct replay *r, struct buf *out)
{
    write_counts(out, "before:", &r->before);
    buf_printf(out, "%s %llu\n",
               r->run->a->dry_run ? "would be sent:" : "to send:", (unsigned long long)r->chosen);
    if (r->incomplete > 0)
        buf_printf(out, "cannot be sent, since the message is not whole in the letter: %llu\n",
                   (unsigned long long)r->incomplete);
    if (!r->run->a->dry_run) {
        buf_printf(out, "sent:   %llu, delivered: %llu", (unsigned long long)r->sent,
                   (unsigned long long)r->delivered);
        if (r->too_large > 0)
            buf_printf(out, ", too large for the topic: %llu", (unsigned long long)r->too_large);
        if (r->undelivered > 0)
            buf_printf(out, ", not delivered: %llu", (unsigned long long)r->undelivered);
        buf_add_char(out, '\n');
        if (r->counted)
            write_counts(out, "after:", &r->after);
    }
    run_write_notes(&r->box.counts, out);
}

static void
write_summary_json(struct replay *r, struct buf *out)
{
    buf_add_text(out, "{\"version\":1,\"before\":{");
    tally_write_json(&r->before, out);
    buf_printf(out,
               "},\"chosen\":%llu,\"sent\":%llu,\"delivered\":%llu,\"too_large\":%llu,"
               "\"undelivered\":%llu,\"incomplete\":%llu,",
               (unsigned long long)r->chosen, (unsigned long long)r->sent,
               (unsigned long long)r->delivered, (unsigned long long)r->too_large,
               (unsigned long long)r->undelivered, (unsigned long long)r->incomplete);
    if (r->counted) {
        buf_add_text(out, "\"after\":{");
        tally_write_json(&r->after, out);
        buf_add_text(out, "},");
    }
    run_write_notes_json(&r->box.counts, out);
    buf_add_text(out, "}\n");
}

static int
print_summary(struct replay *r)
{
    struct buf out;
    struct errbuf err;
    buf_init(&out, ARGS_TEXT_BYTES_MAX);
    if (r->run->a->json)
        write_summary_json(r, &out);
    else
        write_summary(r, &out);
    int result = run_print(&out, &err);
    if (result == -1)
        note_failure(r, &err);
    buf_free(&out);
    return result;
}

/* --- the verb --- */

/* Nobody else replays from here on; what others have noted until now counts. */
static int
open_journal(struct replay *r, struct errbuf *err)
{
    unsigned user, group;
    if (r->run->a->dry_run || r->box.counts.files == 0)
        return 0;
    from_file_owner(r->box.files, &user, &group);
    r->journal = journal_open(r->run->where.state, user, group, err);
    if (r->journal == NULL)
        return -1;
    return journal_load(r->run->where.state, &r->box.replayed, &r->box.counts.journal_broken, err);
}

static enum dead_exit
run_steps(struct replay *r)
{
    const struct arguments *a = r->run->a;
    struct errbuf *err = r->run->err;
    if (box_open(&r->box, &r->run->where, err) == -1 || open_journal(r, err) == -1 ||
        box_each(&r->box, take_before, r, err) == -1)
        return DEAD_FAILED;
    if (a->filter.one && r->chosen == 0) {
        const char *why = "it was replayed before; --again sends it once more";
        if (r->known == 0)
            why = "no such letter";
        else if (r->incomplete > 0)
            why = "its message is not whole in the letter; Kafka has it, while it keeps it";
        errbuf_set(err, "%s", why);
        return DEAD_NOTHING;
    }
    if (!a->dry_run && r->chosen > 0) {
        if (!a->yes && !isatty(STDIN_FILENO)) {
            errbuf_set(err, "nobody is there to be asked: say --yes, or --dry-run");
            return DEAD_USAGE;
        }
        if (!a->yes && !has_consent(r)) {
            errbuf_set(err, "nothing was sent");
            return DEAD_USAGE;
        }
        send_all(r);
    }
    struct errbuf why;
    if (!a->dry_run && count_after(r, &why) == -1)
        note_failure(r, &why);
    if (print_summary(r) == -1 || r->failed)
        return DEAD_FAILED;
    bool partly = r->too_large > 0 || r->incomplete > 0 || r->box.counts.unusable > 0;
    return partly ? DEAD_PARTLY : DEAD_DONE;
}

enum dead_exit
replay_run(struct run *run)
{
    struct replay r = {.run = run};
    enum dead_exit result = run_steps(&r);
    box_free(&r.box);
    journal_close(&r.journal);
    tally_free(&r.before);
    tally_free(&r.after);
    return result;
}
