/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_pg_fault.c - whose fault an answer is, and which line it names.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>

#include "store/pg/pg_fault.h"

static const struct {
    struct pg_fault fault;
    enum pg_outcome outcome;
    const char *what;
} cases[] = {
    {{.sqlstate = "22P05"}, PG_DATA, "\\u0000 in jsonb"},
    {{.sqlstate = "22003", .table = "x"}, PG_DATA, "a number out of range"},
    {{.sqlstate = "22P03"}, PG_WORLD, "a column's type was changed"},
    {{.sqlstate = "22P04"}, PG_WORLD, "the number of columns was changed"},
    {{.sqlstate = "2200H"}, PG_WORLD, "no series gets an id"},
    {{.sqlstate = "23505", .constraint = "measurements_pkey"}, PG_UNIQUE, "the key exists"},
    {{.sqlstate = "23514", .table = "measurements", .constraint = "c"}, PG_DATA, "a CHECK"},
    {{.sqlstate = "23514", .table = "measurements"}, PG_PARTITION, "no partition"},
    {{.sqlstate = "23514", .table = "measurements", .constraint = ""}, PG_PARTITION, "the same"},
    {{.sqlstate = "23514"}, PG_DATA, "a trigger that raises check_violation"},
    {{.sqlstate = "23502", .table = "m", .column = "site"}, PG_WORLD, "a column nobody fills"},
    {{.sqlstate = "23502", .table = "m", .column = "value_meta"}, PG_DATA, "one that is filled"},
    {{.sqlstate = "23502", .table = "m", .column = "reason_data"}, PG_WORLD, "one with a default"},
    {{.sqlstate = "23502"}, PG_WORLD, "a domain"},
    {{.sqlstate = "23503", .constraint = "f"}, PG_DATA, "a foreign key"},
    {{.sqlstate = "23P01", .constraint = "e"}, PG_DATA, "an exclusion"},
    {{.sqlstate = "54000", .file = "nbtutils.c"}, PG_DATA, "too large for an index"},
    {{.sqlstate = "54000"}, PG_DATA, "the same, by way of who tells no file"},
    {{.sqlstate = "54000", .file = "varsup.c"}, PG_WORLD, "no transaction ids"},
    {{.sqlstate = "54000", .file = "multixact.c"}, PG_WORLD, "no ids of lockers"},
    {{.sqlstate = "54001"}, PG_WORLD, "a trigger that calls itself"},
    {{.sqlstate = "P0001"}, PG_DATA, "RAISE EXCEPTION"},
    {{.sqlstate = "P0002"}, PG_WORLD, "a trigger that finds no row"},
    {{.sqlstate = "40P01"}, PG_RETRY, "a deadlock"},
    {{.sqlstate = "40001"}, PG_RETRY, "a serialization failure"},
    {{.sqlstate = "25006"}, PG_WORLD, "read only"},
    {{.sqlstate = "42501"}, PG_WORLD, "no right"},
    {{.sqlstate = "42P01"}, PG_WORLD, "no table"},
    {{.sqlstate = "53100"}, PG_WORLD, "disk full"},
    {{.sqlstate = "57P01"}, PG_WORLD, "shut down"},
    {{.sqlstate = "XX000"}, PG_WORLD, "an internal error"},
    {{.sqlstate = ""}, PG_WORLD, "no SQLSTATE"},
    {{.sqlstate = NULL}, PG_WORLD, "no SQLSTATE"},
};

Test(pg_fault, whose_fault_it_is)
{
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect_eq(pg_fault_classify(&cases[i].fault), cases[i].outcome, "%s: %d", cases[i].what,
                     pg_fault_classify(&cases[i].fault));
}

Test(pg_fault, the_line_is_on_copys_own_line_of_the_context)
{
    static const struct {
        const char *context;
        size_t line;
    } contexts[] = {
        {"COPY measurements, line 123, column value_meta", 123},
        {"COPY measurements, line 7", 7},
        {"JSON data, line 1: {\"COPY , line 1\": ...\nCOPY measurements, line 61, column x", 61},
        {"COPY measurements, line 2\nSQL statement \"INSERT\"", 0},
        {"JSON data, line 1: COPY x, line 3", 0},
        {"COPY measurements, line 0", 0},
        {"COPY measurements, line 99999999999999999999999999", 0},
        {"COPY measurements, line 99999999999999999999999999999999999", 0},
        {"COPY measurements, line ", 0},
        {"COPY measurements", 0},
        {"", 0},
        {"\n", 0},
        {NULL, 0},
    };
    for (size_t i = 0; i < COUNT_OF(contexts); i++) {
        struct pg_fault fault = {.context = contexts[i].context};
        cr_expect_eq(pg_fault_find_line(&fault), contexts[i].line, "%zu: %zu", i,
                     pg_fault_find_line(&fault));
    }
}
