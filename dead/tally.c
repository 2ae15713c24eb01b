/* SPDX-License-Identifier: Apache-2.0 */
/* tally.c - see tally.h. */
#include "dead/tally.h"

#include <stdlib.h>

#include "dead/when.h"
#include "lib/array.h"
#include "lib/timestamp.h"

static bool
is_name(const char *text, struct slice name)
{
    return slice_equal((struct slice){text, strlen(text)}, name);
}

static struct tally_group *
add_group(struct tally *tally, struct slice topic, struct slice reason)
{
    if (array_append(&tally->groups, tally->n, sizeof(*tally->groups)) == -1)
        return NULL;
    struct tally_group *g = &tally->groups[tally->n];
    *g = (struct tally_group){.topic = strndup(topic.p, topic.n),
                              .reason = strndup(reason.p, reason.n)};
    if (g->topic == NULL || g->reason == NULL) {
        free(g->topic);
        free(g->reason);
        return NULL;
    }
    tally->n++;
    return g;
}

/* A file full of made-up names must not take all memory and time: the last group takes the rest. */
static struct tally_group *
find_group(struct tally *tally, struct slice topic, struct slice reason)
{
    for (size_t i = 0; i < tally->n; i++)
        if (is_name(tally->groups[i].topic, topic) && is_name(tally->groups[i].reason, reason))
            return &tally->groups[i];
    if (tally->n == TALLY_GROUPS_MAX - 1)
        return add_group(tally, SLICE("(others)"), SLICE("(others)"));
    if (tally->n == TALLY_GROUPS_MAX)
        return &tally->groups[TALLY_GROUPS_MAX - 1];
    return add_group(tally, topic, reason);
}

static void
count_one(struct tally_count *count, const struct letter *letter, bool replayed)
{
    if (count->letters == 0 || letter->time_ms < count->first_ms)
        count->first_ms = letter->time_ms;
    if (count->letters == 0 || letter->time_ms > count->last_ms)
        count->last_ms = letter->time_ms;
    count->letters++;
    count->replayed += replayed;
    count->bytes += letter->payload.n;
}

int
tally_add(struct tally *tally, const struct letter *letter, bool replayed)
{
    struct tally_group *g = find_group(tally, letter->topic, letter->reason);
    if (g == NULL)
        return -1;
    count_one(&g->count, letter, replayed);
    count_one(&tally->total, letter, replayed);
    return 0;
}

void
tally_free(struct tally *tally)
{
    for (size_t i = 0; i < tally->n; i++) {
        free(tally->groups[i].topic);
        free(tally->groups[i].reason);
    }
    free(tally->groups);
    *tally = (struct tally){.n = 0};
}

/* --- output --- */

static int
compare_groups(const void *a, const void *b)
{
    const struct tally_group *left = a, *right = b;
    if (left->count.letters != right->count.letters)
        return left->count.letters > right->count.letters ? -1 : 1;
    int order = strcmp(left->topic, right->topic);
    return order != 0 ? order : strcmp(left->reason, right->reason);
}

static void
sort_groups(struct tally *tally)
{
    if (tally->n > 0)
        qsort(tally->groups, tally->n, sizeof(tally->groups[0]), compare_groups);
}

static void
write_row(struct buf *out, const char *reason, int topic_width, const char *topic,
          const struct tally_count *c)
{
    char first[TIMESTAMP_BYTES], last[TIMESTAMP_BYTES];
    timestamp_format(first, c->first_ms);
    timestamp_format(last, c->last_ms);
    buf_printf(out, "%-14s  %-*s  %10llu  %10llu  %14llu  %s  %s\n", reason, topic_width, topic,
               (unsigned long long)c->letters, (unsigned long long)c->replayed,
               (unsigned long long)c->bytes, first, last);
}

void
tally_write_text(struct tally *tally, struct buf *out)
{
    int width = 5;
    if (tally->total.letters == 0) {
        buf_add_text(out, "no dead letters\n");
        return;
    }
    sort_groups(tally);
    for (size_t i = 0; i < tally->n; i++)
        if ((int)strlen(tally->groups[i].topic) > width)
            width = (int)strlen(tally->groups[i].topic);
    buf_printf(out, "%-14s  %-*s  %10s  %10s  %14s  %-24s  %s\n", "REASON", width, "TOPIC",
               "LETTERS", "REPLAYED", "BYTES", "FIRST", "LAST");
    for (size_t i = 0; i < tally->n; i++)
        write_row(out, tally->groups[i].reason, width, tally->groups[i].topic,
                  &tally->groups[i].count);
    write_row(out, "all", width, "", &tally->total);
}

static void
write_count(struct buf *out, const struct tally_count *c)
{
    char first[TIMESTAMP_BYTES], last[TIMESTAMP_BYTES];
    buf_printf(out, "\"letters\":%llu,\"replayed\":%llu,\"bytes\":%llu",
               (unsigned long long)c->letters, (unsigned long long)c->replayed,
               (unsigned long long)c->bytes);
    if (c->letters == 0)
        return;
    timestamp_format(first, c->first_ms);
    timestamp_format(last, c->last_ms);
    buf_printf(out, ",\"first\":\"%s\",\"last\":\"%s\"", first, last);
}

void
tally_write_json(struct tally *tally, struct buf *out)
{
    sort_groups(tally);
    buf_add_text(out, "\"groups\":[");
    for (size_t i = 0; i < tally->n; i++) {
        buf_printf(out, "%s{\"reason\":\"%s\",\"topic\":\"%s\",", i > 0 ? "," : "",
                   tally->groups[i].reason, tally->groups[i].topic);
        write_count(out, &tally->groups[i].count);
        buf_add_char(out, '}');
    }
    buf_add_text(out, "],");
    write_count(out, &tally->total);
}
