/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfg_source.c - one configuration from several files, directories of files, and options of the
 * command line, as oslo.config puts it together: what is read later wins.
 *
 * Whether an unknown name is an error is said by an option, which may be in the last file: so names
 * are noted while reading and judged when all is read.
 *
 * Process: the master, at its start and at a reload.  Owner: the caller's structures.
 * Concurrency: one thread.
 */
#include "conf/cfg_priv.h"
#include "lib/array.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_LABEL = 4096, MAX_NOTICES = 1 << 16, MAX_FILES = 1000 };

/* Returns: a copy that cfg owns, or NULL with a text. */
static const char *
keep_name(struct cfg_loading *l, const char *name)
{
    struct config *cfg = l->cfg;
    char *copy = NULL;
    if (cfg->n_files == MAX_FILES) {
        errbuf_set(l->err, "%s: too many files; allowed: %d", name, MAX_FILES);
        return NULL;
    }
    if (array_append(&cfg->files, cfg->n_files, sizeof(*cfg->files)) == 0)
        copy = strdup(name);
    if (copy == NULL) {
        errbuf_set(l->err, "out of memory");
        return NULL;
    }
    cfg->files[cfg->n_files++] = copy;
    return copy;
}

/* Everything that is read from now on is this source's. */
static int
begin_source(struct cfg_loading *l, const char *name)
{
    l->rank++;
    l->reading = keep_name(l, name);
    return l->reading != NULL ? 0 : -1;
}

static int
read_file(struct cfg_loading *l, const char *path)
{
    return begin_source(l, path) == -1 ? -1 : cfg_file_read(l);
}

/* --- a directory --- */

/* As the shell's *.conf would: not what begins with a dot. */
static int
is_conf(const struct dirent *entry)
{
    static const char end[] = ".conf";
    size_t n = strlen(entry->d_name);
    return entry->d_name[0] != '.' && n >= sizeof(end) &&
           strcmp(entry->d_name + n - (sizeof(end) - 1), end) == 0;
}

/* By bytes: alphasort goes by the locale. */
static int
compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int
read_entry(struct cfg_loading *l, const char *directory, const char *name)
{
    char path[4096];
    size_t n = strlen(directory);
    const char *slash = n > 0 && directory[n - 1] == '/' ? "" : "/";
    if ((size_t)snprintf(path, sizeof(path), "%s%s%s", directory, slash, name) >= sizeof(path))
        return errbuf_set(l->err, "%.100s...: the path is too long", directory);
    return read_file(l, path);
}

static int
read_directory(struct cfg_loading *l, const char *path)
{
    struct dirent **entries = NULL;
    int result = 0, n = scandir(path, &entries, is_conf, compare_names);
    if (n == -1)
        return errbuf_set(l->err, "%s: %s", path, strerror(errno));
    for (int i = 0; i < n; i++) {
        if (result == 0)
            result = read_entry(l, path, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return result;
}

/* --- all of them --- */

static int
take_option(struct cfg_loading *l, const struct cfg_source *source)
{
    int i = cfg_find_option("DEFAULT", source->name);
    if (begin_source(l, source->path) == -1)
        return -1;
    return i != -1 ? cfg_set_raw(l, (size_t)i, source->value, 0, false)
                   : cfg_take_former(l, "DEFAULT", source->name, source->value, 0);
}

static int
read_source(struct cfg_loading *l, const struct cfg_source *source)
{
    switch (source->kind) {
    case CFG_FROM_FILE:
        return read_file(l, source->path);
    case CFG_FROM_DIRECTORY:
        return read_directory(l, source->path);
    case CFG_FROM_OPTION:
        return take_option(l, source);
    }
    return -1;
}

/* Cut where there are very many: it is for people. */
static char *
make_label(const struct cfg_source *sources, size_t n)
{
    struct buf label;
    buf_init(&label, MAX_LABEL);
    for (size_t i = 0; i < n; i++)
        if (sources[i].kind != CFG_FROM_OPTION && label.size + strlen(sources[i].path) < MAX_LABEL - 3)
            buf_printf(&label, "%s%s", label.size > 0 ? ", " : "", sources[i].path);
    buf_add_char(&label, '\0');
    char *copy = label.failed ? NULL : strdup(label.data);
    buf_free(&label);
    return copy;
}

static int
read_sources(struct cfg_loading *l, const struct cfg_source *sources, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (read_source(l, &sources[i]) == -1)
            return -1;
    return 0;
}

/* --- what is unknown --- */

void
cfg_tell_lines(const struct cfg_loading *l, const struct buf *lines)
{
    if (l->notice == NULL || lines->size == 0)
        return;
    const char *p = lines->data, *end = p + lines->size;
    while (p < end) {
        char line[1024];
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        size_t n = stop != NULL ? (size_t)(stop - p) : (size_t)(end - p);
        snprintf(line, sizeof(line), "%.*s", (int)n, p);
        l->notice(line);
        p += n + (stop != NULL);
    }
}

static int
refuse_unknown(const struct cfg_loading *l)
{
    const char *end = memchr(l->unknown.data, '\n', l->unknown.size);
    assert(end != NULL);
    return errbuf_set(l->err, "%.*s", (int)(end - l->unknown.data), l->unknown.data);
}

static int
judge_unknown(struct cfg_loading *l)
{
    int i = cfg_find_option("persister", "unknown_options");
    assert(i != -1);
    if (cfg_resolve(l, (size_t)i, (size_t)i + 1) == -1)
        return -1;
    const char *what = l->cfg->persister.unknown_options;
    bool warn = strcmp(what, "warn") == 0;
    if (!warn && strcmp(what, "refuse") != 0)
        return cfg_fail_option(l, (size_t)i, "allowed: refuse, warn");
    if (l->n_unknown == 0)
        return 0;
    if (!warn)
        return refuse_unknown(l);
    buf_printf(&l->unknown, "%s: %zu unknown sections and options are ignored\n", l->cfg->file,
               l->n_unknown);
    return 0;
}

/* --- life --- */

static void
free_loading(struct cfg_loading *l)
{
    for (size_t i = 0; l->raw != NULL && i < cfg_n_options; i++)
        free(l->raw[i].text);
    free(l->raw);
    buf_free(&l->former);
    buf_free(&l->unknown);
}

struct config *
cfg_load_sources(const struct cfg_source *sources, size_t n, void (*notice)(const char *text),
                 struct errbuf *err)
{
    struct cfg_loading l = {.cfg = calloc(1, sizeof(struct config)),
                            .raw = calloc(cfg_n_options, sizeof(struct cfg_raw)),
                            .notice = notice,
                            .err = err};
    bool good = false;
    buf_init(&l.former, MAX_NOTICES);
    buf_init(&l.unknown, MAX_NOTICES);
    if (l.cfg == NULL || l.raw == NULL || (l.cfg->file = make_label(sources, n)) == NULL)
        errbuf_set(err, "out of memory");
    else
        good = read_sources(&l, sources, n) == 0 && judge_unknown(&l) == 0 &&
               cfg_resolve(&l, 0, cfg_n_options) == 0 && cfg_check(&l) == 0;
    free_loading(&l);
    if (!good)
        cfg_free(&l.cfg);
    return l.cfg;
}

struct config *
cfg_load(const char *path, void (*notice)(const char *text), struct errbuf *err)
{
    const struct cfg_source source = {.kind = CFG_FROM_FILE, .path = path};
    return cfg_load_sources(&source, 1, notice, err);
}
