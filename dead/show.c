/* SPDX-License-Identifier: Apache-2.0 */
/*
 * show.c - persister-dead show: one letter, its payload, and what is wrong with it.
 *
 * Process: persister-dead.  Owner: show_run's stack.  Concurrency: one thread.
 */
#include "dead/show.h"

#include "dead/run.h"
#include "dead/when.h"
#include "lib/json.h"
#include "lib/json_text.h"
#include "lib/printable.h"
#include "lib/timestamp.h"

enum { SHOWN_BYTES = 16384 };

struct showing {
    struct run *run;
    struct buf out;
    uint64_t found;
};

static const char *
find_help(struct slice reason)
{
    static const struct {
        const char *name, *help;
    } reasons[] = {
#define REJECT(NAME, name, help) {#name, help},
#include "conf/reject.def"
#undef REJECT
    };
    for (size_t i = 0; i < COUNT_OF(reasons); i++)
        if (slice_equal(reason, (struct slice){reasons[i].name, strlen(reasons[i].name)}))
            return reasons[i].help;
    return "a reason that this version does not know";
}

/* Takes: the control characters that are let through. */
static void
write_visible(struct buf *out, struct slice bytes, const char *allowed)
{
    for (size_t i = 0; i < bytes.n;) {
        size_t size = printable_size(bytes.p + i, bytes.n - i);
        bool shown = size > 0 || (bytes.p[i] != '\0' && strchr(allowed, bytes.p[i]) != NULL);
        if (size == 0)
            size = json_utf8_size(bytes.p + i, bytes.n - i);
        size_t end = i + (size > 0 ? size : 1);
        if (shown)
            buf_add(out, bytes.p + i, end - i);
        for (; i < end; i++)
            if (!shown)
                buf_printf(out, "\\x%02x", (unsigned char)bytes.p[i]);
    }
}

void
show_write_bytes(struct buf *out, struct slice bytes)
{
    write_visible(out, bytes, "\n\t");
}

void
show_write_line(struct buf *out, struct slice bytes)
{
    write_visible(out, bytes, "");
}

static void
write_verdict(struct showing *s, const struct letter *l)
{
    struct reject why;
    switch (judge_letter(s->run->judge, l, &why)) {
    case VERDICT_ACCEPTED:
        buf_add_text(&s->out,
                     "now        this version's decoder takes it; a store may refuse it\n");
        break;
    case VERDICT_REJECTED:
        buf_printf(&s->out, "now        this version rejects it: %s: ", reject_name(why.reason));
        show_write_line(&s->out, (struct slice){why.detail, strlen(why.detail)});
        buf_add_char(&s->out, '\n');
        break;
    default:
        buf_printf(&s->out, "now        %s\n",
                   l->partial ? "not known: the message is not in the letter, or not all of it"
                              : "its topic is none that the persister reads");
    }
}

static void
write_text(struct showing *s, const struct box_item *item)
{
    const struct letter *l = item->letter;
    char time[TIMESTAMP_BYTES];
    timestamp_format(time, l->time_ms);
    buf_printf(&s->out, "letter     %.*s/%d/%lld\nin         ", (int)l->topic.n, l->topic.p,
               (int)l->partition, (long long)l->offset);
    if (item->line->partition >= 0)
        buf_printf(&s->out, "%s/%d/%lld\n", item->line->where, (int)item->line->partition,
                   (long long)item->line->number);
    else
        buf_printf(&s->out, "%s:%lld\n", item->line->where, (long long)item->line->number);
    buf_printf(&s->out, "rejected   %s\nreplayed   %s\nreason     %.*s: %s\ndetail     ", time,
               item->replayed ? "yes" : "no", (int)l->reason.n, l->reason.p, find_help(l->reason));
    show_write_line(&s->out, l->detail);
    buf_add_char(&s->out, '\n');
    write_verdict(s, l);
    struct slice shown = {l->payload.p, l->payload.n < SHOWN_BYTES ? l->payload.n : SHOWN_BYTES};
    if (l->partial)
        buf_printf(&s->out, "offsets    %lld to %lld; Kafka has them, while it keeps them\n",
                   (long long)l->offset, (long long)l->last_offset);
    if (l->bytes > 0)
        buf_printf(&s->out, "message    %lld bytes; the letter has the first of them\n",
                   (long long)l->bytes);
    buf_printf(&s->out, "payload    %zu bytes:\n", l->payload.n);
    show_write_bytes(&s->out, shown);
    buf_add_char(&s->out, '\n');
    if (shown.n < l->payload.n)
        buf_printf(&s->out, "... and %zu bytes more; --raw writes them all\n",
                   l->payload.n - shown.n);
}

/* The letter's line as it is, and what can be said about it. */
static void
write_json(struct showing *s, const struct box_item *item)
{
    struct reject why;
    enum verdict verdict = judge_letter(s->run->judge, item->letter, &why);
    buf_add_text(&s->out, "{\"letter\":");
    buf_add_slice(&s->out, item->line->text);
    buf_add_text(&s->out, ",\"where\":");
    json_add_text(&s->out, item->line->where);
    if (item->line->partition >= 0)
        buf_printf(&s->out, ",\"partition\":%d", (int)item->line->partition);
    buf_printf(&s->out, ",\"%s\":%lld,\"replayed\":%s,\"now\":",
               item->line->partition >= 0 ? "offset" : "line", (long long)item->line->number,
               item->replayed ? "true" : "false");
    if (verdict == VERDICT_REJECTED) {
        buf_printf(&s->out, "{\"reason\":\"%s\",\"detail\":", reject_name(why.reason));
        json_add_text(&s->out, why.detail);
        buf_add_char(&s->out, '}');
    } else
        buf_add_text(&s->out, verdict == VERDICT_ACCEPTED ? "\"accepted\"" : "\"unknown\"");
    if (json_is_utf8(item->letter->payload.p, item->letter->payload.n)) {
        buf_add_text(&s->out, ",\"text\":");
        json_add_slice(&s->out, item->letter->payload);
    }
    buf_add_text(&s->out, "}\n");
}

/* Several have one place only if their topic was made anew. */
static int
take_letter(void *arg, const struct box_item *item, struct errbuf *err)
{
    struct showing *s = arg;
    if (!run_means(s->run, item->letter))
        return 0;
    if (s->run->a->raw && s->found > 0)
        return errbuf_set(err, "several letters have this place; --since and --until tell them "
                               "apart");
    if (s->run->a->raw)
        buf_add_slice(&s->out, item->letter->payload);
    else if (s->run->a->json)
        write_json(s, item);
    else {
        buf_add_text(&s->out, s->found > 0 ? "\n" : "");
        write_text(s, item);
    }
    s->found++;
    return 0;
}

enum dead_exit
show_run(struct run *run)
{
    struct showing s = {.run = run};
    struct box box;
    enum dead_exit result = DEAD_FAILED;
    buf_init(&s.out, SIZE_MAX / 2);
    if (box_open(&box, &run->where, run->err) == 0 &&
        box_each(&box, take_letter, &s, run->err) == 0 && run_print(&s.out, run->err) == 0)
        result = s.found > 0 ? DEAD_DONE : DEAD_NOTHING;
    if (result == DEAD_NOTHING)
        errbuf_set(run->err, "no letter %.*s/%d/%lld%s", (int)run->a->filter.topic.n,
                   run->a->filter.topic.p, (int)run->a->filter.partition,
                   (long long)run->a->filter.offset,
                   box.counts.unusable > 0 ? "; some lines could not be read: list tells" : "");
    box_free(&box);
    buf_free(&s.out);
    return result;
}
