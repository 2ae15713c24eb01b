/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_json.h - looks things up in a JSON text, on lib/json's strict scanner.
 *
 * Answers come from whoever listens at an address, so they are not trusted.  lib/json refuses what
 * is not JSON or not UTF-8, bounds the depth and allocates nothing; cJSON takes what is not JSON
 * and makes 64 bytes of each "0,".  Looking a member up scans the object it is in, which for
 * answers of some MiB costs milliseconds.
 *
 * Process: persister-perf.  Owner: the caller of the text, which outlives all values.
 * Concurrency: none needed.
 */
#ifndef PERF_SOURCE_JSON_H
#define PERF_SOURCE_JSON_H

#include "lib/errbuf.h"
#include "lib/json.h"

/*
 * Checks a whole text; the other functions take values of a text that was checked.
 * Returns: 0 and the outermost value, or -1 with a text that says what is wrong and where.
 */
int source_json_check(struct slice text, struct json_value *root, struct errbuf *err) MUST_CHECK;

struct source_json_walk {
    struct json_scanner scanner;
    struct slice rest; /* of an array: what comes after the element given last */
    bool object;
};

/* Starts a walk over an array or an object; over anything else it ends at once. */
struct source_json_walk source_json_walk(const struct json_value *container);

/*
 * Goes to the next element, or member.
 * Takes: room for a member's name; NULL: it is not wanted. Of an array's element it stays as it is.
 * Returns: false at the end.
 */
bool source_json_next(struct source_json_walk *walk, struct json_value *name,
                      struct json_value *value);

/*
 * Finds a member.  Should there be several of that name, the first.
 * Takes: the object (anything else has no members); a name without escapes.
 * Returns: its value, of type JSON_ABSENT if there is none.
 */
struct json_value source_json_member(const struct json_value *object, const char *name);

/* Returns: true if the value is the text; it may be any value. */
bool source_json_is_text(const struct json_value *value, const char *text);

/* Returns: true and the number, if the value is one that a double can express. */
bool source_json_number(const struct json_value *value, double *number) MUST_CHECK;

/* Returns: the text, to be freed; NULL if it is no text, has a NUL in it, or memory is out. */
char *source_json_dup(const struct json_value *value) MUST_CHECK;

#endif
