/* SPDX-License-Identifier: Apache-2.0 */
/*
 * letters.c - worker/dead_letter.h once more: letters become durable after a while, all of them, or
 * some, or none; also those that are not waited for any more.
 *
 * Process: tests/sim/sim.  Owner: the pipeline.  Concurrency: one thread.
 */
#include "worker/dead_letter.h"

#include "tests/sim/promise.h"
#include "tests/sim/services.h"
#include "tests/sim/topic.h"

struct dead_letters {
    const struct store_hooks *hooks;
    int fd;
};

/* What the disk has to do: nothing of the caller's is in it. */
struct deed {
    size_t n, n_done; /* so many become durable */
    size_t messages[MESSAGES_MAX];
    bool failed;
};

struct dead_letters *
dead_letters_new(const struct config *cfg, enum topic_kind kind, const struct store_hooks *hooks)
{
    struct dead_letters *dead = life_alloc(sizeof(*dead));
    (void)cfg, (void)kind;
    *dead = (struct dead_letters){.hooks = hooks, .fd = life_fd()};
    return dead;
}

void
dead_letters_free(struct dead_letters **dead)
{
    life_free(*dead);
    *dead = NULL;
}

void
dead_letters_reopen(struct dead_letters *dead)
{
    (void)dead;
}

static void
write_all(void *arg)
{
    struct deed *deed = arg;
    for (size_t i = 0; i < deed->n_done; i++)
        topic_note_buried(deed->messages[i]);
}

static void
forget(void *arg)
{
    (void)arg; /* it is the world's */
}

static struct deed *
make_deed(const struct dead_letter *letters, size_t n)
{
    struct deed *deed = world_alloc(sizeof(*deed));
    deed->n = deed->n_done = n;
    for (size_t i = 0; i < n; i++) {
        const struct message *m = letters[i].message;
        const struct handle *h = m->handle;
        deed->messages[i] = h->message;
        promise_check_letter(&letters[i]);
    }
    deed->failed = world_has(FAULT_LETTERS_SICK) || world_chance(CHANCE_LETTERS_SICK);
    if (deed->failed)
        deed->n_done = (size_t)world_between(0, (int64_t)n);
    return deed;
}

/* To a topic, say: a server is waited for, and what it was sent it may do all the same. */
static bool
send(struct dead_letters *dead, struct deed *deed)
{
    bool answered = services_take_time(dead->hooks, dead->fd, CHANCE_LETTERS_SLOW);
    if (!answered)
        deed->n_done = (size_t)world_between(0, (int64_t)deed->n_done);
    write_all(deed);
    return answered;
}

enum store_status
dead_letters_write(struct dead_letters *dead, const struct dead_letter *letters, size_t n,
                   struct errbuf *err)
{
    const struct store_hooks *hooks = dead->hooks;
    struct deed *deed = make_deed(letters, n);
    life_begin_work(life_running);
    bool answered = world_one_in(2) ? hooks->offload(hooks->arg, write_all, forget, deed)
                                    : send(dead, deed);
    life_end_work(life_running);
    world_tell("%zu letters: %s", n, !answered ? "given up" : deed->failed ? "sick" : "durable");
    if (!answered)
        return STORE_STOPPED;
    life_running->letters_failed = deed->failed;
    if (deed->failed) {
        errbuf_set(err, "the letters are sick");
        return STORE_SICK;
    }
    for (size_t i = 0; i < n; i++)
        ((struct handle *)letters[i].message->handle)->verdict = VERDICT_BURIED;
    life_note_settled(life_running, n);
    return STORE_DONE;
}
