/* SPDX-License-Identifier: Apache-2.0 */
/* consumer.c - see consumer.h. */
#include "tests/sim/consumer.h"

#include "kafka/consume.h"
#include "lib/clock.h"
#include "tests/sim/promise.h"
#include "tests/sim/topic.h"

enum { NOTES_MAX = 512, RETRY_MS = 1000, COMMIT_MS = 5000, AHEAD = 3 };

enum state { NONE, CLAIMING, ASKING, RUNNING, DRAINING, SETTLING };

struct part {
    int32_t id;
    int64_t start, position, durable, sent, committed; /* -1: unknown */
    int64_t held_end; /* what kills was handed out: nothing behind it is fetched until then */
};

/* How things stood when partitions began to be taken away. */
struct drain {
    int64_t began_ns;
    uint64_t settled;
    unsigned troubles;
    bool must_leave, in_hand, failed;
};

struct consumer {
    struct life *life;
    struct recorder *recorder;
    struct consumer_options options;
    struct member *member;
    enum state state;
    bool for_revoke, leaves, lost, unclaimed, joined, reached, asked, more;
    bool leaving, left;
    unsigned assignment, commits_under_way;
    int64_t served_ns; /* the last time */
    int64_t next_step_ms, commit_again_ms;
    size_t n_parts;
    struct part parts[PARTITIONS_MAX];
    struct store_position *claimed; /* handed out; until the next consumer_serve */
    struct note notes[NOTES_MAX];
    size_t n_notes;
    int events_fd, messages_fd;
    struct reject *unreadable; /* handed out; until the next fetch */
    struct drain drain;
};

static void
go_to(struct consumer *c, enum state state, int64_t due_ms)
{
    c->state = state;
    c->next_step_ms = due_ms;
}

static void
drain(struct consumer *c, bool for_revoke)
{
    struct life *l = c->life;
    c->for_revoke = for_revoke;
    c->leaves = false;
    go_to(c, DRAINING, 0);
    l->begun = 0;
    world_tell("is to give all back: %s", c->lost ? "lost" : for_revoke ? "revoked" : "anew");
    c->drain = (struct drain){.began_ns = world.now_ns,
                              .settled = l->settled,
                              .troubles = world.troubles,
                              .must_leave = l->excused || l->stops > 0,
                              .in_hand = l->first != NULL,
                              .failed = l->store_failed || l->letters_failed};
}

bool
consumer_drains(const struct life *life)
{
    const struct consumer *c = life->consumer;
    return c != NULL && c->state == DRAINING && !c->leaving;
}

bool
consumer_has_lost(const struct life *life)
{
    return consumer_drains(life) && life->consumer->lost;
}

int64_t
consumer_drain_ns(const struct life *life)
{
    return life->consumer->drain.began_ns;
}

int64_t
consumer_served_ns(const struct life *life)
{
    return life->consumer->served_ns;
}

static struct part *
find_part(struct consumer *c, int32_t id)
{
    for (size_t i = 0; i < c->n_parts; i++)
        if (c->parts[i].id == id)
            return &c->parts[i];
    return NULL;
}

/* --- what the group says --- */

void
consumer_take_note(struct life *life, const struct note *note)
{
    struct consumer *c = life->consumer;
    if (c == NULL)
        return;
    assert(c->n_notes < NOTES_MAX);
    c->notes[c->n_notes++] = *note;
    life_set_fd(c->events_fd, true);
    life_give(life, 20);
}

void
consumer_wake_all(void)
{
    for (struct life *const *l = life_all(); *l != NULL; l++)
        if ((*l)->consumer != NULL) {
            life_set_fd((*l)->consumer->messages_fd, true);
            life_give(*l, 5);
        }
}

void
consumer_start_anew(struct life *life)
{
    consumer_take_note(life, &(struct note){.kind = NOTE_ANEW});
}

