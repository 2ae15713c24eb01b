/* SPDX-License-Identifier: Apache-2.0 */
/* pg_fault.c - see pg_fault.h. */
#include "store/pg/pg_fault.h"

#include <stdio.h>

#include "lib/num.h"

/*
 * SQLSTATEs, or the beginnings of some; of several that fit the first one counts.  A row that is
 * PG_DATA is refused only when it was refused alone.
 */
static const struct rule {
    const char *sqlstate;
    enum pg_outcome outcome;
} rules[] = {
    {"40001", PG_RETRY}, /* serialization failure */
    {"40P01", PG_RETRY}, /* deadlock */
    {"21000", PG_DATA},  /* one row would be updated twice: two rows that a trigger made equal */
    {"22P03", PG_WORLD}, /* the format of COPY, which is ours: somebody changed a column's type */
    {"22P04", PG_WORLD}, /* the same, or the number of columns */
    {"2200H", PG_WORLD}, /* a sequence is at its end: no id for any series */
    {"22", PG_DATA},     /* what a value is: our statements are fixed texts, values are not */
    {"23502", PG_DATA},  /* NOT NULL, and see below */
    {"23505", PG_UNIQUE},
    {"23514", PG_DATA}, /* CHECK, and see below */
    {"23", PG_DATA},    /* a foreign key, an exclusion: a rule of the operator's about rows */
    {"44000", PG_DATA}, /* a view's WITH CHECK OPTION */
    {"54000", PG_DATA}, /* too large for an index, a page or jsonb */
    {"P0001", PG_DATA}, /* RAISE EXCEPTION in a trigger of the operator's */
};

/* The columns that rows are sent with. */
static const char *const filled[] = {
    "metric_id",  "time",      "value",           "value_meta",          "key",
    "tenant_id",  "region",    "name",            "dimensions",          "alarm_id",
    "alarm_name", "new_state", "alarm_description", "alarm_definition_id", "old_state",
    "severity",   "link",      "lifecycle_state", "reason",              "metrics",
    "sub_alarms"};

static bool
is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static bool
is_filled(const char *column)
{
    for (size_t i = 0; i < COUNT_OF(filled); i++)
        if (strcmp(filled[i], column) == 0)
            return true;
    return false;
}

/*
 * The server has no transaction ids left (54000, as for what is too large), and takes no rows of
 * anybody's until somebody vacuums.  Its message may be in any language.
 */
static bool
is_out_of_ids(const struct pg_fault *fault)
{
    return is_set(fault->file) &&
           (strcmp(fault->file, "varsup.c") == 0 || strcmp(fault->file, "multixact.c") == 0);
}

enum pg_outcome
pg_fault_classify(const struct pg_fault *fault)
{
    if (!is_set(fault->sqlstate) || is_out_of_ids(fault))
        return PG_WORLD;
    /* A column that no row fills, or a domain's: no row can be better than another. */
    if (strcmp(fault->sqlstate, "23502") == 0 &&
        (!is_set(fault->column) || !is_filled(fault->column)))
        return PG_WORLD;
    /* A CHECK has a name, and what a trigger raises names no table unless it wants to. */
    if (strcmp(fault->sqlstate, "23514") == 0 && !is_set(fault->constraint) &&
        is_set(fault->table))
        return PG_PARTITION;
    for (size_t i = 0; i < COUNT_OF(rules); i++)
        if (strncmp(rules[i].sqlstate, fault->sqlstate, strlen(rules[i].sqlstate)) == 0)
            return rules[i].outcome;
    return PG_WORLD;
}

/*
 * "COPY staging, line 123, column x": 123.  Only the last line of the context is COPY's own: those
 * before it quote the row, which is the sender's text and may look the same.  (In binary format
 * COPY quotes nothing itself: CopyFromErrorCallback in PostgreSQL's copyfrom.c.)
 */
size_t
pg_fault_find_line(const struct pg_fault *fault)
{
    const char *context = fault->context;
    const char *newline = context != NULL ? strrchr(context, '\n') : NULL;
    const char *p = newline != NULL ? newline + 1 : context;
    if (p == NULL || strncmp(p, "COPY ", 5) != 0 || (p = strstr(p, ", line ")) == NULL)
        return 0;
    char digits[24];
    int64_t line;
    size_t n = strspn(p + 7, "0123456789");
    if (n >= sizeof(digits))
        return 0;
    snprintf(digits, sizeof(digits), "%.*s", (int)n, p + 7);
    return num_parse_int(digits, 1, INT32_MAX, &line) == 0 ? (size_t)line : 0;
}
