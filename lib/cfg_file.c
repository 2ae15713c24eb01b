/*
 * cfg_file.c - reads the INI file into raw texts, one per known option.
 *
 * The lines are checked and brought to one form first (cfg_lines.c); libini_config then parses
 * them, merges sections and repeated options (the last one wins, as with oslo.config), joins lines
 * that go on, and keeps the line numbers.
 *
 * Process: the master, before any fork.  Owner: the caller's structures.  Concurrency: one thread.
 */
#include "lib/cfg_priv.h"

#include <errno.h>
#include <ini_configobj.h>
#include <ini_valueobj.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/regular_file.h"

enum { MAX_FILE_BYTES = 4 << 20, MAX_PROPERTIES = 1000 };

static int
fail_file(const struct config *cfg, int error, struct errbuf *err)
{
    return errbuf_set(err, "%s: %s", cfg->file, strerror(error));
}

static int
read_stream(FILE *f, const struct config *cfg, struct buf *text, struct errbuf *err)
{
    char chunk[8192];
    size_t n;
    while (!text->failed && (n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buf_add(text, chunk, n);
    if (ferror(f))
        return fail_file(cfg, errno, err);
    if (text->failed)
        return errbuf_set(err, "%s: too large; allowed: %d bytes", cfg->file, MAX_FILE_BYTES);
    return 0;
}

static int
read_text(const struct config *cfg, struct buf *text, struct errbuf *err)
{
    FILE *f = regular_file_open(cfg->file, err); /* the master reads it while it runs */
    if (f == NULL)
        return -1;
    int result = read_stream(f, cfg, text, err);
    fclose(f);
    return result;
}

/* "Error (9) on line 13: Invalid space." to "FILE:13: Invalid space; allowed: ...". */
static int
tell_syntax_error(const struct config *cfg, struct ini_cfgobj *ini, struct errbuf *err)
{
    char **texts = NULL;
    static const char before[] = " on line ";
    if (ini_config_get_errors(ini, &texts) != 0 || texts == NULL || texts[0] == NULL)
        return errbuf_set(err, "%s: not an INI file", cfg->file);
    const char *at = strstr(texts[0], before);
    const char *what = at != NULL ? strstr(at, ": ") : NULL;
    if (what != NULL) {
        at += sizeof(before) - 1;
        errbuf_set(err,
                   "%s:%.*s: %.*s; allowed: [section], option = value, # comment, and indented "
                   "lines that go on with the value above them",
                   cfg->file, (int)(what - at), at, (int)strcspn(what + 2, "."), what + 2);
    } else {
        errbuf_set(err, "%s: %s", cfg->file, texts[0]);
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

static int
add_property(struct config *cfg, const char *name, const char *value, unsigned line,
             struct errbuf *err)
{
    if (cfg->n_properties == MAX_PROPERTIES)
        return errbuf_set(err, "%s:%u: [kafka] librdkafka.%s: too many; allowed: %d properties",
                          cfg->file, line, name, MAX_PROPERTIES);
    struct cfg_property *bigger =
        realloc(cfg->properties, (cfg->n_properties + 1) * sizeof(*cfg->properties));
    if (bigger == NULL)
        return errbuf_set(err, "out of memory");
    cfg->properties = bigger;
    struct cfg_property *p = &cfg->properties[cfg->n_properties++];
    *p = (struct cfg_property){.name = strdup(name), .value = strdup(value), .line = line};
    return p->name != NULL && p->value != NULL ? 0 : errbuf_set(err, "out of memory");
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

static int
take_value(struct config *cfg, struct cfg_raw *raw, const char *section, const char *name,
           struct value_obj *vo, struct errbuf *err)
{
    uint32_t line = 0;
    int error = 0;
    value_get_line(vo, &line);
    char *text = ini_get_string_config_value(vo, &error);
    if (text == NULL)
        return errbuf_set(err, "%s:%u: [%s] %s: %s", cfg->file, line, section, name,
                          strerror(error));
    unquote(text);
    const char *property = cfg_property_name(section, name);
    if (property != NULL) {
        int result = add_property(cfg, property, text, line, err);
        free(text);
        return result;
    }
    int i = cfg_find_option(section, name);
    assert(i != -1); /* cfg_lines.c has seen to it */
    free(raw[i].text);
    raw[i] = (struct cfg_raw){.text = text, .line = line};
    return 0;
}

static int
take_section(struct config *cfg, struct cfg_raw *raw, struct ini_cfgobj *ini, const char *section,
             struct errbuf *err)
{
    int n = 0, error = 0, result = 0;
    char **names = ini_get_attribute_list(ini, section, &n, &error);
    if (names == NULL)
        return errbuf_set(err, "%s: [%s]: %s", cfg->file, section, strerror(error));
    for (int i = 0; i < n && result == 0; i++) {
        struct value_obj *vo = NULL;
        error = ini_get_config_valueobj(section, names[i], ini, INI_GET_FIRST_VALUE, &vo);
        result = error == 0 && vo != NULL
                     ? take_value(cfg, raw, section, names[i], vo, err)
                     : errbuf_set(err, "%s: [%s] %s: cannot be read", cfg->file, section, names[i]);
    }
    ini_free_attribute_list(names);
    return result;
}

static int
take_all(struct config *cfg, struct cfg_raw *raw, struct ini_cfgobj *ini, struct errbuf *err)
{
    int n = 0, error = 0, result = 0;
    char **sections = ini_get_section_list(ini, &n, &error);
    for (int i = 0; sections != NULL && i < n && result == 0; i++)
        result = take_section(cfg, raw, ini, sections[i], err);
    ini_free_section_list(sections);
    return result;
}

static int
parse_text(struct config *cfg, struct cfg_raw *raw, struct buf *text, struct errbuf *err)
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
        result = error != 0 ? tell_syntax_error(cfg, ini, err) : take_all(cfg, raw, ini, err);
    } else {
        fail_file(cfg, error, err);
    }
    ini_config_file_destroy(file);
    ini_config_destroy(ini);
    return result;
}

int
cfg_file_read(struct config *cfg, struct cfg_raw *raw, struct errbuf *err)
{
    struct buf text, clean;
    buf_init(&text, MAX_FILE_BYTES);
    buf_init(&clean, 3 * MAX_FILE_BYTES); /* "a:" becomes "a = " */
    int result = read_text(cfg, &text, err);
    if (result == 0)
        result = cfg_lines_clean(cfg, (struct slice){text.data, text.size}, &clean, err);
    if (result == 0 && clean.size > 0)
        result = parse_text(cfg, raw, &clean, err);
    buf_free(&clean);
    buf_free(&text);
    return result;
}
