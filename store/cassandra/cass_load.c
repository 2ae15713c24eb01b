/* SPDX-License-Identifier: Apache-2.0 */
/* cass_load.c - see cass_load.h. */
#include "store/cassandra/cass_load.h"

#include <stdlib.h>

#include "lib/array.h"
#include "lib/spread.h"
#include "record/series.h"
#include "store/cassandra/cass_time.h"

enum { MAX_BYTES = 1 << 30 };

struct cass_load *
cass_load_new(void)
{
    struct cass_load *load = calloc(1, sizeof(*load));
    if (load == NULL)
        return NULL;
    buf_init(&load->values, MAX_BYTES);
    buf_init(&load->texts, MAX_BYTES);
    buf_init(&load->work, MAX_BYTES);
    return load;
}

void
cass_load_reset(struct cass_load *load)
{
    for (size_t i = 0; i < load->n_fresh; i++)
        free(load->fresh[i].refused);
    load->n = load->n_fresh = load->n_lengths = 0;
    if (load->n_places > 0)
        memset(load->places, 0, load->n_places * sizeof(*load->places));
    buf_clear(&load->values);
    buf_clear(&load->texts);
}

void
cass_load_free(struct cass_load **load)
{
    struct cass_load *l = *load;
    if (l == NULL)
        return;
    cass_load_reset(l);
    buf_free(&l->values);
    buf_free(&l->texts);
    buf_free(&l->work);
    free(l->items);
    free(l->lines);
    free(l->fresh);
    free(l->lengths);
    free(l->places);
    free(l);
    *load = NULL;
}

size_t
cass_load_bytes(const struct cass_load *load)
{
    return load->n * (sizeof(*load->items) + sizeof(*load->lines)) + load->values.size +
           load->texts.size + load->n_fresh * sizeof(*load->fresh) +
           load->n_lengths * sizeof(*load->lengths);
}

/* --- fresh series --- */

static size_t
place_of(const struct cass_load *load, const struct cass_key *key)
{
    size_t i = spread_place(key->bytes, load->n_places);
    while (load->places[i] != 0 && memcmp(load->fresh[load->places[i] - 1].key.bytes, key->bytes,
                                          CASS_KEY_BYTES) != 0)
        i = (i + 1) & (load->n_places - 1);
    return i;
}

/* Makes room for one more series. Returns: 0, or -1 if memory is out. */
static int
reserve_fresh(struct cass_load *load)
{
    if (array_reserve(&load->fresh, &load->capacity_fresh, load->n_fresh + 1,
                      sizeof(*load->fresh)) == -1)
        return -1;
    if ((load->n_fresh + 1) * 2 <= load->n_places)
        return 0;
    size_t more = load->n_places == 0 ? 1024 : load->n_places * 2;
    uint32_t *bigger = calloc(more, sizeof(*bigger));
    if (bigger == NULL)
        return -1;
    free(load->places);
    load->places = bigger;
    load->n_places = more;
    for (uint32_t i = 0; i < load->n_fresh; i++)
        load->places[place_of(load, &load->fresh[i].key)] = i + 1;
    return 0;
}

static int
keep_lengths(struct cass_load *load, const struct measurement *m)
{
    if (array_reserve(&load->lengths, &load->capacity_lengths,
                      load->n_lengths + 2 * m->n_dimensions, sizeof(*load->lengths)) == -1)
        return -1;
    for (size_t i = 0; i < m->n_dimensions; i++) {
        load->lengths[load->n_lengths++] = (uint32_t)m->dimensions[i].name.n;
        load->lengths[load->n_lengths++] = (uint32_t)m->dimensions[i].value.n;
    }
    return 0;
}

static int
keep_texts(struct cass_load *load, const struct measurement *m)
{
    buf_add_slice(&load->texts, m->region);
    buf_add_slice(&load->texts, m->tenant_id);
    buf_add_slice(&load->texts, m->name);
    for (size_t i = 0; i < m->n_dimensions; i++) {
        buf_add_slice(&load->texts, m->dimensions[i].name);
        buf_add_slice(&load->texts, m->dimensions[i].value);
    }
    return load->texts.failed ? -1 : 0;
}

