/* SPDX-License-Identifier: Apache-2.0 */
/* pg_plan.c - see pg_plan.h. */
#include "store/pg/pg_plan.h"

void
pg_plan_start(struct pg_plan *plan, uint32_t *rows, size_t n)
{
    *plan = (struct pg_plan){.rows = rows, .n = n, .step = n};
}

static void
push(struct pg_plan *plan, size_t end)
{
    assert(plan->n_pile < PG_PLAN_RANGES);
    plan->pile[plan->n_pile].end = end;
    plan->pile[plan->n_pile].second = plan->pile[plan->n_pile].known_bad = false;
    plan->n_pile++;
}

/* Halves the range on top, which is bad and of more than one row. */
static void
halve(struct pg_plan *plan)
{
    size_t top = plan->n_pile - 1;
    plan->pile[top].second = true;
    plan->pile[top].known_bad = false;
    push(plan, plan->from + (plan->pile[top].end - plan->from) / 2);
}

bool
pg_plan_next(struct pg_plan *plan)
{
    if (plan->from == plan->n && plan->n_again > 0)
        pg_plan_start(plan, plan->rows, plan->n_again);
    if (plan->from == plan->n)
        return false;
    while (plan->n_pile > 0 && plan->pile[plan->n_pile - 1].known_bad &&
           plan->pile[plan->n_pile - 1].end - plan->from > 1)
        halve(plan);
    size_t left = plan->n - plan->from;
    if (plan->n_pile > 0)
        plan->to = plan->pile[plan->n_pile - 1].end;
    else
        plan->to = plan->from + (plan->step < left ? plan->step : left);
    return true;
}

void
pg_plan_take(struct pg_plan *plan, size_t most)
{
    size_t left = plan->n - plan->from;
    plan->to = plan->from + (most < left ? most : left);
    plan->n_pile = 0;
}

void
pg_plan_note_stored(struct pg_plan *plan)
{
    plan->from = plan->to;
    if (plan->n_pile == 0) {
        plan->step *= plan->step < plan->n ? 2 : 1;
        return;
    }
    plan->n_pile--;
    if (plan->n_pile > 0 && plan->pile[plan->n_pile - 1].second) {
        plan->pile[plan->n_pile - 1].second = false;
        plan->pile[plan->n_pile - 1].known_bad = true;
    }
}

bool
pg_plan_note_refused(struct pg_plan *plan, size_t named, uint32_t *bad)
{
    size_t size = plan->to - plan->from;
    bool piled = plan->n_pile > 0;
    if (plan->n_pile > 1) /* a bad first half says nothing of the second */
        plan->pile[plan->n_pile - 2].second = false;
    if (size == 1) {
        *bad = plan->rows[plan->from++];
        plan->n_pile -= piled;
        return true;
    }
    if (!piled) {
        plan->step = 1;
        if (named >= 1 && named <= size) {
            push(plan, plan->from + named);
            if (named > 1)
                push(plan, plan->from + named - 1);
            return false;
        }
        push(plan, plan->to);
    }
    halve(plan);
    return false;
}

void
pg_plan_add_again(struct pg_plan *plan, uint32_t row)
{
    assert(plan->n_again < plan->from); /* a place that is done with */
    plan->rows[plan->n_again++] = row;
}
