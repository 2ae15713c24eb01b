/* SPDX-License-Identifier: Apache-2.0 */
/* layout.c - see layout.h. */
#include "shm/layout.h"

#include <fcntl.h>
#include <unistd.h>

static uint64_t
round_up(uint64_t n)
{
    return (n + 127) / 128 * 128;
}

uint64_t
shm_lay_out(struct shm_header *h, uint32_t n_slots)
{
    uint64_t all_slots = (uint64_t)n_slots + 1;
    h->version = SHM_LAYOUT_VERSION;
    h->header_bytes = sizeof(struct shm_header);
    h->table_hash = stat_table_hash();
    h->n_slots = n_slots;
    h->n_descriptors = STAT_VALUES + STAT_TIMINGS;
    h->descriptors_at = round_up(sizeof(struct shm_header));
    h->periods_at = round_up(h->descriptors_at + h->n_descriptors * sizeof(struct shm_descriptor));
    h->retired_at = round_up(h->periods_at + SHM_PERIODS * sizeof(struct shm_period));
    h->retired_bytes =
        round_up(sizeof(struct shm_retired) + all_slots * sizeof(struct shm_retired_slot));
    h->book_at = h->retired_at + 2 * h->retired_bytes;
    h->book_bytes = round_up(sizeof(struct shm_book) + all_slots * sizeof(struct shm_book_slot));
    h->slots_at = h->book_at + 2 * h->book_bytes;
    h->slot_bytes = sizeof(struct shm_slot);
    h->file_bytes = h->slots_at + all_slots * h->slot_bytes;
    return h->file_bytes;
}

void
shm_copy_out(uint64_t *to, const _Atomic uint64_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = shm_load(&from[i]);
}

void
shm_copy_in(_Atomic uint64_t *to, const uint64_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        shm_store(&to[i], from[i]);
}

void
shm_words_to_figures(const uint64_t *words, struct stat_figures *figures)
{
    stat_clear(figures);
    memcpy(figures->values, &words[SHM_WORD_VALUES], sizeof(figures->values));
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        const uint64_t *w = &words[SHM_WORD_TIMES(t)];
        if (w[SHM_TIME_COUNT] == 0)
            continue;
        figures->times[t].count = w[SHM_TIME_COUNT];
        figures->times[t].sum_ns = w[SHM_TIME_SUM];
        figures->times[t].min_ns = w[SHM_TIME_MIN];
        figures->times[t].max_ns = w[SHM_TIME_MAX];
    }
}

void
shm_fill_percentiles(struct stat_figures *figures, const uint64_t *buckets)
{
    for (unsigned t = 0; t < STAT_HISTOGRAMS; t++) {
        struct stat_times *times = &figures->times[t];
        const uint64_t *counts = &buckets[t * HISTOGRAM_BUCKETS];
        if (times->count == 0)
            continue;
        times->p50_ns = histogram_quantile(counts, 0.50, times->min_ns, times->max_ns);
        times->p95_ns = histogram_quantile(counts, 0.95, times->min_ns, times->max_ns);
        times->p99_ns = histogram_quantile(counts, 0.99, times->min_ns, times->max_ns);
    }
}

void
shm_read_boot_id(char *text, size_t size)
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd == -1 ? 0 : read(fd, text, size - 1);
    if (fd != -1)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
}
