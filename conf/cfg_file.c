/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfg_file.c - reads the INI file into raw texts, one per known option.
 *
 * The lines are checked and brought to one form first (cfg_lines.c); libini_config then parses
 * them, merges sections and repeated options (the last one wins, as with oslo.config), joins lines
 * that go on, and keeps the line numbers.
 *
 * Process: the master, before any fork.  Owner: the caller's structures.  Concurrency: one thread.
 */
#include "conf/cfg_priv.h"

#include <errno.h>
#include <ini_configobj.h>
#include <ini_valueobj.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/array.h"
#include "lib/regular_file.h"

enum { MAX_FILE_BYTES = 4 << 20, MAX_PROPERTIES = 1000 };

static int
fail_file(const struct cfg_loading *l, int error)
{
    return errbuf_set(l->err, "%s: %s", l->reading, strerror(error));
}

static int
read_stream(FILE *f, const struct cfg_loading *l, struct buf *text)
{
    char chunk[8192];
    size_t n;
    while (!text->failed && (n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buf_add(text, chunk, n);
    if (ferror(f))
        return fail_file(l, errno);
    if (text->failed)
        return errbuf_set(l->err, "%s: too large; allowed: %d bytes", l->reading, MAX_FILE_BYTES);
    return 0;
}

static int
read_text(const struct cfg_loading *l, struct buf *text)
{
    FILE *f = regular_file_open(l->reading, l->err); /* the master reads it while it runs */
    if (f == NULL)
        return -1;
    int result = read_stream(f, l, text);
    fclose(f);
    return result;
}

/* "Error (9) on line 13: Invalid space." to "FILE:13: Invalid space; allowed: ...". */
static int
tell_syntax_error(const struct cfg_loading *l, struct ini_cfgobj *ini)
{
    char **texts = NULL;
    static const char before[] = " on line ";
    if (ini_config_get_errors(ini, &texts) != 0 || texts == NULL || texts[0] == NULL)
        return errbuf_set(l->err, "%s: not an INI file", l->reading);
    const char *at = strstr(texts[0], before);
    const char *what = at != NULL ? strstr(at, ": ") : NULL;
    if (what != NULL) {
        at += sizeof(before) - 1;
        errbuf_set(l->err,
                   "%s:%.*s: %.*s; allowed: [section], option = value, # comment, and indented "
                   "lines that go on with the value above them",
                   l->reading, (int)(what - at), at, (int)strcspn(what + 2, "."), what + 2);
    } else {
        errbuf_set(l->err, "%s: %s", l->reading, texts[0]);
    }
    ini_config_free_errors(texts);
    return -1;
}

const char *
cfg_property_name(const char *section, const char *name)
{
    static const char prefix[] = "librdkafka.";
    size_t n = sizeof(prefix) - 1;
    return strcmp(section, "kafka") == 0 && strncmp(name, prefix, n) == 0 ? name + n : NULL;
}

/* A later file's value takes the place of an earlier one's. Returns: the property, or NULL. */
static struct cfg_property *
find_property(const struct config *cfg, const char *name)
{
    for (size_t i = 0; i < cfg->n_properties; i++)
        if (strcmp(cfg->properties[i].name, name) == 0)
            return &cfg->properties[i];
    return NULL;
}

/* Returns: one without a value yet, or NULL with a text. */
static struct cfg_property *
add_property(const struct cfg_loading *l, const char *name, unsigned line)
{
    struct config *cfg = l->cfg;
    if (cfg->n_properties == MAX_PROPERTIES) {
        errbuf_set(l->err, "%s:%u: [kafka] librdkafka.%s: too many; allowed: %d properties",
                   l->reading, line, name, MAX_PROPERTIES);
        return NULL;
    }
    char *copy = strdup(name);
    if (copy == NULL ||
        array_append(&cfg->properties, cfg->n_properties, sizeof(*cfg->properties)) == -1) {
        free(copy);
        errbuf_set(l->err, "out of memory");
        return NULL;
    }
    struct cfg_property *p = &cfg->properties[cfg->n_properties++];
    *p = (struct cfg_property){.name = copy};
    return p;
}

static int
set_property(const struct cfg_loading *l, const char *name, const char *value, unsigned line)
{
    struct cfg_property *p = find_property(l->cfg, name);
    if (p == NULL && (p = add_property(l, name, line)) == NULL)
        return -1;
    free(p->value);
    p->value = strdup(value);
    p->file = l->reading;
    p->line = line;
    return p->value != NULL ? 0 : errbuf_set(l->err, "out of memory");
}

/* Removes blanks around the text, and one pair of quotes, as oslo.config does.  In place. */
static void
unquote(char *text)
{
    size_t n = strlen(text), skip = strspn(text, " \t");
    while (n > skip && (text[n - 1] == ' ' || text[n - 1] == '\t'))
        n--;
    if (n - skip >= 2 && (text[skip] == '"' || text[skip] == '\'') && text[n - 1] == text[skip]) {
        skip++;
        n--;
    }
    memmove(text, text + skip, n - skip);
    text[n - skip] = '\0';
}

int
cfg_set_raw(struct cfg_loading *l, size_t i, const char *text, unsigned line, bool former)
{
    char *copy = strdup(text);
    if (copy == NULL)
        return errbuf_set(l->err, "out of memory");
    free(l->raw[i].text);
    l->raw[i] = (struct cfg_raw){
        .text = copy, .file = l->reading, .line = line, .rank = l->rank, .former = former};
    return 0;
}

static int
take_text(struct cfg_loading *l, const char *section, const char *name, const char *text,
          unsigned line)
{
    const char *property = cfg_property_name(section, name);
    if (property != NULL)
        return set_property(l, property, text, line);
    int i = cfg_find_option(section, name);
    return i == -1 ? cfg_take_former(l, section, name, text, line)
                   : cfg_set_raw(l, (size_t)i, text, line, false);
}

static int
take_value(struct cfg_loading *l, const char *section, const char *name, struct value_obj *vo)
{
    uint32_t line = 0;
    int error = 0;
    value_get_line(vo, &line);
    char *text = ini_get_string_config_value(vo, &error);
    if (text == NULL)
        return errbuf_set(l->err, "%s:%u: [%s] %s: %s", l->reading, line, section, name,
                          strerror(error));
    unquote(text);
    int result = take_text(l, section, name, text, line);
    free(text);
    return result;
}

static int
take_section(struct cfg_loading *l, struct ini_cfgobj *ini, const char *section)
{
    int n = 0, error = 0, result = 0;
    char **names = ini_get_attribute_list(ini, section, &n, &error);
    if (names == NULL)
        return errbuf_set(l->err, "%s: [%s]: %s", l->reading, section, strerror(error));
    for (int i = 0; i < n && result == 0; i++) {
        struct value_obj *vo = NULL;
        error = ini_get_config_valueobj(section, names[i], ini, INI_GET_FIRST_VALUE, &vo);
        result = error == 0 && vo != NULL
                     ? take_value(l, section, names[i], vo)
                     : errbuf_set(l->err, "%s: [%s] %s: cannot be read", l->reading, section,
                                  names[i]);
    }
    ini_free_attribute_list(names);
    return result;
}

static int
take_all(struct cfg_loading *l, struct ini_cfgobj *ini)
{
    int n = 0, error = 0, result = 0;
    char **sections = ini_get_section_list(ini, &n, &error);
    for (int i = 0; sections != NULL && i < n && result == 0; i++)
        result = take_section(l, ini, sections[i]);
    ini_free_section_list(sections);
    return result;
}

static int
parse_text(struct cfg_loading *l, struct buf *text)
{
    struct ini_cfgobj *ini = NULL;
    struct ini_cfgfile *file = NULL;
    int result = -1, error = ini_config_create(&ini);
    if (error == 0)
        error = ini_config_file_from_mem(text->data, (uint32_t)text->size, &file);
    if (error == 0) {
        error = ini_config_parse(file, INI_STOP_ON_ANY,
                                 INI_MV1S_OVERWRITE | INI_MV2S_OVERWRITE | INI_MS_MERGE,
                                 INI_PARSE_NO_C_COMMENTS, ini);
        result = error != 0 ? tell_syntax_error(l, ini) : take_all(l, ini);
    } else {
        fail_file(l, error);
    }
    ini_config_file_destroy(file);
    ini_config_destroy(ini);
    return result;
}

int
cfg_file_read(struct cfg_loading *l)
{
    struct buf text, clean;
    buf_init(&text, MAX_FILE_BYTES);
    buf_init(&clean, 3 * MAX_FILE_BYTES); /* "a:" becomes "a = " */
    int result = read_text(l, &text);
    if (result == 0)
        result = cfg_lines_clean(l, (struct slice){text.data, text.size}, &clean);
    if (result == 0 && clean.size > 0)
        result = parse_text(l, &clean);
    buf_free(&clean);
    buf_free(&text);
    return result;
}