static void
forget_parts(struct consumer *c)
{
    c->n_parts = 0;
    c->lost = c->unclaimed = c->asked = c->life->fenced = false;
    c->commit_again_ms = 0;
    c->commits_under_way = 0;
    c->assignment++;
    go_to(c, NONE, 0);
    recorder_set(c->recorder, STAT_PARTITIONS, 0);
}

static void
take_assignment(struct consumer *c, const struct note *note)
{
    PROMISE(c->state == NONE, "a consumer that holds partitions is given more");
    forget_parts(c);
    c->joined = true;
    c->n_parts = note->n;
    for (size_t i = 0; i < note->n; i++)
        c->parts[i] = (struct part){note->ids[i], -1, -1, -1, -1, -1, 0};
    recorder_set(c->recorder, STAT_PARTITIONS, note->n);
    if (note->n > 0)
        go_to(c, c->options.claims ? CLAIMING : ASKING, 0);
}

static void
take_positions(struct consumer *c, const struct note *note)
{
    if (note->assignment != c->assignment || c->state != ASKING)
        return;
    c->asked = false;
    if (note->code != ANSWER_DONE) {
        c->next_step_ms = world_now_ms() + RETRY_MS;
        return;
    }
    for (size_t i = 0; i < note->n; i++) {
        struct part *p = find_part(c, note->ids[i]);
        if (p->position == -1) /* or it is the store's */
            p->start = p->position = note->offsets[i] >= 0 ? note->offsets[i] : 0;
    }
    go_to(c, RUNNING, 0);
    life_set_fd(c->messages_fd, true);
}

static void
take_answer(struct consumer *c, const struct note *note)
{
    recorder_add(c->recorder, STAT_COMMITS, 1);
    recorder_add(c->recorder, STAT_COMMITS_FAILED, note->code != ANSWER_DONE);
    if (note->assignment != c->assignment)
        return;
    c->commits_under_way--;
    for (size_t i = 0; i < note->n; i++) {
        struct part *p = find_part(c, note->ids[i]);
        if (note->code == ANSWER_DONE)
            p->committed = note->offsets[i] > p->committed ? note->offsets[i] : p->committed;
        else if (p->sent == note->offsets[i])
            p->sent = p->committed;
    }
    if (note->code != ANSWER_DONE)
        c->commit_again_ms = world_now_ms() + RETRY_MS;
    if (note->code == ANSWER_NO_MEMBER)
        c->lost = true;
}

static void
join(struct consumer *c)
{
    c->member = group_join(c->life);
}

static void
take_loss(struct consumer *c)
{
    if (c->state == NONE && c->n_parts == 0) {
        join(c); /* nothing is lost but the membership */
        return;
    }
    c->lost = true;
    drain(c, true);
}

static void
take_note(struct consumer *c, const struct note *note)
{
    if (note->member != NULL && note->member != c->member)
        return;
    switch (note->kind) {
    case NOTE_ASSIGNED:
        take_assignment(c, note);
        break;
    case NOTE_REVOKED:
        if (c->leaving)
            break;
        drain(c, true);
        break;
    case NOTE_LOST:
        if (!c->leaving)
            take_loss(c);
        break;
    case NOTE_ANEW:
        if (c->state == RUNNING)
            drain(c, false);
        break;
    case NOTE_COMMITTED:
        take_answer(c, note);
        break;
    case NOTE_POSITIONS:
        take_positions(c, note);
        break;
    }
}

/* --- what is due --- */

static void
ask_positions(struct consumer *c)
{
    struct note question = {.kind = NOTE_POSITIONS, .assignment = c->assignment, .n = c->n_parts};
    if (c->asked || world_now_ms() < c->next_step_ms)
        return;
    for (size_t i = 0; i < c->n_parts; i++)
        question.ids[i] = c->parts[i].id;
    c->asked = true;
    group_ask_positions(c->member, &question);
}

/* The partitions are free for others now. */
static void
give_up(struct consumer *c)
{
    struct member *m = c->member;
    forget_parts(c);
    if (c->leaves) {
        c->member = NULL;
        group_leave(m);
    } else if (group_has(m)) {
        group_give_up(m);
    } else {
        join(c);
    }
}

