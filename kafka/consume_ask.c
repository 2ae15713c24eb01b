/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consume_ask.c - questions to the brokers that librdkafka (2.0.2) answers only to who waits.
 *
 * A thread of its own waits for each kind: for where partitions begin, which others wait for; for
 * their ends and what the group's members own, which is for figures and for who has nothing to do;
 * for what cannot be read, which may take a minute.  An answer counts only while the assignment is
 * the one that it was asked for.  What is not wanted any more is left behind; for positions a new
 * thread is made then, so that they are not asked for behind a question that nobody waits for.
 *
 * Process: workers.  Owner: struct consumer.  Concurrency: the worker's thread; a question is the
 * asking thread's until it has ended.
 */
#include <stdlib.h>
#include <sys/epoll.h>

#include "lib/clock.h"
#include "kafka/consume_priv.h"

static const char *const names[ASKERS] = {"ask-positions", "ask-ends", "ask-probe"};

static void
free_question(void *arg)
{
    struct question *q = arg;
    if (q->list != NULL)
        rd_kafka_topic_partition_list_destroy(q->list);
    if (q->cluster_id != NULL)
        rd_kafka_mem_free(q->rk, q->cluster_id);
    free(q->lows);
    free(q->highs);
    free(q->topic);
    free(q->group);
    free(q);
}

static void
run_question(void *arg)
{
    struct question *q = arg;
    q->asked_ms = clock_mono_ms();
    q->run(q);
    q->took_ms = clock_mono_ms() - q->asked_ms;
}

struct question *
ask_new(struct consumer *c, void (*run)(struct question *q), rd_kafka_topic_partition_list_t *list)
{
    struct question *q = calloc(1, sizeof(*q));
    if (q == NULL) {
        if (list != NULL)
            rd_kafka_topic_partition_list_destroy(list);
        return NULL;
    }
    size_t n = list != NULL ? (size_t)list->cnt : 0;
    q->run = run;
    q->list = list;
    q->assignment = c->assignment;
    q->rk = c->rk;
    q->timeout_ms = ASK_MS;
    q->topic = strdup(c->topic);
    q->group = strdup(c->group);
    q->lows = calloc(n + 1, sizeof(*q->lows));
    q->highs = calloc(n + 1, sizeof(*q->highs));
    if (q->topic != NULL && q->group != NULL && q->lows != NULL && q->highs != NULL)
        return q;
    free_question(q);
    return NULL;
}

static int
make_jobs(struct consumer *c, enum asker asker)
{
    struct asking *a = &c->asking[asker];
    if (a->jobs != NULL)
        return 0;
    a->jobs = jobs_new(names[asker]);
    if (a->jobs == NULL)
        return -1;
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll_ctl(c->all_fd, EPOLL_CTL_ADD, jobs_fd(a->jobs), &event) == 0)
        return 0;
    jobs_abandon(&a->jobs);
    return -1;
}

bool
ask_start(struct consumer *c, enum asker asker, struct question *question)
{
    struct asking *a = &c->asking[asker];
    assert(a->job == NULL);
    if (question != NULL && make_jobs(c, asker) == 0) {
        int calls = question->list != NULL && question->list->cnt > 0 ? question->list->cnt : 1;
        question->may_take_ms = (int64_t)question->timeout_ms * calls;
        a->job = job_start(a->jobs, run_question, free_question, question);
        a->question = question;
    }
    if (a->job != NULL)
        return true;
    if (question != NULL)
        free_question(question);
    a->question = NULL;
    consume_note_error(c, "cannot ask the brokers: no memory, or no threads");
    return false;
}

bool
consumer_hangs(const struct consumer *consumer, int64_t now_ms)
{
    const struct asking *a = &consumer->asking[ASK_POSITIONS];
    return a->job != NULL && jobs_busy_ms(a->jobs, now_ms) > 2 * a->question->may_take_ms;
}

bool
ask_is_busy(const struct consumer *c, enum asker asker)
{
    return c->asking[asker].job != NULL;
}

struct question *
ask_answered(struct consumer *c, enum asker asker)
{
    struct asking *a = &c->asking[asker];
    if (a->job == NULL)
        return NULL;
    bool ended = job_has_ended(a->job);
    if (a->question->assignment != c->assignment) {
        ask_end(c, asker);
        return NULL;
    }
    return ended ? a->question : NULL;
}

void
ask_end(struct consumer *c, enum asker asker)
{
    struct asking *a = &c->asking[asker];
    if (a->job == NULL)
        return;
    bool ended = job_has_ended(a->job);
    if (!ended)
        atomic_store(&a->question->left, true);
    a->question = NULL;
    job_release(&a->job);
    if (ended || asker != ASK_POSITIONS)
        return;
    (void)epoll_ctl(c->all_fd, EPOLL_CTL_DEL, jobs_fd(a->jobs), NULL);
    jobs_abandon(&a->jobs);
}

void
ask_clear(struct consumer *c)
{
    for (enum asker i = 0; i < ASKERS; i++)
        if (c->asking[i].jobs != NULL)
            jobs_clear(c->asking[i].jobs);
}
