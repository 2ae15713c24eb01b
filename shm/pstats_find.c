/*
 * pstats_find.c - see pstats_find.h.
 *
 * Process: pstats.  Owner: the caller.  Concurrency: one thread; masters may come and go meanwhile,
 * so what was listed may be gone when it is opened.
 */
#include "shm/pstats_find.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char run_directory[] = "/run/monasca-persister";
static const char shm_directory[] = "/dev/shm";
static const char shm_prefix[] = "monasca-persister-";
static const char suffix[] = ".shm";

enum { CANDIDATES_MAX = 256 };

struct candidate {
    char path[PSTATS_PATH_BYTES];
    struct shm_reader *reader; /* NULL: refused */
    bool lives;
    struct errbuf err; /* if refused */
};

struct search {
    const char *instance; /* NULL: any */
    struct candidate *candidates;
    size_t n;
    bool denied;         /* a directory that is ours to read, in principle, is closed to us */
    struct errbuf where; /* "A, B": the directories that were searched */
    struct errbuf why;   /* what was denied */
};

/* --- candidates --- */

static void
try_file(struct search *s, const char *directory, const char *name)
{
    if (s->n == CANDIDATES_MAX)
        return;
    struct candidate *c = &s->candidates[s->n];
    *c = (struct candidate){.reader = NULL};
    if ((size_t)snprintf(c->path, sizeof(c->path), "%s/%s", directory, name) >= sizeof(c->path))
        return;
    enum shm_open opened = shm_reader_open(c->path, &c->reader, &c->err);
    if (opened == SHM_NOT_THERE)
        return;
    c->lives = opened == SHM_OPENED && shm_reader_master_lives(c->reader);
    s->n++;
}

static bool
is_segment_name(const char *name)
{
    size_t n = strlen(name), k = sizeof(suffix) - 1;
    return n > k && strcmp(name + n - k, suffix) == 0 && name[0] != '.';
}

static int
compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int
filter_names(const struct dirent *entry)
{
    return is_segment_name(entry->d_name);
}

/* Takes: whether its being closed to us is worth telling. */
static void
try_directory(struct search *s, const char *directory, bool ours)
{
    struct dirent **entries;
    char name[SHM_INSTANCE_BYTES + sizeof(suffix)];
    if (!ours && access(directory, X_OK) == -1)
        return;
    if (s->instance != NULL) {
        /* Also where names cannot be listed, but files be opened. */
        if ((size_t)snprintf(name, sizeof(name), "%s%s", s->instance, suffix) < sizeof(name))
            try_file(s, directory, name);
    }
    int n = scandir(directory, &entries, filter_names, compare_names);
    if (n == -1) {
        if (errno == EACCES && ours) {
            s->denied = true;
            errbuf_set(&s->why, "%s: %s", directory, strerror(errno));
        }
        return;
    }
    for (int i = 0; i < n; i++) {
        if (s->instance == NULL)
            try_file(s, directory, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

static int
filter_users(const struct dirent *entry)
{
    return strncmp(entry->d_name, shm_prefix, sizeof(shm_prefix) - 1) == 0;
}

static void
try_default_directories(struct search *s)
{
    struct dirent **entries;
    char own[64], path[PSTATS_PATH_BYTES];
    snprintf(own, sizeof(own), "%s/%s%lu", shm_directory, shm_prefix, (unsigned long)getuid());
    errbuf_set(&s->where, "%s, %s/%sUID", run_directory, shm_directory, shm_prefix);
    try_directory(s, run_directory, true);
    try_directory(s, own, true);
    int n = scandir(shm_directory, &entries, filter_users, compare_names);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "%s/%s", shm_directory, entries[i]->d_name);
        if (strcmp(path, own) != 0)
            try_directory(s, path, false);
        free(entries[i]);
    }
    if (n != -1)
        free(entries);
}

static bool
is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* --- the choice --- */

/* Returns: the one that lives if there is just one, NULL if there are several or none. */
static struct candidate *
only_live(const struct search *s)
{
    struct candidate *found = NULL;
    for (size_t i = 0; i < s->n; i++) {
        if (!s->candidates[i].lives)
            continue;
        if (found != NULL)
            return NULL;
        found = &s->candidates[i];
    }
    return found;
}

/* Of those with the name that was asked for: the first that lives, else the first that is readable.
 */
static struct candidate *
first_best(const struct search *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->candidates[i].lives)
            return &s->candidates[i];
    for (size_t i = 0; i < s->n; i++)
        if (s->candidates[i].reader != NULL)
            return &s->candidates[i];
    return &s->candidates[0];
}

