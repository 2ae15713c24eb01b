/* SPDX-License-Identifier: Apache-2.0 */
/* main_ask.c - see main_ask.h. */
#include "main/main_ask.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "lib/clock.h"
#include "shm/pstats_find.h"

enum { LOOK_MS = 50 };

/* A running instance, as its segment shows it. */
struct asked {
    struct shm_reader *reader;
    struct snapshot snapshot;
    pid_t master;
    uint64_t taken, refused; /* reloads before ours */
};

static int
find_instance(struct asked *a, const struct config *cfg, struct errbuf *err)
{
    char path[PSTATS_PATH_BYTES];
    const char *instance = cfg->persister.instance, *directory = cfg->persister.segment;
    if (directory[0] == '\0')
        directory = cfg->persister.run_directory;
    enum pstats_exit found =
        pstats_find(instance, directory[0] != '\0' ? directory : NULL, path, &a->reader, err);
    if (found == PSTATS_NOT_THERE)
        return errbuf_set(err,
                          "%s: no instance '%s' runs (another name or directory of a running one "
                          "takes a restart)",
                          cfg->file, instance);
    if (found != PSTATS_LIVE || snapshot_take(a->reader, &a->snapshot, err) == -1)
        return -1;
    a->master = shm_reader_find_master(a->reader);
    if (a->master == 0)
        return errbuf_set(err, "instance '%s' does not run", instance);
    if (a->master == -1)
        return errbuf_set(err, "instance '%s' runs in another container", instance);
    a->taken = a->snapshot.totals.values[STAT_RELOADS];
    a->refused = a->snapshot.totals.values[STAT_RELOADS_REFUSED];
    return 0;
}

/* Returns: 1 no answer yet, 0 it was taken over, -1 not. */
static int
look(struct asked *a, struct errbuf *err)
{
    const struct snapshot *s = &a->snapshot;
    bool lives = shm_reader_master_lives(a->reader);
    if (snapshot_take(a->reader, &a->snapshot, err) == -1)
        return -1;
    if (s->totals.values[STAT_RELOADS_REFUSED] != a->refused)
        return errbuf_set(err, "%s",
                          s->refused_text[0] != '\0' ? s->refused_text : "refused; see the log");
    if (s->totals.values[STAT_RELOADS] != a->taken)
        return 0;
    return lives ? 1 : errbuf_set(err, "instance '%s' has ended", s->instance);
}

static int
ask(struct asked *a, int64_t wait_ms, struct errbuf *err)
{
    int64_t deadline = clock_mono_ms() + wait_ms;
    if (kill(a->master, SIGHUP) == -1)
        return errbuf_set(err, "cannot send HUP to %ld, the master of instance '%s': %s",
                          (long)a->master, a->snapshot.instance, strerror(errno));
    for (;;) {
        int answer = look(a, err);
        if (answer != 1)
            return answer;
        if (clock_mono_ms() >= deadline)
            return errbuf_set(err, "instance '%s' has not answered for %lld s",
                              a->snapshot.instance, (long long)wait_ms / 1000);
        usleep(LOOK_MS * 1000);
    }
}

int
main_ask_reload(const struct config *cfg, int64_t wait_ms, struct errbuf *err)
{
    struct asked a = {.reader = NULL};
    int result = find_instance(&a, cfg, err);
    if (result == 0)
        result = ask(&a, wait_ms, err);
    snapshot_free(&a.snapshot);
    shm_reader_close(&a.reader);
    return result;
}