static void
settle(struct consumer *c)
{
    if (c->commits_under_way > 0 && !c->lost && world_now_ms() < c->next_step_ms)
        return;
    if (c->for_revoke) {
        give_up(c);
        return;
    }
    for (size_t i = 0; i < c->n_parts; i++) {
        struct part *p = &c->parts[i];
        p->position = p->durable > p->start ? p->durable : p->start;
        p->sent = p->committed; /* what was not answered is sent again */
        p->held_end = 0;
    }
    c->commit_again_ms = world_now_ms() + RETRY_MS;
    c->assignment++;
    c->commits_under_way = 0;
    go_to(c, c->unclaimed ? CLAIMING : RUNNING, world_now_ms() + RETRY_MS);
    c->unclaimed = false;
    life_set_fd(c->messages_fd, true);
}

static void
end_leaving(void *arg, int64_t number)
{
    struct consumer *c = arg;
    (void)number;
    c->left = true;
    life_set_fd(c->events_fd, true);
}

static void
leave(struct consumer *c)
{
    if (c->left || c->next_step_ms == INT64_MAX ||
        (c->commits_under_way > 0 && !c->lost && world_now_ms() < c->next_step_ms))
        return;
    if (c->member != NULL)
        group_leave(c->member);
    c->member = NULL;
    c->next_step_ms = INT64_MAX;
    if (world_has(FAULT_GROUP_SICK)) /* then it is not heard */
        return;
    world_at(world.now_ns + world_latency(CHANCE_GROUP_SLOW), c->life, end_leaving, c, 0);
}

static void
do_step(struct consumer *c)
{
    if (c->leaving) {
        leave(c);
        return;
    }
    if (c->state == ASKING)
        ask_positions(c);
    if (c->state == SETTLING)
        settle(c);
}

int
consumer_serve(struct consumer *c, struct errbuf *err)
{
    struct note notes[NOTES_MAX];
    size_t n = c->n_notes;
    life_set_fd(c->events_fd, false);
    c->served_ns = world.now_ns;
    life_free(c->claimed);
    c->claimed = NULL;
    c->reached = true;
    memcpy(notes, c->notes, n * sizeof(*notes));
    c->n_notes = 0;
    for (size_t i = 0; i < n; i++) {
        take_note(c, &notes[i]);
        if (c->state == DRAINING && i + 1 < n) { /* the rest when that is done with */
            c->n_notes = n - i - 1;
            memcpy(c->notes, &notes[i + 1], c->n_notes * sizeof(*notes));
            life_set_fd(c->events_fd, true);
            break;
        }
    }
    do_step(c);
    if (c->commit_again_ms != 0 && world_now_ms() >= c->commit_again_ms)
        consumer_commit(c);
    if (c->life->fatal_ns == 0 || c->life->fatal_ns > world.now_ns || c->leaving)
        return 0;
    c->life->may_break = true;
    return errbuf_set(err, "Kafka's client is beyond repair");
}

int64_t
consumer_due_ms(const struct consumer *c)
{
    int64_t due_ms = INT64_MAX;
    if (c->leaving || c->state == SETTLING || c->state == CLAIMING ||
        (c->state == ASKING && !c->asked))
        due_ms = c->next_step_ms;
    if (c->commit_again_ms != 0 && c->commit_again_ms < due_ms)
        due_ms = c->commit_again_ms;
    return due_ms;
}

/* --- messages --- */

