/* SPDX-License-Identifier: Apache-2.0 */
/* pstats_find.c - see pstats_find.h. */
#include "shm/pstats_find.h"

#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/printable.h"

static const char run_directory[] = "/run/monasca-persister";
static const char shm_directory[] = "/dev/shm";
static const char shm_prefix[] = "monasca-persister-";
static const char suffix[] = ".shm";
static const char service_user[] = "monasca-persister";

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
    bool denied;          /* a directory that is ours to read, in principle, is closed to us */
    struct errbuf where;  /* "A, B": the directories that were searched */
    struct errbuf why;    /* what was denied */
    struct errbuf others; /* a directory of a user who is not believed; "" if there is none */
};

/* --- whom to believe --- */

static void
believe(struct shm_trust *trust, uid_t user)
{
    for (size_t i = 0; i < trust->n; i++)
        if (trust->users[i] == user)
            return;
    assert(trust->n < SHM_TRUSTED_MAX);
    trust->users[trust->n++] = user;
}

/* Nobody but its owner can put anything there. */
static bool
is_closed(const struct stat *st)
{
    return S_ISDIR(st->st_mode) && (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* The service's user, besides root and ourselves. */
static void
believe_service(struct shm_trust *trust)
{
    struct stat st;
    const struct passwd *user = getpwnam(service_user);
    if (lstat(run_directory, &st) == 0 && is_closed(&st))
        believe(trust, st.st_uid);
    if (user != NULL)
        believe(trust, user->pw_uid);
}

/* --- candidates --- */

static void
try_file(struct search *s, const char *directory, const char *name, const struct shm_trust *trust)
{
    if (s->n == CANDIDATES_MAX)
        return;
    struct candidate *c = &s->candidates[s->n];
    *c = (struct candidate){.reader = NULL};
    if ((size_t)snprintf(c->path, sizeof(c->path), "%s/%s", directory, name) >= sizeof(c->path))
        return;
    enum shm_open opened = shm_reader_open(c->path, trust, &c->reader, &c->err);
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

/* Takes: whom to believe; whether its being closed to us is worth telling. */
static void
try_directory(struct search *s, const char *directory, const struct shm_trust *trust, bool ours)
{
    struct dirent **entries;
    char name[SHM_INSTANCE_BYTES + sizeof(suffix)];
    if (!ours && access(directory, X_OK) == -1)
        return;
    if (s->instance != NULL) {
        /* Also where names cannot be listed, but files be opened. */
        if ((size_t)snprintf(name, sizeof(name), "%s%s", s->instance, suffix) < sizeof(name))
            try_file(s, directory, name, trust);
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
            try_file(s, directory, entries[i]->d_name, trust);
        free(entries[i]);
    }
    free(entries);
}

/* The directory that a user's masters make if the other one is not for them. */
static void
try_users_directory(struct search *s, uid_t user, const struct shm_trust *trust)
{
    char path[PSTATS_PATH_BYTES];
    struct stat st;
    bool ours = user == getuid();
    snprintf(path, sizeof(path), "%s/%s%lu", shm_directory, shm_prefix, (unsigned long)user);
    if (lstat(path, &st) == -1)
        return;
    if (st.st_uid == user && is_closed(&st)) {
        try_directory(s, path, trust, ours);
    } else if (ours) {
        s->denied = true;
        errbuf_set(&s->why, "%s is not a directory that only you can write to", path);
    }
}

static bool
is_tried(const struct shm_trust *trust, const char *number)
{
    char text[32];
    for (size_t i = 0; i < trust->n; i++) {
        snprintf(text, sizeof(text), "%lu", (unsigned long)trust->users[i]);
        if (strcmp(text, number) == 0)
            return true;
    }
    return false;
}

/* Notes one of the directories of users who are not believed: who means it can name it. */
static void
look_for_others(struct search *s, const struct shm_trust *trust)
{
    DIR *dir = opendir(shm_directory);
    const struct dirent *entry;
    while (dir != NULL && s->others.text[0] == '\0' && (entry = readdir(dir)) != NULL) {
        const char *number = entry->d_name + sizeof(shm_prefix) - 1;
        if (strncmp(entry->d_name, shm_prefix, sizeof(shm_prefix) - 1) == 0 && number[0] != '\0' &&
            number[strspn(number, "0123456789")] == '\0' && !is_tried(trust, number))
            errbuf_set(&s->others, "%s/%s", shm_directory, entry->d_name);
    }
    if (dir != NULL)
        closedir(dir);
}

static void
try_default_directories(struct search *s)
{
    struct shm_trust trust = {.n = 0};
    believe(&trust, getuid());
    believe(&trust, 0);
    believe_service(&trust);
    errbuf_set(&s->where, "%s, %s/%sUID", run_directory, shm_directory, shm_prefix);
    try_directory(s, run_directory, &trust, true);
    for (size_t i = 0; i < trust.n; i++)
        try_users_directory(s, trust.users[i], &trust);
    look_for_others(s, &trust);
}

static void
try_named_directory(struct search *s, const char *directory)
{
    struct shm_trust trust = {.n = 0};
    struct stat st;
    believe_service(&trust);
    if (stat(directory, &st) == 0 && is_closed(&st))
        believe(&trust, st.st_uid);
    errbuf_set(&s->where, "%s", directory);
    try_directory(s, directory, &trust, true);
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
        const char *name;
        char pid[16] = "-", path[PSTATS_PATH_BYTES];
        memcpy(path, c->path, sizeof(path));
        printable_clean(path);
        name = strrchr(path, '/') + 1;
        if (c->reader != NULL && snapshot_take(c->reader, &snapshot, &err) == 0)
            snprintf(pid, sizeof(pid), "%ld", (long)snapshot.master_pid);
        fprintf(stderr, "%-20.*s %-8s %8s  %s\n", (int)(strlen(name) - sizeof(suffix) + 1), name,
                c->reader == NULL ? "refused"
                : c->lives        ? "live"
                                  : "stale",
                pid, path);
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

static void
add_others(struct errbuf *err, const char *others)
{
    const struct errbuf before = *err;
    errbuf_set(err, "%s; other users' are not looked for: -f %s", before.text, others);
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
        if (s->others.text[0] != '\0')
            add_others(err, s->others.text);
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
    const struct shm_trust trust = {.anybody = true}; /* who names it knows why */
    if ((size_t)snprintf(path, PSTATS_PATH_BYTES, "%s", file) >= PSTATS_PATH_BYTES) {
        errbuf_set(err, "%s: the path is too long", file);
        return PSTATS_REFUSED;
    }
    switch (shm_reader_open(path, &trust, reader, err)) {
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
        try_named_directory(&s, file);
    } else {
        try_default_directories(&s);
    }
    enum pstats_exit result = choose(&s, path, reader, err);
    for (size_t i = 0; i < s.n; i++)
        shm_reader_close(&s.candidates[i].reader);
    free(s.candidates);
    return result;
}
