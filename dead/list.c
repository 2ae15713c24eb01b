/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.c - persister-dead list: letters counted by reason and topic, or one by one.
 *
 * Process: persister-dead.  Owner: list_run's stack.  Concurrency: one thread.
 */
#include "dead/run.h"
#include "dead/show.h"
#include "dead/tally.h"
#include "dead/when.h"
#include "lib/json_text.h"
#include "lib/timestamp.h"

enum { PRINT_BYTES = 64 << 10 };

struct listing {
    const struct run *run;
    struct tally tally;
    struct buf out;
    uint64_t listed, left_out;
};

/* "metrics/3/12345  2026-...  not_json  310 bytes  replayed  detail" */
static void
write_text(struct buf *out, const struct box_item *item)
{
    const struct letter *l = item->letter;
    char time[TIMESTAMP_BYTES];
    timestamp_format(time, l->time_ms);
    buf_printf(out, "%.*s/%d/%lld  %s  %.*s  %zu bytes  %s", (int)l->topic.n, l->topic.p,
               (int)l->partition, (long long)l->offset, time, (int)l->reason.n, l->reason.p,
               l->payload.n, item->replayed ? "replayed  " : "");
    show_write_line(out, l->detail);
    buf_add_char(out, '\n');
}

static void
write_json(struct buf *out, const struct box_item *item)
{
    const struct letter *l = item->letter;
    char time[TIMESTAMP_BYTES];
    timestamp_format(time, l->time_ms);
    buf_printf(out,
               "{\"topic\":\"%.*s\",\"partition\":%d,\"offset\":%lld,\"time\":\"%s\","
               "\"reason\":\"%.*s\",\"bytes\":%zu,\"replayed\":%s,\"detail\":",
               (int)l->topic.n, l->topic.p, (int)l->partition, (long long)l->offset, time,
               (int)l->reason.n, l->reason.p, l->payload.n, item->replayed ? "true" : "false");
    json_add_slice(out, l->detail);
    buf_add_char(out, '}');
}

static int
take_letter(void *arg, const struct box_item *item, struct errbuf *err)
{
    struct listing *l = arg;
    if (!run_means(l->run, item->letter)) {
        l->left_out++;
        return 0;
    }
    if (tally_add(&l->tally, item->letter, item->replayed) == -1)
        return errbuf_set(err, "out of memory");
    if (!l->run->a->each)
        return 0;
    if (l->run->a->json && l->listed > 0)
        buf_add_char(&l->out, ',');
    if (l->run->a->json)
        write_json(&l->out, item);
    else
        write_text(&l->out, item);
    l->listed++;
    return l->out.size < PRINT_BYTES ? 0 : run_print(&l->out, err);
}

static int
print_all(struct listing *l, struct box *box, struct errbuf *err)
{
    const struct arguments *a = l->run->a;
    if (a->json)
        buf_add_text(&l->out, a->each ? "{\"version\":1,\"each\":[" : "{\"version\":1,");
    if (box_each(box, take_letter, l, err) == -1)
        return -1;
    if (a->json) {
        buf_add_text(&l->out, a->each ? "]," : "");
        tally_write_json(&l->tally, &l->out);
        buf_add_char(&l->out, ',');
        run_write_notes_json(&box->counts, &l->out);
        buf_add_text(&l->out, "}\n");
    } else {
        if (l->tally.total.letters == 0 && l->left_out > 0)
            buf_printf(&l->out, "no dead letters that the options mean; there are %llu others\n",
                       (unsigned long long)l->left_out);
        else if (!a->each)
            tally_write_text(&l->tally, &l->out);
        run_write_notes(&box->counts, &l->out);
    }
    return run_print(&l->out, err);
}

enum dead_exit
list_run(struct run *run)
{
    struct listing l = {.run = run};
    struct box box;
    enum dead_exit result = DEAD_FAILED;
    buf_init(&l.out, ARGS_TEXT_BYTES_MAX);
    if (box_open(&box, &run->where, run->err) == 0 && print_all(&l, &box, run->err) == 0)
        result = box.counts.unusable > 0 ? DEAD_PARTLY : DEAD_DONE;
    box_free(&box);
    tally_free(&l.tally);
    buf_free(&l.out);
    return result;
}
