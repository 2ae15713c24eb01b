/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h - a strict JSON scanner: validates, finds where values begin and end, unescapes strings.
 *
 * It builds nothing: a caller that knows what it looks for walks the objects it cares about
 * (json_enter_object, json_next_member) and has everything else scanned over (json_scan_value).
 * Grammar: RFC 8259.  UTF-8: RFC 3629, so no overlong forms, no surrogates, nothing above U+10FFFF.
 * Depth is bounded, counted from the outermost value, and no stack is used per level.
 *
 * Process: workers; the tests.  Owner: the caller, values only, nothing is allocated.
 * Concurrency: any thread with a scanner of its own.
 */
#ifndef LIB_JSON_H
#define LIB_JSON_H

#include "lib/base.h"

enum { JSON_MAX_DEPTH = 64 };

enum json_type {
    JSON_ABSENT, /* no value: what zero-initialized memory says */
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

struct json_value {
    enum json_type type;
    bool escaped;      /* JSON_STRING: there is a backslash in it, so text is not the string yet */
    bool exponent;     /* JSON_NUMBER: it has one */
    struct slice text; /* as it came: a string without its quotes, the rest whole */
};

enum json_fault { JSON_FINE, JSON_SYNTAX, JSON_NOT_UTF8, JSON_TOO_DEEP };

/* Callers read `depth`, and after a -1 `fault`, `fault_text` and `p`; all else is the scanner's. */
struct json_scanner {
    const char *start, *p, *end;
    const char *fault_text; /* what is wrong, or was expected, at p; static */
    enum json_fault fault;
    unsigned depth; /* containers open at p */
    bool fresh;     /* the innermost of them was just entered: no comma yet */
};

/* Starts at the first byte of a text, which must outlive the scanner.  p may be NULL if n is 0. */
void json_scanner_init(struct json_scanner *s, struct slice text);

/* Skips blanks.  Returns: the type of the value that begins here by its first byte, or JSON_ABSENT.
 */
enum json_type json_peek_type(struct json_scanner *s) MUST_CHECK;

/*
 * Scans one value of any type, containers with all that is in them, and validates it.  In strings
 * every escape is checked for its form; whether surrogates pair is only seen by json_unescape.  A
 * number inside a container is never the text's end: the byte after it can be read.
 * Returns: 0 and the value, or -1 and the scanner's fault.
 */
int json_scan_value(struct json_scanner *s, struct json_value *value) MUST_CHECK;

/* Goes into the object that begins here.  Returns: 0, or -1 (not an object, or too deep). */
int json_enter_object(struct json_scanner *s) MUST_CHECK;

/*
 * Goes to the next member of the object entered last; its value is next to be scanned, or entered.
 * Returns: 1 and the name (a JSON_STRING); 0 when the object ended and is left; -1 for a fault.
 */
int json_next_member(struct json_scanner *s, struct json_value *name) MUST_CHECK;

/* Returns: 0 if nothing but blanks is left, else -1 and the scanner's fault. */
int json_scan_end(struct json_scanner *s) MUST_CHECK;

/*
 * Unescapes the text of a scanned string.
 * Takes: the text; room for text.n bytes, which the result never exceeds.
 * Returns: 0 and the number of bytes written; or -1 if a surrogate has no partner, which no UTF-8
 * can express.
 */
int json_unescape(struct slice text, char *out, size_t *n) MUST_CHECK;

/* Takes: 1..n bytes. Returns: how many the UTF-8 character takes that begins here; 0: none does. */
size_t json_utf8_size(const char *text, size_t n);

/* Takes: any bytes; p may be NULL if n is 0.  Returns: true if they are UTF-8. */
bool json_is_utf8(const char *p, size_t n) MUST_CHECK;

#endif
