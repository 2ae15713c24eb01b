/*
 * cfg_file.c - reads the INI file with libini_config into raw texts, one per known option.
 *
 * libini_config keeps line numbers and joins continuation lines (without the newline).  It compares
 * names without regard to case when it merges; we compare exactly, as oslo.config does.  It stops
 * at a NUL byte, so the file is read here and searched for one first.
 *
 * Process: the master, before any fork.  Owner: the caller's structures.  Concurrency: one thread.
 */
#include "lib/cfg_priv.h"

#include <errno.h>
#include <ini_configobj.h>
#include <ini_valueobj.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lib/buf.h"

enum { MAX_FILE_BYTES = 16 << 20 };

static const char property_prefix[] = "librdkafka.";

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
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buf_add(text, chunk, n);
    if (ferror(f))
        return fail_file(cfg, errno, err);
    if (text->failed)
        return errbuf_set(err, "%s: too large; at most %d bytes", cfg->file, MAX_FILE_BYTES);
    return 0;
}

static unsigned
count_lines(const char *text, const char *until)
{
    unsigned line = 1;
    for (; text < until; text++)
        line += *text == '\n';
    return line;
}

static int
read_text(const struct config *cfg, struct buf *text, struct errbuf *err)
{
    FILE *f = fopen(cfg->file, "re");
    if (f == NULL)
        return fail_file(cfg, errno, err);
    struct stat st;
    int result = fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode) ? fail_file(cfg, EISDIR, err)
                                                                   : read_stream(f, cfg, text, err);
    fclose(f);
    if (result == -1)
        return -1;
    const char *nul = text->size > 0 ? memchr(text->data, '\0', text->size) : NULL;
    if (nul != NULL)
        return errbuf_set(err, "%s:%u: a NUL byte; allowed: text in UTF-8", cfg->file,
                          count_lines(text->data, nul));
    return 0;
}

/* "Error (5) on line 13: Equal sign is missing." to "FILE:13: Equal sign is missing". */
static int
tell_syntax_error(const struct config *cfg, struct ini_cfgobj *ini, struct errbuf *err)
{
    char **texts = NULL;
    if (ini_config_get_errors(ini, &texts) != 0 || texts == NULL || texts[0] == NULL)
        return errbuf_set(err, "%s: not an INI file", cfg->file);
    const char *at = strstr(texts[0], " on line ");
    const char *what = at != NULL ? strstr(at, ": ") : NULL;
    if (what != NULL)
        errbuf_set(err,
                   "%s:%.*s: %s allowed: [section], option = value, # comment, and indented "
                   "lines that go on with a value",
                   cfg->file, (int)(what - at - 9), at + 9, what + 2);
    else
        errbuf_set(err, "%s: %s", cfg->file, texts[0]);
    ini_config_free_errors(texts);
    return -1;
}

/* Levenshtein's distance, for names of at most 63 bytes. */
static unsigned
edit_distance(const char *a, const char *b)
{
    unsigned row[64];
    size_t n = strlen(b);
    if (strlen(a) > 63 || n > 62)
        return UINT32_MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= n; j++) {
            unsigned change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            unsigned least = row[j - 1] < row[j] ? row[j - 1] + 1 : row[j] + 1;
            row[j] = change < least ? change : least;
        }
    }
    return row[n];
}

static const char *
nearest_option(const char *section, const char *name)
{
    const char *best = NULL;
    unsigned least = UINT32_MAX;
    for (size_t i = 0; i < cfg_n_options; i++) {
        if (strcmp(cfg_options[i].section, section) != 0)
            continue;
        unsigned distance = edit_distance(name, cfg_options[i].name);
        if (distance < least) {
            least = distance;
            best = cfg_options[i].name;
        }
    }
    return best;
}

static const char *
nearest_section(const char *section)
{
    const char *best = NULL;
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

static int
tell_unknown(const struct config *cfg, unsigned line, const char *section, const char *name,
             struct errbuf *err)
{
    const char *near = nearest_option(section, name);
    if (near != NULL)
        return errbuf_set(err, "%s:%u: [%s] %s: unknown option; the nearest known one is %s",
                          cfg->file, line, section, name, near);
    near = nearest_section(section);
    return errbuf_set(err, "%s:%u: [%s]: unknown section; the nearest known one is [%s]", cfg->file,
                      line, section, near != NULL ? near : "DEFAULT");
}

static int
add_property(struct config *cfg, const char *name, char *value, unsigned line, struct errbuf *err)
{
    struct cfg_property *bigger =
        realloc(cfg->properties, (cfg->n_properties + 1) * sizeof(*cfg->properties));
    if (bigger == NULL)
        return errbuf_set(err, "out of memory");
    cfg->properties = bigger;
    struct cfg_property *p = &cfg->properties[cfg->n_properties];
    *p = (struct cfg_property){.name = strdup(name), .value = strdup(value), .line = line};
    if (p->name == NULL || p->value == NULL) {
        free(p->name);
        free(p->value);
        return errbuf_set(err, "out of memory");
    }
    cfg->n_properties++;
    return 0;
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
        return errbuf_set(err, "%s:%u: [%s] %s: cannot be read", cfg->file, line, section, name);
    size_t prefix = sizeof(property_prefix) - 1;
    if (strcmp(section, "kafka") == 0 && strncmp(name, property_prefix, prefix) == 0) {
        int result = add_property(cfg, name + prefix, text, line, err);
        free(text);
        return result;
    }
    int i = cfg_find_option(section, name);
    if (i == -1) {
        free(text);
        return tell_unknown(cfg, line, section, name, err);
    }
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
    for (int i = 0; names != NULL && i < n && result == 0; i++) {
        struct value_obj *vo = NULL;
        error = ini_get_config_valueobj(section, names[i], ini, INI_GET_FIRST_VALUE, &vo);
        if (error == 0 && vo != NULL)
            result = take_value(cfg, raw, section, names[i], vo, err);
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
    struct buf text;
    buf_init(&text, MAX_FILE_BYTES);
    int result = read_text(cfg, &text, err);
    if (result == 0 && text.size > 0)
        result = parse_text(cfg, raw, &text, err);
    buf_free(&text);
    return result;
}
