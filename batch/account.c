/* SPDX-License-Identifier: Apache-2.0 */
/* account.c - see account.h. */
#include "batch/account.h"

static void
count_reasons(struct account *account, const struct batch *batch)
{
    for (uint32_t row = 0; row < batch->n && account->rejected > 0; row++) {
        const struct entry *entry = &batch->entries[row];
        if (entry->state == ENTRY_BURIED)
            account->reasons[batch->rejects[entry->why].reason]++;
    }
}

struct account
account_of(const struct batch *batch, bool all_or_nothing)
{
    struct account account = {0};
    if (all_or_nothing && batch->stage != BATCH_DURABLE) {
        account.returned = batch->n;
        return account;
    }
    account.completed = batch->in_state[ENTRY_STORED];
    account.rejected = batch->in_state[ENTRY_BURIED];
    account.returned = batch->in_state[ENTRY_PENDING] + batch->in_state[ENTRY_REFUSED];
    account.whole = account.returned == 0 && batch->n > 0;
    count_reasons(&account, batch);
    return account;
}