static void
hand_out(struct consumer *c, struct part *p, size_t number, struct message *out)
{
    const struct topic_message *m = &topic.messages[number];
    struct life *l = c->life;
    struct handle *h = life_alloc(sizeof(*h));
    size_t n;
    *h = (struct handle){.life = l, .previous = l->last, .message = number};
    h->payload = topic_payload(number, &n);
    h->assignment = c->assignment;
    *(l->last != NULL ? &l->last->next : &l->first) = h;
    l->last = h;
    l->fetched++;
    *out = (struct message){.payload = {h->payload, n},
                            .offset = m->offset,
                            .more = m->more,
                            .partition = m->partition,
                            .assignment = c->assignment,
                            .time_ms = m->time_ms,
                            .handle = h};
    if (m->kind >= MESSAGE_UNREADABLE) {
        c->unreadable = life_alloc(sizeof(*c->unreadable));
        reject_set(c->unreadable, REJECT_UNREADABLE, "it cannot be read");
        out->unreadable = c->unreadable;
    }
    p->position = m->offset + m->more + 1;
}

/* Whether what kills at a partition's position is known: then it comes as what cannot be read. */
static bool
is_known(const struct consumer *c, const struct part *p)
{
    struct hands_verdict verdict;
    const struct topic_message *m = topic_killer(p->id, p->position, 1);
    return m != NULL &&
           hands_find_verdict(c->options.hands, c->options.key, p->id, p->position, &verdict) &&
           m->offset >= verdict.first && m->offset < verdict.end;
}

static bool
is_held(const struct part *p)
{
    return p->held_end > 0 && p->held_end > p->durable;
}

/* What is fetched is ahead of what is taken, but where the worker is careful. */
static bool
meets_killer(const struct consumer *c)
{
    for (size_t i = 0; i < c->n_parts; i++) {
        const struct part *p = &c->parts[i];
        if (!is_held(p) && !is_known(c, p) &&
            topic_killer(p->id, p->position, c->options.careful ? 1 : AHEAD) != NULL)
            return true;
    }
    return false;
}

/* Where it would be read on from if it died now. */
static void
write_places(const struct consumer *c)
{
    for (size_t i = 0; i < c->n_parts; i++) {
        const struct part *p = &c->parts[i];
        hands_set_place(c->options.hands, c->options.slot, i, p->id,
                        p->durable >= 0 ? p->durable : p->start);
        hands_note_passed(c->options.hands, c->options.key, p->id, p->durable);
    }
    hands_set_count(c->options.hands, c->options.slot, c->options.key, c->n_parts);
}

/* What comes next of a partition; an unreadable one comes alone. */
static bool
hand_out_next(struct consumer *c, struct part *p, struct message *out, size_t taken)
{
    const struct topic_partition *t = &topic.partitions[p->id];
    size_t i = topic_find(p->id, p->position);
    if (i == t->n || is_held(p) ||
        (taken > 0 && topic.messages[t->messages[i]].kind >= MESSAGE_UNREADABLE))
        return false;
    if (topic.messages[t->messages[i]].kind == MESSAGE_KILLER && !is_known(c, p))
        return false;
    hand_out(c, p, t->messages[i], out);
    if (topic.messages[t->messages[i]].kind == MESSAGE_KILLER)
        p->held_end = p->position;
    return true;
}

static bool
has_more(const struct consumer *c)
{
    for (size_t i = 0; i < c->n_parts; i++) {
        const struct part *p = &c->parts[i];
        if (!is_held(p) && topic_find(p->id, p->position) < topic.partitions[p->id].n)
            return true;
    }
    return false;
}

static void
wake_later(void *arg, int64_t number)
{
    struct consumer *c = arg;
    (void)number;
    life_set_fd(c->messages_fd, true);
    life_give(c->life, 5);
}

