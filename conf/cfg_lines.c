/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfg_lines.c - brings the lines of the file to the one form that libini_config and oslo.config
 * read alike, and refuses what only this level can see.
 *
 * Upstream's files are written for oslo.config's reader (oslo_config/iniparser.py), which differs
 * from libini_config: it takes `name: value` too, sections in any case but names in the case they
 * have, removes quotes, and refuses an option before the first section (libini_config drops it in
 * silence).  libini_config compares names without regard to case and lets one overwrite the other;
 * that cannot happen any more once every name has been checked here, where its line is known.
 * What differs still: lines that go on are joined by a blank instead of a newline; no option here
 * could use a newline.
 *
 * A line stays a line, so that libini_config's line numbers are those of the file.
 *
 * Process: the master, before any fork.  Owner: the caller's structures.  Concurrency: one thread.
 */
#include "conf/cfg_priv.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#include "lib/json.h"

/* libini_config takes time by the square of the lines; a real file has a few hundred. */
enum { MAX_NAME = 128, MAX_LINES = 20000, MAX_UNKNOWN = 50 };

/* What becomes of a value's lines. */
enum value_kind {
    VALUE_CHECKED, /* it must be text */
    VALUE_LOOSE,   /* it means nothing here: any bytes */
    VALUE_DROPPED  /* of an unknown option */
};

