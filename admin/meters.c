/* SPDX-License-Identifier: Apache-2.0 */
/* meters.c - see meters.h. */
#include "admin/meters.h"

#include <stdlib.h>

struct meter {
    struct meters_sample last;
    struct ewma averages;
};

struct meters {
    struct meter *all; /* sorted by name */
    size_t n;
    bool begun;
};

static int
compare_samples(const void *a, const void *b)
{
    return strcmp(((const struct meters_sample *)a)->name, ((const struct meters_sample *)b)->name);
}

/* `last` is the first member of a meter. */
static struct meter *
find(const struct meters *m, const char *name)
{
    struct meters_sample key;
    size_t n = strnlen(name, sizeof(key.name) - 1);
    memcpy(key.name, name, n);
    key.name[n] = '\0';
    if (m->n == 0)
        return NULL;
    return bsearch(&key, m->all, m->n, sizeof(*m->all), compare_samples);
}

struct meters *
meters_new(void)
{
    return calloc(1, sizeof(struct meters));
}

void
meters_free(struct meters **meters)
{
    if (*meters != NULL)
        free((*meters)->all);
    free(*meters);
    *meters = NULL;
}

static void
tick(struct meter *meter, uint64_t count, unsigned ticks)
{
    uint64_t before = meter->last.count;
    ewma_tick(&meter->averages, count >= before ? count - before : count);
    for (unsigned i = 1; i < ticks; i++)
        ewma_tick(&meter->averages, 0);
    meter->last.count = count;
}

int
meters_tick(struct meters *m, struct meters_sample *samples, size_t n, unsigned ticks)
{
    struct meter *all = calloc(n > 0 ? n : 1, sizeof(*all));
    if (all == NULL)
        return -1;
    if (n > 0)
        qsort(samples, n, sizeof(*samples), compare_samples);
    for (size_t i = 0; i < n; i++) {
        const struct meter *old = find(m, samples[i].name);
        all[i].last = samples[i];
        if (!m->begun)
            continue;
        if (old != NULL)
            all[i].averages = old->averages;
        all[i].last.count = old != NULL ? old->last.count : 0;
        tick(&all[i], samples[i].count, ticks);
    }
    free(m->all);
    *m = (struct meters){.all = all, .n = n, .begun = true};
    return 0;
}

struct ewma
meters_find(const struct meters *m, const char *name)
{
    const struct meter *meter = find(m, name);
    return meter != NULL ? meter->averages : (struct ewma){.m1 = 0};
}