size_t
consumer_fetch(struct consumer *c, struct message *messages, size_t max)
{
    size_t taken = 0;
    life_set_fd(c->messages_fd, false);
    if (c->state != RUNNING || c->leaving || world_now_ms() < c->next_step_ms) {
        c->more = true;
        return 0;
    }
    life_free(c->unreadable);
    c->unreadable = NULL;
    write_places(c);
    c->life->doomed = meets_killer(c);
    if (c->life->doomed)
        return 0;
    if (!world_one_in(3)) /* not all has come from the brokers yet */
        max = (size_t)world_between(1, (int64_t)max);
    size_t at = c->n_parts > 0 ? (size_t)world_draw() % c->n_parts : 0;
    for (size_t k = 0; k < c->n_parts; k++) {
        struct part *p = &c->parts[(at + k) % c->n_parts];
        size_t some = world_one_in(2) ? max : (size_t)world_between(0, (int64_t)max);
        while (taken < some && c->unreadable == NULL &&
               hand_out_next(c, p, &messages[taken], taken))
            taken++;
    }
    c->more = has_more(c) && world_one_in(2);
    if (has_more(c) && !c->more)
        world_at(world.now_ns + world_latency(CHANCES), c->life, wake_later, c, 0);
    life_give(c->life, 10 * (unsigned)taken + (c->more ? 1 : 0));
    if (taken > 0)
        world_tell("fetches %zu messages", taken);
    return taken;
}

bool
consumer_may_have_messages(const struct consumer *c)
{
    return c->state == RUNNING && !c->leaving && c->more && world_now_ms() >= c->next_step_ms;
}

void
consumer_release(struct message *message)
{
    struct handle *h = message->handle;
    if (h == NULL)
        return;
    struct life *l = h->life;
    message->handle = NULL;
    *(h->previous != NULL ? &h->previous->next : &l->first) = h->next;
    *(h->next != NULL ? &h->next->previous : &l->last) = h->previous;
    promise_note_released(h);
    if (message->payload.n > 0)
        memset(h->payload, 0xdd, message->payload.n); /* whoever still looks at it sees that */
    life_free(h->payload);
    life_free(h);
}

/* --- needs --- */

unsigned
consumer_assignment(const struct consumer *c)
{
    return c->assignment;
}

enum consumer_need
consumer_need(const struct consumer *c)
{
    if (c->leaving)
        return CONSUMER_NEEDS_NOTHING;
    if (c->state == DRAINING)
        return c->lost ? CONSUMER_NEEDS_BACK_LOST : CONSUMER_NEEDS_BACK;
    if (c->state == CLAIMING && world_now_ms() >= c->next_step_ms)
        return CONSUMER_NEEDS_CLAIM;
    return CONSUMER_NEEDS_NOTHING;
}

struct store_position *
consumer_claims(struct consumer *c, size_t *n, const char **cluster_id)
{
    PROMISE(c->state == CLAIMING, "it claims what is not to be claimed");
    PROMISE(c->life->first == NULL, "it claims with messages in hand");
    c->claimed = life_alloc(PARTITIONS_MAX * sizeof(*c->claimed));
    for (size_t i = 0; i < c->n_parts; i++)
        c->claimed[i] =
            (struct store_position){.partition = c->parts[i].id, .next = -1, .last_ms = -1};
    c->next_step_ms = INT64_MAX;
    *n = c->n_parts;
    *cluster_id = "cluster";
    return c->claimed;
}

void
consumer_claimed(struct consumer *c, unsigned assignment, const struct store_position *positions,
                 size_t n)
{
    if (assignment != c->assignment || c->state != CLAIMING)
        return;
    PROMISE(c->life->claimed, "its claim was not granted");
    PROMISE(n == c->n_parts, "%zu of %zu partitions are claimed", n, c->n_parts);
    for (size_t i = 0; i < n; i++) {
        int64_t next = positions[i].next;
        c->parts[i] = (struct part){c->parts[i].id, next, next, -1, -1, -1, 0};
    }
    go_to(c, ASKING, 0);
    do_step(c);
}

void
consumer_claim_failed(struct consumer *c, unsigned assignment)
{
    if (assignment == c->assignment && c->state == CLAIMING)
        c->next_step_ms = world_now_ms() + RETRY_MS;
}

