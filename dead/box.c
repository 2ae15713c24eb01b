/* SPDX-License-Identifier: Apache-2.0 */
/* box.c - see box.h. */
#include "dead/box.h"

#include "dead/journal.h"

/* Is the record the mark of a letter that was replayed? */
static int
take_mark(void *arg, const struct line *line, struct errbuf *err)
{
    struct box *box = arg;
    struct letter_id id;
    if (!line->marker || letter_parse_id(line->key, &id) == -1)
        return 0;
    return idset_add(&box->replayed, id) == -1 ? errbuf_set(err, "out of memory") : 0;
}

static int
open_file(struct box *box, struct errbuf *err)
{
    const struct box_options *o = box->options;
    if (o->path == NULL)
        return 0;
    box->files = from_file_open(o->path, err);
    if (box->files == NULL)
        return -1;
    box->counts.files = from_file_count(box->files);
    if (box->counts.files == 0 && o->path_given)
        return errbuf_set(err, "no file %s", o->path);
    return journal_load(o->state, &box->replayed, &box->counts.journal_broken, err);
}

int
box_open(struct box *box, const struct box_options *options, struct errbuf *err)
{
    *box = (struct box){.options = options};
    if (open_file(box, err) == -1)
        return -1;
    if (options->topic == NULL)
        return 0;
    box->topic = from_topic_open(&options->client, options->topic, options->stop, err);
    return box->topic == NULL ? -1 : from_topic_each(box->topic, take_mark, box, err);
}

void
box_free(struct box *box)
{
    from_file_free(&box->files);
    from_topic_free(&box->topic);
    idset_free(&box->replayed);
    idset_free(&box->seen);
    letter_reader_free(&box->reader);
}

/* --- a pass --- */

struct pass {
    struct box *box;
    box_taker take;
    void *arg;
};

static int
note_fault(struct box *box, const struct line *line, const char *why)
{
    struct box_counts *c = &box->counts;
    c->unusable++;
    if (c->n_faults == BOX_FAULTS)
        return 0;
    struct errbuf *text = &c->faults[c->n_faults++];
    if (line->partition >= 0)
        errbuf_set(text, "%s/%d/%lld: %s", line->where, (int)line->partition,
                   (long long)line->number, why);
    else
        errbuf_set(text, "%s:%lld: %s", line->where, (long long)line->number, why);
    return 0;
}

static int
take_line(void *arg, const struct line *line, struct errbuf *err)
{
    struct pass *pass = arg;
    struct box *box = pass->box;
    struct letter letter;
    struct errbuf why;
    if (*box->options->stop)
        return errbuf_set(err, "interrupted");
    if (line->marker)
        return 0;
    if (line->fault != NULL)
        return note_fault(box, line, line->fault);
    if (letter_parse(&box->reader, line->text, &letter, &why) == -1)
        return note_fault(box, line, why.text);
    switch (idset_add(&box->seen, letter.id)) {
    case -1:
        return errbuf_set(err, "out of memory");
    case 0:
        box->counts.repeated++;
        return 0;
    default:
        return pass->take(pass->arg,
                          &(struct box_item){&letter, line, idset_has(&box->replayed, letter.id)},
                          err);
    }
}

int
box_each(struct box *box, box_taker take, void *arg, struct errbuf *err)
{
    struct pass pass = {box, take, arg};
    box->counts.repeated = box->counts.unusable = 0;
    box->counts.n_faults = 0;
    box->counts.torn_bytes = 0;
    idset_free(&box->seen);
    if (box->files != NULL) {
        if (from_file_each(box->files, FROM_FILE_LINE_MAX, take_line, &pass, err) == -1)
            return -1;
        box->counts.torn_bytes = from_file_torn_bytes(box->files);
    }
    return box->topic == NULL ? 0 : from_topic_each(box->topic, take_line, &pass, err);
}