struct scan {
    struct cfg_loading *l;
    struct buf *out;
    unsigned line;
    char section[MAX_NAME]; /* "" before the first */
    char name[MAX_NAME];    /* the option of the last assignment, "" if there is none */
    bool drop_section;      /* it is unknown */
    enum value_kind value;
};

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct slice
trim(struct slice s)
{
    while (s.n > 0 && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

/* --- the nearest known name --- */

static int
fold(char c)
{
    return tolower((unsigned char)c);
}

static unsigned
least_of(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Levenshtein's distance, regardless of case.  b is one of our own names, a may be anything. */
static unsigned
edit_distance(const char *a, const char *b)
{
    unsigned row[MAX_NAME];
    size_t n = strlen(b);
    assert(n < MAX_NAME);
    for (size_t j = 0; j <= n; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= n; j++) {
            unsigned change = diagonal + (fold(a[i - 1]) != fold(b[j - 1]));
            diagonal = row[j];
            row[j] = least_of(change, 1 + least_of(row[j - 1], row[j]));
        }
    }
    return row[n];
}

/*
 * The option of that very name in another section, else the one most like it in this section; in a
 * section that has only former ones, the one most like it anywhere.
 */
static const struct cfg_option *
nearest_option(const char *section, const char *name)
{
    enum { ELSEWHERE = 2 * MAX_NAME };
    const struct cfg_option *best = NULL;
    unsigned least = UINT32_MAX;
    for (size_t i = 0; i < cfg_n_options; i++) {
        const struct cfg_option *o = &cfg_options[i];
        if (strcmp(o->name, name) == 0)
            return o;
        unsigned distance =
            edit_distance(name, o->name) + (strcmp(o->section, section) == 0 ? 0 : ELSEWHERE);
        if (distance < least) {
            least = distance;
            best = o;
        }
    }
    assert(best != NULL);
    return best;
}

static const char *
nearest_section(const char *section)
{
    const char *best = "DEFAULT";
    unsigned least = UINT32_MAX;
    for (size_t i = 0; i < cfg_n_options; i++) {
        unsigned distance = edit_distance(section, cfg_options[i].section);
        if (distance < least) {
            least = distance;
            best = cfg_options[i].section;
        }
    }
    return best;
}

/* --- lines --- */

static int
fail_line(const struct scan *s, const char *what)
{
    return errbuf_set(s->l->err, "%s:%u: %s", s->l->reading, s->line, what);
}

static int
fail_name(const struct scan *s, const char *name, const char *what)
{
    return errbuf_set(s->l->err, "%s:%u: [%s] %s: %s", s->l->reading, s->line, s->section, name,
                      what);
}

/* At most so many are told; the others are counted. */
static void
note_unknown(struct scan *s, const char *format, ...) PRINTF_LIKE(2, 3);

static void
note_unknown(struct scan *s, const char *format, ...)
{
    char text[512];
    va_list args;
    if (s->l->n_unknown++ >= MAX_UNKNOWN)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    buf_printf(&s->l->unknown, "%s:%u: %s\n", s->l->reading, s->line, text);
}

/* --- bytes --- */

static bool
is_control(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

static int
check_bytes(const struct scan *s, struct slice text)
{
    char what[MAX_NAME * 3] = "";
    if (s->name[0] != '\0')
        snprintf(what, sizeof(what), " in [%s] %s", s->section, s->name);
    for (size_t i = 0; i < text.n; i++)
        if (is_control(text.p[i]))
            return errbuf_set(s->l->err,
                              "%s:%u: a control character (0x%02x)%s; allowed: text in UTF-8",
                              s->l->reading, s->line, (unsigned)text.p[i], what);
    if (!json_is_utf8(text.p, text.n))
        return errbuf_set(s->l->err, "%s:%u: not UTF-8%s; allowed: text in UTF-8", s->l->reading,
                          s->line, what);
    return 0;
}

static void
add_loose(struct buf *out, struct slice text)
{
    bool utf8 = json_is_utf8(text.p, text.n);
    for (size_t i = 0; i < text.n; i++)
        buf_add_char(out, is_control(text.p[i]) || (!utf8 && (unsigned char)text.p[i] >= 0x80)
                              ? '?'
                              : text.p[i]);
}

/* --- sections and options --- */

/* oslo.config takes every section but DEFAULT in any case. */
static int
scan_section(struct scan *s, struct slice line)
{
    char name[MAX_NAME];
    struct slice inner = {line.p + 1, line.n > 2 ? line.n - 2 : 0};
    if (inner.n == 0 || line.p[line.n - 1] != ']' || inner.n >= sizeof(name))
        return fail_line(s, "not a section; allowed: [NAME] and nothing behind it");
    memcpy(name, inner.p, inner.n);
    name[inner.n] = '\0';
    if (strcmp(name, "DEFAULT") != 0)
        for (char *p = name; *p != '\0'; p++)
            *p = (char)fold(*p);
    memcpy(s->section, name, inner.n + 1);
    s->drop_section = !cfg_is_section(name);
    if (s->drop_section) {
        note_unknown(s, "[%s]: unknown section; the nearest known one is [%s]", name,
                     nearest_section(name));
        buf_add_text(s->out, "#\n");
    } else {
        buf_printf(s->out, "[%s]\n", name);
    }
    return 0;
}

/* Returns: 0, or -1 with a text. */
static int
check_property(const struct scan *s, const char *property)
{
    size_t n = strspn(property, "abcdefghijklmnopqrstuvwxyz0123456789._");
    return n > 0 && property[n] == '\0'
               ? 0
               : fail_name(s, s->name,
                           "not a property's name; allowed: librdkafka.NAME, NAME in small letters");
}

/* What s->name is, which decides about its value. */
static int
look_up_name(struct scan *s)
{
    const char *property = cfg_property_name(s->section, s->name);
    s->value = VALUE_CHECKED;
    if (property != NULL)
        return check_property(s, property);
    int i = cfg_find_option(s->section, s->name);
    const struct cfg_former *former = cfg_find_former(s->section, s->name);
    if (i != -1) {
        if (cfg_options[i].flags & CFG_IGNORED)
            s->value = VALUE_LOOSE;
    } else if (former != NULL) {
        if (former->now_name == NULL)
            s->value = VALUE_LOOSE;
    } else {
        const struct cfg_option *near = nearest_option(s->section, s->name);
        note_unknown(s, "[%s] %s: unknown option; the nearest known one is [%s] %s", s->section,
                     s->name, near->section, near->name);
        s->value = VALUE_DROPPED;
    }
    return 0;
}

static int
add_value(const struct scan *s, const char *before, struct slice value)
{
    if (s->value == VALUE_DROPPED) {
        buf_add_text(s->out, "#\n");
        return 0;
    }
    if (s->value == VALUE_CHECKED && check_bytes(s, value) == -1)
        return -1;
    buf_add_text(s->out, before);
    add_loose(s->out, value);
    buf_add_char(s->out, '\n');
    return 0;
}

static int
scan_assignment(struct scan *s, struct slice line)
{
    char before[MAX_NAME + 4];
    size_t n = 0;
    while (n < line.n && line.p[n] != '=' && line.p[n] != ':')
        n++;
    struct slice key = trim((struct slice){line.p, n});
    s->name[0] = '\0';
    if (check_bytes(s, key) == -1)
        return -1;
    if (n == line.n || key.n == 0)
        return fail_line(s, "neither a section, an option nor a comment; allowed: [section], "
                            "option = value, # comment, and indented lines that go on with a "
                            "value");
    if (s->section[0] == '\0')
        return fail_line(s, "an option before the first section; allowed: [DEFAULT] above it");
    bool fits = key.n < sizeof(s->name);
    memcpy(s->name, key.p, fits ? key.n : 0);
    s->name[fits ? key.n : 0] = '\0';
    if (!fits)
        note_unknown(s, "[%s] %.*s...: unknown option", s->section, MAX_NAME, key.p);
    if (s->drop_section || !fits)
        s->value = VALUE_DROPPED;
    else if (look_up_name(s) == -1)
        return -1;
    snprintf(before, sizeof(before), "%s = ", s->name);
    return add_value(s, before, trim((struct slice){line.p + n + 1, line.n - n - 1}));
}

/* Blank lines, comments and sections end a value. */
static void
end_value(struct scan *s, const char *line)
{
    s->name[0] = '\0';
    s->value = VALUE_CHECKED;
    buf_add_text(s->out, line);
}

static int
scan_line(struct scan *s, struct slice line)
{
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    struct slice trimmed = trim(line);
    if (trimmed.n == 0) {
        end_value(s, "\n");
        return 0;
    }
    if (line.p[0] == '#' || line.p[0] == ';') {
        end_value(s, "#\n"); /* whatever it says, in whatever encoding */
        return 0;
    }
    if (is_blank(line.p[0]))
        return add_value(s, " ", trimmed);
    if (line.p[0] != '[')
        return scan_assignment(s, trimmed);
    end_value(s, "");
    return check_bytes(s, trimmed) == -1 ? -1 : scan_section(s, trimmed);
}

int
cfg_lines_clean(struct cfg_loading *l, struct slice text, struct buf *out)
{
    struct scan s = {.l = l, .out = out};
    if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
        text = (struct slice){text.p + 3, text.n - 3};
    while (text.n > 0) {
        const char *end = memchr(text.p, '\n', text.n);
        size_t n = end != NULL ? (size_t)(end - text.p) : text.n;
        if (s.line++ == MAX_LINES)
            return fail_line(&s, "too many lines; allowed: 20000");
        if (scan_line(&s, (struct slice){text.p, n}) == -1)
            return -1;
        n += end != NULL;
        text = (struct slice){text.p + n, text.n - n};
    }
    return out->failed ? errbuf_set(l->err, "%s: too large", l->reading) : 0;
}
