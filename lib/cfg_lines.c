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
#include "lib/cfg_priv.h"

#include <ctype.h>

#include "lib/json.h"

/* libini_config takes time by the square of the lines; a real file has a few hundred. */
enum { MAX_NAME = 128, MAX_LINES = 20000 };

struct scan {
    const struct config *cfg;
    struct buf *out;
    struct errbuf *err;
    unsigned line;
    char section[MAX_NAME]; /* "" before the first */
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

/* The option of that very name in another section, else the one most like it in this section. */
static const struct cfg_option *
nearest_option(const char *section, const char *name)
{
    const struct cfg_option *best = NULL;
    unsigned least = UINT32_MAX;
    for (size_t i = 0; i < cfg_n_options; i++) {
        const struct cfg_option *o = &cfg_options[i];
        if (strcmp(o->name, name) == 0)
            return o;
        unsigned distance =
            strcmp(o->section, section) == 0 ? edit_distance(name, o->name) : UINT32_MAX;
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
    return errbuf_set(s->err, "%s:%u: %s", s->cfg->file, s->line, what);
}

static bool
is_section(const char *name)
{
    for (size_t i = 0; i < cfg_n_options; i++)
        if (strcmp(cfg_options[i].section, name) == 0)
            return true;
    return false;
}

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
    if (!is_section(name))
        return errbuf_set(s->err, "%s:%u: [%s]: unknown section; the nearest known one is [%s]",
                          s->cfg->file, s->line, name, nearest_section(name));
    memcpy(s->section, name, inner.n + 1);
    buf_printf(s->out, "[%s]\n", name);
    return 0;
}

static int
check_name(const struct scan *s, const char *name)
{
    const char *property = cfg_property_name(s->section, name);
    if (property != NULL) {
        size_t n = strspn(property, "abcdefghijklmnopqrstuvwxyz0123456789._");
        if (n == 0 || property[n] != '\0')
            return errbuf_set(s->err,
                              "%s:%u: [%s] %s: not a property's name; allowed: librdkafka.NAME, "
                              "NAME in small letters",
                              s->cfg->file, s->line, s->section, name);
        return 0;
    }
    if (cfg_find_option(s->section, name) != -1)
        return 0;
    const struct cfg_option *near = nearest_option(s->section, name);
    return errbuf_set(s->err, "%s:%u: [%s] %s: unknown option; the nearest known one is [%s] %s",
                      s->cfg->file, s->line, s->section, name, near->section, near->name);
}

static int
scan_assignment(struct scan *s, struct slice line)
{
    char name[MAX_NAME];
    size_t n = 0;
    while (n < line.n && line.p[n] != '=' && line.p[n] != ':')
        n++;
    struct slice key = trim((struct slice){line.p, n});
    if (n == line.n || key.n == 0)
        return fail_line(s, "neither a section, an option nor a comment; allowed: [section], "
                            "option = value, # comment, and indented lines that go on with a "
                            "value");
    if (s->section[0] == '\0')
        return fail_line(s, "an option before the first section; allowed: [DEFAULT] above it");
    if (key.n >= sizeof(name))
        return errbuf_set(s->err, "%s:%u: [%s] %.*s...: unknown option", s->cfg->file, s->line,
                          s->section, MAX_NAME, key.p);
    memcpy(name, key.p, key.n);
    name[key.n] = '\0';
    if (check_name(s, name) == -1)
        return -1;
    struct slice value = trim((struct slice){line.p + n + 1, line.n - n - 1});
    buf_printf(s->out, "%s = ", name);
    buf_add_slice(s->out, value);
    buf_add_char(s->out, '\n');
    return 0;
}

static int
check_bytes(const struct scan *s, struct slice line)
{
    for (size_t i = 0; i < line.n; i++)
        if (((unsigned char)line.p[i] < 0x20 && line.p[i] != '\t') || line.p[i] == 0x7f)
            return fail_line(s, "a control character; allowed: text in UTF-8");
    if (!json_is_utf8(line.p, line.n))
        return fail_line(s, "not UTF-8; allowed: text in UTF-8");
    return 0;
}

static int
scan_line(struct scan *s, struct slice line)
{
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    struct slice trimmed = trim(line);
    if (trimmed.n == 0) {
        buf_add_char(s->out, '\n');
        return 0;
    }
    if (line.p[0] == '#' || line.p[0] == ';') {
        buf_add_text(s->out, "#\n"); /* whatever it says, in whatever encoding */
        return 0;
    }
    if (check_bytes(s, line) == -1)
        return -1;
    if (is_blank(line.p[0])) {
        buf_add_char(s->out, ' ');
        buf_add_slice(s->out, trimmed);
        buf_add_char(s->out, '\n');
        return 0;
    }
    return line.p[0] == '[' ? scan_section(s, trimmed) : scan_assignment(s, trimmed);
}

int
cfg_lines_clean(const struct config *cfg, struct slice text, struct buf *out, struct errbuf *err)
{
    struct scan s = {.cfg = cfg, .out = out, .err = err};
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
    return out->failed ? errbuf_set(err, "%s: too large", cfg->file) : 0;
}
