/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idset.c - see idset.h.  Ids are hashes already, so their bits choose the slot.
 */
#include "dead/idset.h"

#include <stdlib.h>

/* {0, 0} marks a free slot; no hash that occurs is that. */
static bool
is_free(struct letter_id id)
{
    return id.high == 0 && id.low == 0;
}

/* The id's slot, or the free one where it belongs. */
static size_t
find_slot(const struct letter_id *slots, size_t capacity, struct letter_id id)
{
    size_t i = (size_t)id.low & (capacity - 1);
    while (!is_free(slots[i]) && !letter_same_id(slots[i], id))
        i = (i + 1) & (capacity - 1);
    return i;
}

static int
grow(struct idset *set)
{
    size_t capacity = set->capacity == 0 ? 1024 : 2 * set->capacity;
    struct letter_id *slots = calloc(capacity, sizeof(*slots));
    if (slots == NULL)
        return -1;
    for (size_t i = 0; i < set->capacity; i++)
        if (!is_free(set->slots[i]))
            slots[find_slot(slots, capacity, set->slots[i])] = set->slots[i];
    free(set->slots);
    set->slots = slots;
    set->capacity = capacity;
    return 0;
}

int
idset_add(struct idset *set, struct letter_id id)
{
    if (4 * (set->n + 1) > 3 * set->capacity && grow(set) == -1)
        return -1;
    size_t i = find_slot(set->slots, set->capacity, id);
    if (!is_free(set->slots[i]))
        return 0;
    set->slots[i] = id;
    set->n++;
    return 1;
}

bool
idset_has(const struct idset *set, struct letter_id id)
{
    return set->capacity > 0 && !is_free(set->slots[find_slot(set->slots, set->capacity, id)]);
}

void
idset_free(struct idset *set)
{
    free(set->slots);
    *set = (struct idset){.n = 0};
}