/* Returns: the number of a series among the fresh ones, made if it is new; 0 if memory is out. */
static uint32_t
find_fresh(struct cass_load *load, const struct cass_key *key, const struct measurement *m)
{
    size_t texts = load->texts.size, lengths = load->n_lengths;
    if (reserve_fresh(load) == -1)
        return 0;
    size_t place = place_of(load, key);
    if (load->places[place] != 0)
        return load->places[place];
    if (keep_texts(load, m) == -1 || keep_lengths(load, m) == -1) {
        buf_truncate(&load->texts, texts);
        load->n_lengths = lengths;
        return 0;
    }
    load->fresh[load->n_fresh] = (struct cass_fresh){.key = *key,
                                                     .region_n = (uint32_t)m->region.n,
                                                     .tenant_n = (uint32_t)m->tenant_id.n,
                                                     .name_n = (uint32_t)m->name.n,
                                                     .n_dimensions = (uint32_t)m->n_dimensions,
                                                     .at = texts,
                                                     .lengths_at = lengths};
    return load->places[place] = (uint32_t)++load->n_fresh;
}

struct cass_series
cass_load_series(const struct cass_load *load, const struct cass_fresh *fresh,
                 struct dimension *dimensions)
{
    const char *p = load->texts.data + fresh->at;
    const uint32_t *lengths = load->lengths + fresh->lengths_at;
    struct cass_series s = {.region = {p, fresh->region_n},
                            .tenant_id = {p + fresh->region_n, fresh->tenant_n},
                            .name = {p + fresh->region_n + fresh->tenant_n, fresh->name_n},
                            .dimensions = dimensions,
                            .n_dimensions = fresh->n_dimensions};
    p = s.name.p + s.name.n;
    for (uint32_t i = 0; i < fresh->n_dimensions; i++) {
        dimensions[i].name = (struct slice){p, lengths[2 * i]};
        p += lengths[2 * i];
        dimensions[i].value = (struct slice){p, lengths[2 * i + 1]};
        p += lengths[2 * i + 1];
    }
    return s;
}

/* --- adding --- */

/* Is nothing to be written of the series, whatever Kafka's time is? */
static bool
is_described(struct cass_cache *cache, const struct cass_key *key, int64_t time_ms, uint32_t now_s)
{
    const struct cass_known *known = cass_cache_find(cache, key);
    return known != NULL && now_s < known->until_s && time_ms >= known->created_ms &&
           cass_time_of_hour(time_ms) <= known->updated_us;
}

/* From the note in the series (record/series.h), or into it: a series is judged and hashed once. */
static enum store_added
find_key(struct cass_load *load, const struct measurement *m, struct cass_key *key,
         struct reject *why)
{
    if (m->series != NULL && m->series->note != NULL) {
        memcpy(key, m->series->note, sizeof(*key));
        return STORE_ADDED;
    }
    struct cass_series series = cass_row_series(m);
    if (cass_row_check_series(m, why) == -1)
        return STORE_REFUSED;
    if (cass_row_key(&series, &load->work, key) == -1)
        return STORE_NO_MEMORY;
    void *note = m->series != NULL ? series_note_new(m->series, sizeof(*key)) : NULL;
    if (note != NULL)
        memcpy(note, key, sizeof(*key));
    return STORE_ADDED;
}

static enum store_added
add_measurement(struct cass_load *load, struct cass_cache *cache, uint32_t now_s,
                const struct measurement *m, struct cass_line *line, struct reject *why)
{
    struct cass_key key;
    enum store_added found = find_key(load, m, &key, why);
    if (found != STORE_ADDED)
        return found;
    if (cass_row_check_value(m, why) == -1)
        return STORE_REFUSED;
    cass_row_put_measurement(&load->values, &key, m);
    line->time_ms = m->time_ms;
    if (load->values.failed)
        return STORE_NO_MEMORY;
    if (is_described(cache, &key, m->time_ms, now_s))
        return STORE_ADDED;
    line->fresh = find_fresh(load, &key, m);
    return line->fresh != 0 ? STORE_ADDED : STORE_NO_MEMORY;
}

