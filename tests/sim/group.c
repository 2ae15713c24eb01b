/* SPDX-License-Identifier: Apache-2.0 */
/* group.c - see group.h. */
#include "tests/sim/group.h"

#include "tests/sim/consumer.h"
#include "tests/sim/topic.h"

enum {
    MEMBERS_MAX = 256,
    SESSION_MS = 10000,
    REBALANCE_MS = 60000, /* who has not given up by then is thrown out */
    UNANSWERED_MS = 10000 /* then the client library gives a commit up */
};

struct member {
    struct life *life;
    bool in, ready; /* ready: it holds nothing, and waits for the next generation */
    unsigned generation;
    int64_t asked_ns, told_ns; /* what is said is said in order */
};

struct group {
    struct member *members[MEMBERS_MAX];
    size_t n;
    unsigned generation;
    bool dealing; /* between a revocation and the next generation */
    unsigned deal;
};

static struct group group;

/* A request, or a note on its way. */
struct letter {
    struct member *member;
    unsigned generation;
    struct note note;
};

void
group_begin(void)
{
    group = (struct group){0};
}

bool
group_has(const struct member *member)
{
    return member->in;
}

struct member *
group_member_of(const struct life *life)
{
    for (size_t i = 0; i < group.n; i++)
        if (group.members[i]->life == life && group.members[i]->in)
            return group.members[i];
    return NULL;
}

/* --- on the way --- */

static void
deliver(void *arg, int64_t number)
{
    struct letter *letter = arg;
    (void)number;
    consumer_take_note(letter->member->life, &letter->note);
}

static void
tell_at(struct member *m, const struct note *note, int64_t at_ns)
{
    struct letter *letter = world_alloc(sizeof(*letter));
    if (m->life->ended)
        return;
    *letter = (struct letter){.member = m, .note = *note};
    letter->note.member = m;
    world_at(at_ns, m->life, deliver, letter, 0);
}

static void
tell(struct member *m, const struct note *note)
{
    int64_t at_ns = world.now_ns + world_latency(CHANCE_GROUP_SLOW);
    m->told_ns = at_ns > m->told_ns ? at_ns : m->told_ns;
    tell_at(m, note, m->told_ns);
}

static void
ask(struct member *m, const struct note *note, world_deed *deed)
{
    struct letter *letter = world_alloc(sizeof(*letter));
    int64_t at_ns = world.now_ns + world_latency(CHANCE_GROUP_SLOW);
    *letter = (struct letter){.member = m, .generation = m->generation, .note = *note};
    m->asked_ns = at_ns > m->asked_ns ? at_ns : m->asked_ns;
    world_at(m->asked_ns, NULL, deed, letter, 0); /* also when the process is gone meanwhile */
}

/* --- generations --- */

static void
deal_out(void)
{
    struct member *in[MEMBERS_MAX];
    struct note notes[MEMBERS_MAX];
    size_t n = 0;
    group.generation++;
    group.dealing = false;
    for (size_t i = 0; i < group.n; i++)
        if (group.members[i]->in) {
            notes[n] = (struct note){.kind = NOTE_ASSIGNED};
            in[n++] = group.members[i];
        }
    size_t at = n > 0 ? (size_t)world_between(0, (int64_t)n - 1) : 0;
    for (unsigned p = 0; p < world.plan.partitions && n > 0; p++) {
        struct note *note = &notes[(p + at) % n];
        note->ids[note->n++] = (int32_t)p;
    }
    for (size_t i = 0; i < n; i++) {
        in[i]->generation = group.generation;
        in[i]->ready = false;
        tell(in[i], &notes[i]);
    }
    world_tell("generation %u: %zu members", group.generation, n);
}

static void
deal_if_all_are_ready(void)
{
    if (!group.dealing)
        return;
    for (size_t i = 0; i < group.n; i++)
        if (group.members[i]->in && !group.members[i]->ready)
            return;
    deal_out();
}

static void
throw_out(struct member *m)
{
    m->in = false;
    tell(m, &(struct note){.kind = NOTE_LOST});
    world_tell("worker-%u.%u is no member any more", m->life->slot, m->life->number);
}

