/* SPDX-License-Identifier: Apache-2.0 */
/* influx_rows.c - see influx_rows.h. */
#include "store/influx/influx_rows.h"

#include <stdlib.h>

#include "lib/array.h"
#include "store/influx/influx_line.h"

enum {
    LINES_MAX = 1 << 30, /* the worker flushes long before */
    LINES_KEPT = 32 << 20
};

void
influx_rows_init(struct influx_rows *r, const char *base, bool per_tenant)
{
    *r = (struct influx_rows){.base = base, .per_tenant = per_tenant};
    buf_init(&r->lines, LINES_MAX);
}

static void
forget_databases(struct influx_rows *r)
{
    for (size_t i = 0; i < r->n_databases; i++)
        free(r->databases[i]);
    r->n_databases = 0;
    if (r->n_slots > 0)
        memset(r->slots, 0, r->n_slots * sizeof(*r->slots));
}

void
influx_rows_reset(struct influx_rows *r)
{
    r->n = 0;
    if (r->lines.capacity > LINES_KEPT)
        buf_free(&r->lines);
    else
        buf_clear(&r->lines);
    forget_databases(r);
}

void
influx_rows_free(struct influx_rows *r)
{
    forget_databases(r);
    buf_free(&r->lines);
    free(r->databases);
    free(r->slots);
    free(r->rows);
    *r = (struct influx_rows){0};
}

size_t
influx_rows_bytes(const struct influx_rows *r)
{
    return r->lines.size + r->n * sizeof(struct influx_row);
}

/* --- databases --- */

static size_t
hash_name(struct slice name)
{
    uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i < name.n; i++)
        h = (h ^ (unsigned char)name.p[i]) * UINT64_C(1099511628211);
    return (size_t)(h ^ h >> 32);
}

/* The slot where the name is, or would be. */
static uint32_t *
find_slot(const struct influx_rows *r, struct slice name)
{
    size_t i = hash_name(name) & (r->n_slots - 1);
    while (r->slots[i] != 0) {
        const char *other = r->databases[r->slots[i] - 1];
        if (slice_equal((struct slice){other, strlen(other)}, name))
            break;
        i = (i + 1) & (r->n_slots - 1);
    }
    return &r->slots[i];
}

/* Keeps the table at most half full, with one more in it. */
static int
reserve_slots(struct influx_rows *r)
{
    if (r->n_databases * 2 < r->n_slots)
        return 0;
    size_t n = r->n_slots == 0 ? 64 : r->n_slots * 2;
    uint32_t *slots = calloc(n, sizeof(*slots));
    if (slots == NULL)
        return -1;
    free(r->slots);
    r->slots = slots;
    r->n_slots = n;
    for (size_t i = 0; i < r->n_databases; i++)
        *find_slot(r, (struct slice){r->databases[i], strlen(r->databases[i])}) = (uint32_t)i + 1;
    return 0;
}

static enum store_added
find_database(struct influx_rows *r, struct slice name, uint32_t *index)
{
    if (reserve_slots(r) == -1)
        return STORE_NO_MEMORY;
    uint32_t *slot = find_slot(r, name);
    if (*slot == 0) {
        if (array_reserve(&r->databases, &r->capacity_databases, r->n_databases + 1,
                          sizeof(*r->databases)) == -1)
            return STORE_NO_MEMORY;
        r->databases[r->n_databases] = strndup(name.p, name.n);
        if (r->databases[r->n_databases] == NULL)
            return STORE_NO_MEMORY;
        *slot = (uint32_t)++r->n_databases;
    }
    *index = *slot - 1;
    return STORE_ADDED;
}

static enum store_added
find_tenants_database(struct influx_rows *r, struct slice tenant, uint32_t *index,
                      struct reject *why)
{
    char name[512];
    size_t n = strlen(r->base), room = sizeof(name) - n - 1;
    memcpy(name, r->base, n);
    name[n++] = '_';
    size_t taken = tenant.n < room ? tenant.n : room; /* the whole is then too long in any case */
    memcpy(name + n, tenant.n > 0 ? tenant.p : "", taken);
    struct slice whole = {name, n + taken};
    if (!influx_line_is_database_name(whole)) {
        reject_set(why, REJECT_UNSTORABLE,
                   "InfluxDB cannot have a database for the tenant \"%.*s\"",
                   (int)(tenant.n < 64 ? tenant.n : 64), tenant.n > 0 ? tenant.p : "");
        return STORE_REFUSED;
    }
    return find_database(r, whole, index);
}

/* --- rows --- */

static int64_t
time_of(const struct record *record)
{
    return record->kind == RECORD_MEASUREMENT ? record->measurement.time_ms : record->alarm.time_ms;
}

static struct slice
tenant_of(const struct record *record)
{
    return record->kind == RECORD_MEASUREMENT ? record->measurement.tenant_id
                                              : record->alarm.tenant_id;
}

enum store_added
influx_rows_add(struct influx_rows *r, const struct record *record, uint32_t row,
                struct reject *why)
{
    uint32_t database = 0;
    size_t start = r->lines.size;
    if (array_reserve(&r->rows, &r->capacity, r->n + 1, sizeof(*r->rows)) == -1)
        return STORE_NO_MEMORY;
    enum store_added found = STORE_ADDED;
    if (r->per_tenant)
        found = find_tenants_database(r, tenant_of(record), &database, why);
    else if (r->n_databases == 0)
        found = find_database(r, (struct slice){r->base, strlen(r->base)}, &database);
    if (found != STORE_ADDED)
        return found;
    if (influx_line_add(&r->lines, record, why) == -1)
        return STORE_REFUSED;
    if (r->lines.failed)
        return STORE_NO_MEMORY;
    r->rows[r->n++] = (struct influx_row){.at = start,
                                          .time_ms = time_of(record),
                                          .n = (uint32_t)(r->lines.size - start),
                                          .row = row,
                                          .database = database};
    return STORE_ADDED;
}

size_t
influx_rows_pick(const struct influx_rows *r, const struct batch *batch, uint32_t database,
                 size_t *from, size_t max, size_t max_bytes, uint32_t *list)
{
    size_t n = 0, bytes = 0;
    for (; *from < r->n && n < max; (*from)++) {
        const struct influx_row *row = &r->rows[*from];
        if (batch->entries[row->row].state != ENTRY_PENDING || row->database != database)
            continue;
        if (n > 0 && bytes + row->n > max_bytes)
            break;
        bytes += row->n;
        list[n++] = (uint32_t)*from;
    }
    return n;
}
