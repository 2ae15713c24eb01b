/* SPDX-License-Identifier: Apache-2.0 */
/* run.c - see run.h. */
#include "dead/run.h"

#include <errno.h>
#include <stdio.h>

#include "lib/json_text.h"

bool
run_means(const struct run *run, const struct letter *letter)
{
    struct reject why;
    if (!filter_passes(&run->a->filter, letter))
        return false;
    return !run->a->accepted || judge_letter(run->judge, letter, &why) == VERDICT_ACCEPTED;
}

void
run_write_notes(const struct box_counts *counts, struct buf *out)
{
    if (counts->repeated > 0)
        buf_printf(out, "repeated, and counted once: %llu\n", (unsigned long long)counts->repeated);
    if (counts->unusable > 0)
        buf_printf(out, "lines that are no dead letters: %llu\n",
                   (unsigned long long)counts->unusable);
    for (size_t i = 0; i < counts->n_faults; i++)
        buf_printf(out, "  %s\n", counts->faults[i].text);
    if (counts->unusable > counts->n_faults)
        buf_printf(out, "  and %llu more\n",
                   (unsigned long long)(counts->unusable - counts->n_faults));
    if (counts->torn_bytes > 0)
        buf_printf(out,
                   "%lld bytes at the end are an unfinished line: its writer was killed, and the "
                   "message comes again\n",
                   (long long)counts->torn_bytes);
    if (counts->journal_broken > 0)
        buf_printf(out,
                   "%zu lines of what was replayed cannot be read: their letters count as not "
                   "replayed\n",
                   counts->journal_broken);
}

void
run_write_notes_json(const struct box_counts *counts, struct buf *out)
{
    buf_printf(out,
               "\"files\":%zu,\"repeated\":%llu,\"unusable\":%llu,\"torn_bytes\":%lld,"
               "\"unreadable_state\":%zu,\"faults\":[",
               counts->files, (unsigned long long)counts->repeated,
               (unsigned long long)counts->unusable, (long long)counts->torn_bytes,
               counts->journal_broken);
    for (size_t i = 0; i < counts->n_faults; i++) {
        if (i > 0)
            buf_add_char(out, ',');
        json_add_text(out, counts->faults[i].text);
    }
    buf_add_char(out, ']');
}

int
run_print(struct buf *out, struct errbuf *err)
{
    if (out->failed)
        return errbuf_set(err, "out of memory");
    size_t n = out->size;
    bool good = (n == 0 || fwrite(out->data, 1, n, stdout) == n) && fflush(stdout) == 0;
    buf_clear(out);
    return good ? 0 : errbuf_set(err, "cannot write: %s", strerror(errno));
}