static void
deal_without_the_late(void *arg, int64_t number)
{
    (void)arg;
    if (!group.dealing || number != group.deal)
        return;
    for (size_t i = 0; i < group.n; i++)
        if (group.members[i]->in && !group.members[i]->ready)
            throw_out(group.members[i]);
    deal_if_all_are_ready();
}

void
group_rebalance(void)
{
    if (group.dealing) /* whoever joins meanwhile is in time */
        return;
    group.dealing = true;
    world_at(world.now_ns + (int64_t)REBALANCE_MS * MS, NULL, deal_without_the_late, NULL,
             ++group.deal);
    for (size_t i = 0; i < group.n; i++)
        if (group.members[i]->in && !group.members[i]->ready)
            tell(group.members[i], &(struct note){.kind = NOTE_REVOKED});
    deal_if_all_are_ready();
}

struct member *
group_join(struct life *life)
{
    assert(group.n < MEMBERS_MAX);
    struct member *m = world_alloc(sizeof(*m));
    *m = (struct member){.life = life, .in = true, .ready = true};
    group.members[group.n++] = m;
    group_rebalance();
    deal_if_all_are_ready();
    return m;
}

void
group_leave(struct member *member)
{
    if (!member->in)
        return;
    member->in = false;
    group_rebalance();
    deal_if_all_are_ready();
}

void
group_give_up(struct member *member)
{
    member->ready = true;
    deal_if_all_are_ready();
}

void
group_evict(struct member *member)
{
    if (!member->in)
        return;
    throw_out(member);
    group_rebalance();
    deal_if_all_are_ready();
}

static void
end_session(void *arg, int64_t number)
{
    struct life *l = arg;
    struct member *m = group_member_of(l);
    if (m != NULL && (l->ended || (life_is_paused(l) && number == l->paused_ns)))
        group_evict(m);
}

void
group_note_silence(struct life *life)
{
    world_at(world.now_ns + (int64_t)SESSION_MS * MS, NULL, end_session, life,
             life->paused_ns);
}

/* --- offsets --- */

static void
answer_positions(void *arg, int64_t number)
{
    struct letter *letter = arg;
    struct note *note = &letter->note;
    (void)number;
    note->code = world_has(FAULT_GROUP_SICK) ? ANSWER_FAILED : ANSWER_DONE;
    for (size_t i = 0; i < note->n; i++)
        note->offsets[i] = topic.partitions[note->ids[i]].committed;
    tell(letter->member, note);
}

void
group_ask_positions(struct member *member, const struct note *question)
{
    ask(member, question, answer_positions);
}

static void
commit(const struct note *note)
{
    for (size_t i = 0; i < note->n; i++) {
        struct topic_partition *p = &topic.partitions[note->ids[i]];
        PROMISE(note->offsets[i] >= p->committed, "the committed offset of %d goes back to %lld",
                (int)note->ids[i], (long long)note->offsets[i]);
        p->committed = note->offsets[i];
        world_tell("committed %d@%lld", (int)note->ids[i], (long long)note->offsets[i]);
    }
}

static void
take_commit(void *arg, int64_t number)
{
    struct letter *letter = arg;
    struct note *note = &letter->note;
    struct member *m = letter->member;
    bool lost = world_chance(CHANCE_COMMIT_LOST);
    (void)number;
    if (!m->in || letter->generation != group.generation)
        note->code = ANSWER_NO_MEMBER;
    else if (world_has(FAULT_GROUP_SICK) || world_chance(CHANCE_COMMIT_REFUSED) ||
             (lost && world_one_in(2)))
        note->code = ANSWER_FAILED;
    else
        commit(note);
    if (!lost) {
        tell(m, note);
        return;
    }
    note->code = ANSWER_FAILED;
    tell_at(m, note, world.now_ns + (int64_t)UNANSWERED_MS * MS);
}

void
group_commit(struct member *member, const struct note *request)
{
    ask(member, request, take_commit);
}