void
consumer_claim_again(struct consumer *c)
{
    PROMISE(c->life->first == NULL, "it was fenced, and did not give all back");
    PROMISE(c->life->fenced, "it claims anew, and nobody has fenced it");
    c->life->fenced = false;
    if (c->state != RUNNING) {
        c->unclaimed = true;
        return;
    }
    c->assignment++;
    c->commits_under_way = 0;
    for (size_t i = 0; i < c->n_parts; i++)
        c->parts[i].position = -1;
    go_to(c, CLAIMING, world_now_ms() + RETRY_MS);
}

/* Whoever is revoked again and again gets on all the same, where nothing goes wrong meanwhile. */
static void
check_progress(const struct consumer *c)
{
    static const enum chance troubles[] = {
        CHANCE_STORE_SICK, CHANCE_STORE_LOST, CHANCE_STORE_PARTIAL, CHANCE_STORE_SLOW,
        CHANCE_STORE_FENCED, CHANCE_LETTERS_SICK, CHANCE_LETTERS_SLOW, CHANCE_NO_MEMORY};
    const struct life *l = c->life;
    for (size_t i = 0; i < COUNT_OF(troubles); i++)
        if (world.plan.chance[troubles[i]] > 0)
            return;
    for (int f = 0; f < FAULTS; f++)
        if (world_has((enum fault)f))
            return;
    if (c->lost || c->drain.failed || c->drain.troubles != world.troubles || l->stops > 0 ||
        l->fenced || l->store_failed || life_was_paused(l, c->drain.began_ns) ||
        world.plan.latency_ms > 300)
        return;
    PROMISE(!c->drain.in_hand || l->settled > c->drain.settled,
            "partitions are revoked, and nothing that was in hand was written");
}

/* What is settled without a break is noted. */
static void
check_runs(const struct consumer *c)
{
    for (size_t k = 0; k < c->n_parts; k++) {
        const struct part *p = &c->parts[k];
        const struct topic_partition *t = &topic.partitions[p->id];
        int64_t end = p->durable >= 0 ? p->durable : p->start;
        if (end < 0)
            continue;
        for (size_t i = topic_find(p->id, end); i < t->n; i++) {
            const struct topic_message *m = &topic.messages[t->messages[i]];
            if (m->settled_by != c->life || m->settled_assignment != c->assignment)
                break;
            end = m->offset + m->more + 1;
        }
        PROMISE(end <= (p->durable >= 0 ? p->durable : p->start),
                "all of %d before %lld is settled, and was not noted", (int)p->id, (long long)end);
    }
}

void
consumer_give_back(struct consumer *c, bool leaves)
{
    if (c->state != DRAINING)
        return;
    PROMISE(c->life->first == NULL, "it gives partitions up with messages of them in hand");
    PROMISE(leaves || !c->drain.must_leave, "it was to leave, and does not");
    check_progress(c);
    if (!c->lost)
        check_runs(c);
    world_tell("has given all back");
    consumer_commit(c);
    c->leaves = leaves;
    go_to(c, SETTLING, world_now_ms() + COMMIT_MS);
    do_step(c);
}

/* --- commits --- */

void
consumer_note_durable(struct consumer *c, unsigned assignment, int32_t partition, int64_t next,
                      int64_t last_ms)
{
    struct part *p = find_part(c, partition);
    if (p == NULL || assignment != c->assignment || next <= p->durable)
        return;
    promise_check_durable(partition, next, last_ms);
    PROMISE(p->start <= next && next <= p->position, "%d@%lld is noted, of what was not fetched",
            (int)partition, (long long)next);
    int64_t from = p->durable >= 0 ? p->durable : p->start;
    c->life->noted += topic_find(partition, next) - topic_find(partition, from);
    if (is_held(p) && next >= p->held_end)
        life_set_fd(c->messages_fd, true);
    p->durable = next;
}

