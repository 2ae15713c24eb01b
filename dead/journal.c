/* SPDX-License-Identifier: Apache-2.0 */
/* journal.c - see journal.h. */
#include "dead/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dead/when.h"
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/lined_file.h"
#include "lib/regular_file.h"
#include "lib/timestamp.h"

enum { PENDING_MAX = 1 << 30 };

struct journal {
    char *path;
    int fd;
    struct buf pending;
};

static int
fail(const char *what, const char *path, struct errbuf *err)
{
    return errbuf_set(err, "%s %s: %s", what, path, strerror(errno));
}

/* --- reading --- */

static int
parse_line(struct slice line, struct letter_id *id)
{
    struct json_scanner s;
    struct json_value name, value;
    int found, result = -1;
    json_scanner_init(&s, line);
    if (json_peek_type(&s) != JSON_OBJECT || json_enter_object(&s) == -1)
        return -1;
    while ((found = json_next_member(&s, &name)) == 1) {
        if (json_scan_value(&s, &value) == -1)
            return -1;
        if (slice_equal(name.text, SLICE("id")) && value.type == JSON_STRING)
            result = letter_parse_id(value.text, id);
    }
    return found == -1 ? -1 : result;
}

static int
read_lines(FILE *in, const char *path, struct idset *set, size_t *broken, struct errbuf *err)
{
    char *text = NULL;
    size_t size = 0;
    ssize_t n;
    int result = 0;
    while (result == 0 && (n = getline(&text, &size, in)) > 0) {
        struct letter_id id;
        if (text[n - 1] != '\n')
            break; /* its writer was killed */
        if (parse_line((struct slice){text, (size_t)n - 1}, &id) == -1)
            ++*broken;
        else if (idset_add(set, id) == -1)
            result = errbuf_set(err, "%s: out of memory", path);
    }
    free(text);
    return result == 0 && ferror(in) ? fail("cannot read", path, err) : result;
}

int
journal_load(const char *path, struct idset *set, size_t *broken, struct errbuf *err)
{
    *broken = 0;
    struct errbuf why;
    FILE *in = regular_file_open(path, &why);
    if (in == NULL && errno == ENOENT)
        return 0; /* nothing was replayed yet, which is nothing to be told */
    if (in == NULL) {
        *err = why;
        return -1;
    }
    int result = read_lines(in, path, set, broken, err);
    fclose(in);
    return result;
}

/* --- writing --- */

void
journal_close(struct journal **journal)
{
    struct journal *j = *journal;
    if (j == NULL)
        return;
    if (j->fd != -1)
        close(j->fd);
    buf_free(&j->pending);
    free(j->path);
    free(j);
    *journal = NULL;
}

/* A journal made by root would be out of reach for the persister's own user. */
static int
settle_new(const struct journal *j, unsigned user, unsigned group, struct errbuf *err)
{
    struct stat st;
    if (fstat(j->fd, &st) == -1)
        return fail("cannot stat", j->path, err);
    if (st.st_size > 0)
        return 0;
    if (geteuid() == 0 && fchown(j->fd, user, group) == -1)
        (void)errno; /* then it stays root's, which works for root */
    return lined_file_sync_directory(j->path) == -1
               ? fail("cannot sync the directory of", j->path, err)
               : 0;
}