static void
list(const struct search *s)
{
    fprintf(stderr, "%-20s %-8s %8s  %s\n", "INSTANCE", "STATE", "PID", "PATH");
    for (size_t i = 0; i < s->n; i++) {
        const struct candidate *c = &s->candidates[i];
        struct snapshot snapshot = {.n_processes = 0};
        struct errbuf err;
        const char *name = strrchr(c->path, '/') + 1;
        char pid[16] = "-";
        if (c->reader != NULL && snapshot_take(c->reader, &snapshot, &err) == 0)
            snprintf(pid, sizeof(pid), "%ld", (long)snapshot.master_pid);
        fprintf(stderr, "%-20.*s %-8s %8s  %s\n", (int)(strlen(name) - sizeof(suffix) + 1), name,
                c->reader == NULL ? "refused"
                : c->lives        ? "live"
                                  : "stale",
                pid, c->path);
        snapshot_free(&snapshot);
    }
}

static enum pstats_exit
take(struct candidate *c, char path[PSTATS_PATH_BYTES], struct shm_reader **reader,
     struct errbuf *err)
{
    if (c->reader == NULL) {
        *err = c->err;
        return PSTATS_REFUSED;
    }
    snprintf(path, PSTATS_PATH_BYTES, "%s", c->path);
    *reader = c->reader;
    c->reader = NULL;
    return PSTATS_LIVE;
}

static enum pstats_exit
choose(struct search *s, char path[PSTATS_PATH_BYTES], struct shm_reader **reader,
       struct errbuf *err)
{
    if (s->n == 0 && s->denied) {
        *err = s->why;
        return PSTATS_REFUSED;
    }
    if (s->n == 0) {
        if (s->instance != NULL)
            errbuf_set(err, "no instance '%s' in %s", s->instance, s->where.text);
        else
            errbuf_set(err, "no instance in %s", s->where.text);
        return PSTATS_NOT_THERE;
    }
    struct candidate *c = s->instance != NULL ? first_best(s)
                          : s->n == 1         ? &s->candidates[0]
                                              : only_live(s);
    if (c != NULL)
        return take(c, path, reader, err);
    list(s);
    errbuf_set(err, "there are %zu instances; say which with -n or -f", s->n);
    return PSTATS_NOT_THERE;
}

static enum pstats_exit
open_file(const char *file, char path[PSTATS_PATH_BYTES], struct shm_reader **reader,
          struct errbuf *err)
{
    if ((size_t)snprintf(path, PSTATS_PATH_BYTES, "%s", file) >= PSTATS_PATH_BYTES) {
        errbuf_set(err, "%s: the path is too long", file);
        return PSTATS_REFUSED;
    }
    switch (shm_reader_open(path, reader, err)) {
    case SHM_OPENED:
        return PSTATS_LIVE;
    case SHM_NOT_THERE:
        return PSTATS_NOT_THERE;
    default:
        return PSTATS_REFUSED;
    }
}

enum pstats_exit
pstats_find(const char *instance, const char *file, char path[PSTATS_PATH_BYTES],
            struct shm_reader **reader, struct errbuf *err)
{
    struct search s = {.instance = instance};
    *reader = NULL;
    if (file != NULL && !is_directory(file))
        return open_file(file, path, reader, err);
    s.candidates = calloc(CANDIDATES_MAX, sizeof(*s.candidates));
    if (s.candidates == NULL) {
        errbuf_set(err, "out of memory");
        return PSTATS_FAILED;
    }
    if (file != NULL) {
        errbuf_set(&s.where, "%s", file);
        try_directory(&s, file, true);
    } else {
        try_default_directories(&s);
    }
    enum pstats_exit result = choose(&s, path, reader, err);
    for (size_t i = 0; i < s.n; i++)
        shm_reader_close(&s.candidates[i].reader);
    free(s.candidates);
    return result;
}
