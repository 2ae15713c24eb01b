/* SPDX-License-Identifier: Apache-2.0 */
/* filter.c - see filter.h. */
#include "dead/filter.h"

static bool
is_among(struct slice text, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (slice_equal(text, (struct slice){names[i], strlen(names[i])}))
            return true;
    return n == 0;
}

bool
filter_passes(const struct filter *filter, const struct letter *letter)
{
    if (filter->one &&
        (letter->partition != filter->partition || letter->offset != filter->offset ||
         !slice_equal(letter->topic, filter->topic)))
        return false;
    return letter->time_ms >= filter->since_ms &&
           (filter->until_ms == 0 || letter->time_ms < filter->until_ms) &&
           is_among(letter->reason, filter->reasons, filter->n_reasons) &&
           is_among(letter->topic, filter->topics, filter->n_topics);
}