void
consumer_commit(struct consumer *c)
{
    struct note request = {.kind = NOTE_COMMITTED, .assignment = c->assignment};
    c->commit_again_ms = 0;
    if (c->lost || c->member == NULL || c->left)
        return;
    for (size_t i = 0; i < c->n_parts; i++) {
        struct part *p = &c->parts[i];
        if (p->durable <= p->sent)
            continue;
        p->sent = p->durable;
        request.ids[request.n] = p->id;
        request.offsets[request.n++] = p->durable;
    }
    if (request.n == 0)
        return;
    promise_check_counted(c->life);
    c->commits_under_way++;
    group_commit(c->member, &request);
}

bool
consumer_has_commits_under_way(const struct consumer *c)
{
    return c->commits_under_way > 0;
}

/* --- looks --- */

int
consumer_fd(const struct consumer *c)
{
    return c->events_fd;
}

int
consumer_messages_fd(const struct consumer *c)
{
    return c->messages_fd;
}

bool
consumer_hangs(const struct consumer *c, int64_t now_ms)
{
    (void)c, (void)now_ms;
    return false;
}

void
consumer_update_lag(struct consumer *c, int64_t now_ms, bool holding_back)
{
    (void)c, (void)now_ms, (void)holding_back;
}

bool
consumer_has_reached(const struct consumer *c)
{
    return c->reached;
}

bool
consumer_has_joined(const struct consumer *c)
{
    return c->joined;
}

size_t
consumer_partitions(const struct consumer *c)
{
    return c->n_parts;
}

/* --- life --- */

static void
join_later(void *arg, int64_t number)
{
    struct consumer *c = arg;
    (void)number;
    if (!c->leaving)
        join(c);
}

struct consumer *
consumer_open(const struct config *cfg, enum topic_kind kind, struct recorder *recorder,
              const struct consumer_options *options, int64_t hold_ms, struct errbuf *err)
{
    struct life *l = life_running;
    (void)cfg, (void)kind;
    if (world_chance(CHANCE_OPEN_FAILS)) {
        l->may_break = true;
        errbuf_set(err, "no client");
        return NULL;
    }
    struct consumer *c = life_alloc(sizeof(*c));
    *c = (struct consumer){.life = l, .recorder = recorder, .options = *options};
    c->events_fd = life_fd();
    c->messages_fd = life_fd();
    l->consumer = c;
    world_at(world.now_ns + hold_ms * MS + world_latency(CHANCE_GROUP_SLOW), l, join_later, c, 0);
    return c;
}

void
consumer_leave(struct consumer *c)
{
    if (c->leaving)
        return;
    PROMISE(c->life->first == NULL, "it leaves with messages in hand");
    c->leaving = true;
    if (c->state == SETTLING) /* which goes on */
        return;
    consumer_commit(c);
    c->next_step_ms = world_now_ms() + COMMIT_MS;
}

bool
consumer_has_left(const struct consumer *c)
{
    return c->left;
}

/* What was handed out is the worker's no more: that of others it may have been all the time. */
void
consumer_note_end(struct life *life)
{
    struct consumer *c = life->consumer;
    if (c != NULL && c->member != NULL)
        group_note_silence(life);
    life->consumer = NULL;
}

/* Who is told to stop leaves the group, so that it need not wait for the session's end. */
static void
check_left(const struct consumer *c)
{
    const struct life *l = c->life;
    bool may_be_late = world.plan.chance[CHANCE_GROUP_SLOW] > 0 ||
                       world.plan.chance[CHANCE_COMMIT_LOST] > 0 || world.plan.latency_ms > 20 ||
                       world.plan.weight[FAULT_GROUP_SICK] > 0;
    PROMISE(c->left || may_be_late || l->stops != 1 || l->may_break ||
                life_was_paused(l, l->stopped_ns),
            "it ends, and has not left the group");
}

void
consumer_close(struct consumer **consumer)
{
    struct consumer *c = *consumer;
    PROMISE(c->life->first == NULL, "it ends with messages in hand");
    check_left(c);
    consumer_note_end(c->life);
    *consumer = NULL;
    world_cancel(c);
    life_free(c->unreadable);
    life_free(c->claimed);
    life_free(c);
}
