/* SPDX-License-Identifier: Apache-2.0 */
/*
 * services.c - see services.h; and lib/job.h once more, whose jobs take simulated time.
 */
#include "tests/sim/services.h"

#include "lib/job.h"
#include "tests/sim/consumer.h"

void
services_begin(void)
{
    transactions_begin();
}

void
services_note_end(struct life *life)
{
    consumer_note_end(life);
    transactions_note_end(life);
}

const struct store_ops *
store_find(enum store_driver driver)
{
    return driver == DRIVER_POSTGRESQL ? &sim_transactions : &sim_rows;
}

/* --- answers --- */

static void
arrive(void *arg, int64_t number)
{
    struct answer *answer = arg;
    answer->there = true;
    answer->number = number;
    life_set_fd(answer->fd, true);
}

void
services_answer_at(int64_t at_ns, struct answer *answer, int64_t number)
{
    world_at(at_ns, life_running, arrive, answer, number);
}

enum waited
services_wait(const struct store_hooks *hooks, struct answer *answer, int64_t until_ms)
{
    struct pollfd fd = {.fd = answer->fd, .events = POLLIN};
    enum waited how = WAITED_ANSWER;
    while (!answer->there && how == WAITED_ANSWER) {
        if (world_now_ms() >= until_ms)
            how = WAITED_TIME;
        else if (!hooks->wait(hooks->arg, &fd, 1, until_ms))
            how = WAITED_GIVEN_UP;
    }
    life_set_fd(answer->fd, false);
    world_cancel(answer);
    return answer->there ? WAITED_ANSWER : how;
}

bool
services_take_time(const struct store_hooks *hooks, int fd, enum chance slow)
{
    struct answer answer = {.fd = fd};
    services_answer_at(world.now_ns + world_latency(slow), &answer, 0);
    return services_wait(hooks, &answer, INT64_MAX) == WAITED_ANSWER;
}

/* --- jobs --- */

enum job_state { JOB_WAITS, JOB_RUNS, JOB_ENDED, JOB_LEFT };

struct job {
    struct jobs *jobs;
    struct job *next;
    void (*run)(void *arg);
    void (*free_arg)(void *arg);
    void *arg;
    enum job_state state;
    bool left;
};

struct jobs {
    struct life *life;
    struct job *first, **last; /* the first runs */
    int64_t since_ms;
    int fd;
    bool abandoned;
};

struct jobs *
jobs_new(const char *name)
{
    struct jobs *jobs = world_alloc(sizeof(*jobs));
    *jobs = (struct jobs){.life = life_running, .fd = life_fd()};
    jobs->last = &jobs->first;
    if (strcmp(name, "disk") == 0)
        life_running->disk = jobs;
    return jobs;
}

static void run_first(struct jobs *jobs);

static void
end_first(void *arg, int64_t number)
{
    struct jobs *jobs = arg;
    struct job *job = jobs->first;
    (void)number;
    job->run(job->arg);
    job->state = JOB_ENDED;
    jobs->since_ms = 0;
    jobs->first = job->next;
    if (jobs->first == NULL)
        jobs->last = &jobs->first;
    if (job->left)
        job->free_arg(job->arg);
    else
        life_set_fd(jobs->fd, true);
    run_first(jobs);
}

/* A disk that hangs does so until it is well again, or for good. */
static void
run_first(struct jobs *jobs)
{
    int64_t takes_ns = world_latency(CHANCE_LETTERS_SLOW);
    while (jobs->first != NULL && jobs->first->left && !jobs->abandoned) { /* it never runs */
        struct job *job = jobs->first;
        jobs->first = job->next;
        job->free_arg(job->arg);
    }
    if (jobs->first == NULL)
        jobs->last = &jobs->first;
    if (jobs->first == NULL || jobs->abandoned)
        return;
    if (world_has(FAULT_DISK_HANGS))
        takes_ns = world_between(1, 40) * SECOND;
    jobs->first->state = JOB_RUNS;
    jobs->since_ms = world_now_ms();
    world_at(world.now_ns + takes_ns, jobs->life, end_first, jobs, 0);
}

void
jobs_abandon(struct jobs **jobs)
{
    if (*jobs != NULL)
        (*jobs)->abandoned = true;
    *jobs = NULL;
}

int
jobs_fd(const struct jobs *jobs)
{
    return jobs->fd;
}

void
jobs_clear(struct jobs *jobs)
{
    life_set_fd(jobs->fd, false);
}

int64_t
jobs_busy_ms(const struct jobs *jobs, int64_t now_ms)
{
    if (jobs->since_ms == 0)
        return 0;
    return now_ms > jobs->since_ms ? now_ms - jobs->since_ms : 1;
}

struct job *
job_start(struct jobs *jobs, void (*run)(void *arg), void (*free_arg)(void *arg), void *arg)
{
    if (world_chance(CHANCE_NO_MEMORY) && world_one_in(10))
        return NULL;
    struct job *job = world_alloc(sizeof(*job));
    *job = (struct job){.jobs = jobs, .run = run, .free_arg = free_arg, .arg = arg};
    *jobs->last = job;
    jobs->last = &job->next;
    if (jobs->first == job)
        run_first(jobs);
    return job;
}

bool
job_has_ended(const struct job *job)
{
    return job->state == JOB_ENDED;
}

void *
job_arg(struct job *job)
{
    return job->arg;
}

void
job_release(struct job **job)
{
    struct job *j = *job;
    *job = NULL;
    if (j == NULL)
        return;
    if (j->state == JOB_ENDED)
        j->free_arg(j->arg);
    else
        j->left = true;
}

bool
jobs_run(struct jobs *jobs, void (*run)(void *arg), void (*free_arg)(void *arg), void *arg,
         bool (*wait_by)(void *wait_arg, struct pollfd *fds, size_t n, int64_t until_ms),
         void *wait_arg)
{
    struct job *job = job_start(jobs, run, free_arg, arg);
    struct pollfd fd = {.fd = jobs->fd, .events = POLLIN};
    bool goes_on = true;
    if (job == NULL) {
        run(arg);
        return true;
    }
    while (job->state != JOB_ENDED && goes_on) {
        goes_on = wait_by(wait_arg, &fd, 1, INT64_MAX);
        jobs_clear(jobs);
    }
    job->left = job->state != JOB_ENDED;
    return !job->left;
}