static enum store_added
add_alarm(struct cass_load *load, const struct alarm_transition *a, struct reject *why)
{
    if (cass_row_check_alarm(a, why) == -1)
        return STORE_REFUSED;
    cass_row_put_alarm(&load->values, a, &load->work);
    return load->values.failed ? STORE_NO_MEMORY : STORE_ADDED;
}

enum store_added
cass_load_add(struct cass_load *load, struct cass_cache *cache, uint32_t now_s,
              const struct record *record, uint32_t row, struct reject *why)
{
    size_t at = load->values.size;
    if (array_reserve(&load->items, &load->capacity_items, load->n + 1,
                      sizeof(*load->items)) == -1 ||
        array_reserve(&load->lines, &load->capacity_lines, load->n + 1,
                      sizeof(*load->lines)) == -1)
        return STORE_NO_MEMORY;
    bool metric = record->kind == RECORD_MEASUREMENT;
    struct cass_line *line = &load->lines[load->n];
    *line = (struct cass_line){.row = row};
    enum store_added added =
        metric ? add_measurement(load, cache, now_s, &record->measurement, line, why)
               : add_alarm(load, &record->alarm, why);
    if (added != STORE_ADDED) {
        buf_truncate(&load->values, at);
        return added;
    }
    struct cass_item *item = &load->items[load->n];
    *item = (struct cass_item){.statement = metric ? CASS_MEASUREMENT : CASS_ALARM,
                               .number = (uint32_t)load->n,
                               .n = (uint32_t)(load->values.size - at),
                               .at = at};
    item->token = cass_row_token(item->statement, (struct slice){load->values.data + at, item->n},
                                 &load->work);
    load->n++;
    return STORE_ADDED;
}

/* --- before writing --- */

int
cass_load_forget(struct cass_load *load, const struct batch *batch, struct decoder *decoder)
{
    for (size_t i = 0; i < load->n; i++) {
        struct cass_line *line = &load->lines[i];
        struct record record;
        struct reject why;
        struct cass_key key;
        if (load->items[i].outcome != CASS_PENDING || load->items[i].statement != CASS_MEASUREMENT ||
            line->fresh != 0)
            continue;
        if (decoder_decode(decoder, TOPIC_METRICS, batch->entries[line->row].message.payload,
                           &record, &why) == -1)
            continue; /* it was decoded before: this does not come */
        struct cass_series series = cass_row_series(&record.measurement);
        if (cass_row_key(&series, &load->work, &key) == -1)
            return -1;
        line->fresh = find_fresh(load, &key, &record.measurement);
        if (line->fresh == 0)
            return -1;
    }
    for (size_t i = 0; i < load->n_fresh; i++)
        load->fresh[i].described = false;
    return 0;
}

static void
note_row(struct cass_fresh *f, int64_t time_ms, int64_t kafka_ms)
{
    int64_t updated_us = cass_time_of_update(time_ms, kafka_ms);
    int64_t updated_ms = cass_time_updated_at(time_ms);
    if (!f->seen || time_ms < f->least_ms)
        f->least_ms = time_ms;
    /* Of two with one timestamp Cassandra would take the larger value, too. */
    if (!f->seen || updated_us > f->updated_us ||
        (updated_us == f->updated_us && updated_ms > f->updated_ms)) {
        f->updated_us = updated_us;
        f->updated_ms = updated_ms;
    }
    f->seen = true;
}

void
cass_load_stamp(struct cass_load *load, const struct batch *batch)
{
    for (size_t i = 0; i < load->n_fresh; i++)
        load->fresh[i].seen = false;
    for (size_t i = 0; i < load->n; i++) {
        struct cass_item *item = &load->items[i];
        const struct cass_line *line = &load->lines[i];
        const struct message *m = &batch->entries[line->row].message;
        if (item->outcome != CASS_PENDING)
            continue;
        cass_row_set_time(load->values.data + item->at, item->n,
                          cass_time_of_value(m->time_ms, m->partition, m->offset));
        if (line->fresh != 0)
            note_row(&load->fresh[line->fresh - 1], line->time_ms, m->time_ms);
    }
}