/* Whoever compacts puts a new file in the old one's place, hence the turns. */
static int
open_locked(struct journal *j, struct errbuf *err)
{
    for (int turn = 0; turn < 10; turn++) {
        j->fd =
            open(j->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
        if (j->fd == -1)
            return fail("cannot open", j->path, err);
        if (flock(j->fd, LOCK_EX | LOCK_NB) == -1)
            return errno == EWOULDBLOCK
                       ? errbuf_set(err, "%s: another replay is under way", j->path)
                       : fail("cannot lock", j->path, err);
        if (lined_file_is_current(j->fd, j->path))
            return 0;
        close(j->fd);
    }
    j->fd = -1;
    return errbuf_set(err, "%s: changes all the time", j->path);
}

static int
cut_torn_line(struct journal *j, struct errbuf *err)
{
    struct stat st;
    off_t end;
    if (fstat(j->fd, &st) == -1)
        return fail("cannot stat", j->path, err);
    if (!S_ISREG(st.st_mode))
        return errbuf_set(err, "%s: not a regular file", j->path);
    if (lined_file_find_end(j->fd, st.st_size, &end) == -1)
        return fail("cannot read", j->path, err);
    if (end < st.st_size && ftruncate(j->fd, end) == -1)
        return fail("cannot mend", j->path, err);
    return 0;
}

struct journal *
journal_open(const char *path, unsigned user, unsigned group, struct errbuf *err)
{
    struct journal *j = calloc(1, sizeof(*j));
    if (j == NULL || (j->path = strdup(path)) == NULL) {
        free(j);
        errbuf_set(err, "out of memory");
        return NULL;
    }
    j->fd = -1;
    buf_init(&j->pending, PENDING_MAX);
    if (open_locked(j, err) == -1 || cut_torn_line(j, err) == -1 ||
        settle_new(j, user, group, err) == -1)
        journal_close(&j);
    return j;
}

void
journal_add(struct journal *journal, struct slice topic, int32_t partition, int64_t offset,
            struct letter_id id, const char *to, int64_t now_ms)
{
    char time[TIMESTAMP_BYTES], hex[LETTER_ID_BYTES];
    timestamp_format(time, now_ms);
    letter_format_id(id, hex);
    buf_printf(&journal->pending,
               "{\"topic\":\"%.*s\",\"partition\":%d,\"offset\":%lld,\"time\":\"%s\","
               "\"to\":\"%s\",\"id\":\"%s\"}\n",
               (int)topic.n, topic.p, (int)partition, (long long)offset, time, to, hex);
}

int
journal_write(struct journal *journal, struct errbuf *err)
{
    struct buf *pending = &journal->pending;
    bool failed = pending->failed;
    size_t at = 0;
    int result = 0;
    while (at < pending->size && result == 0) {
        ssize_t n = write(journal->fd, pending->data + at, pending->size - at);
        if (n == -1 && errno != EINTR)
            result = fail("cannot write to", journal->path, err);
        at += n == -1 ? 0 : (size_t)n;
    }
    if (at < pending->size)
        memmove(pending->data, pending->data + at, pending->size - at);
    buf_truncate(pending, pending->size - at);
    return failed ? errbuf_set(err, "%s: out of memory", journal->path) : result;
}

int
journal_sync(struct journal *journal, struct errbuf *err)
{
    return fdatasync(journal->fd) == -1 ? fail("cannot sync", journal->path, err) : 0;
}

/* --- compacting --- */

static int
copy_lines(FILE *in, FILE *out, const struct idset *present, size_t *dropped)
{
    char *text = NULL;
    size_t size = 0;
    ssize_t n;
    while ((n = getline(&text, &size, in)) > 0) {
        struct letter_id id;
        if (parse_line((struct slice){text, (size_t)n - 1}, &id) == -1 || !idset_has(present, id))
            ++*dropped;
        else if (fwrite(text, 1, (size_t)n, out) != (size_t)n)
            break;
    }
    free(text);
    if (ferror(in) || ferror(out) || fflush(out) != 0)
        return -1;
    return fdatasync(fileno(out));
}

/* Copies to the new file, with the old one's owner and mode. */
static int
write_new(const struct journal *j, const char *path, const struct idset *present, size_t *dropped)
{
    struct stat st;
    /* The directory is the persister's, and root may be who runs this: nothing is followed. */
    int fd = unlink(path) == -1 && errno != ENOENT
                 ? -1
                 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    FILE *in = fopen(j->path, "re"), *out = fd == -1 ? NULL : fdopen(fd, "w");
    int result = -1;
    if (in != NULL && out != NULL && fstat(fileno(in), &st) == 0 &&
        fchmod(fileno(out), st.st_mode & 0777) == 0 &&
        (geteuid() != 0 || fchown(fileno(out), st.st_uid, st.st_gid) == 0))
        result = copy_lines(in, out, present, dropped);
    int why = errno;
    if (in != NULL)
        fclose(in);
    if (out != NULL && fclose(out) != 0)
        result = -1;
    if (out == NULL && fd != -1)
        close(fd);
    errno = why;
    return result;
}

int
journal_compact(struct journal *journal, const struct idset *present, size_t *dropped,
                struct errbuf *err)
{
    char *path;
    *dropped = 0;
    if (asprintf(&path, "%s.new", journal->path) == -1)
        return errbuf_set(err, "out of memory");
    int result = 0;
    if (write_new(journal, path, present, dropped) == -1 || rename(path, journal->path) == -1) {
        result = fail("cannot rewrite", journal->path, err);
        unlink(path);
    }
    free(path);
    return result;
}
