/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter.h - which letters are meant (pure).
 *
 * Process: persister-dead; the tests.  Owner: the caller.  Concurrency: any thread.
 */
#ifndef DEAD_FILTER_H
#define DEAD_FILTER_H

#include "dead/letter.h"

enum { FILTER_NAMES_MAX = 32 };

/* Zero-initialized, it lets every letter pass but those before 1970. */
struct filter {
    const char *reasons[FILTER_NAMES_MAX], *topics[FILTER_NAMES_MAX]; /* any of them; 0: all */
    size_t n_reasons, n_topics;
    int64_t since_ms, until_ms; /* of the rejection; until is not included; 0: no end */
    bool one;                   /* only this one: */
    struct slice topic;
    int32_t partition;
    int64_t offset;
};

bool filter_passes(const struct filter *filter, const struct letter *letter) MUST_CHECK;

#endif
