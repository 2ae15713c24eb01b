/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statsd_dimensions.h - the operator's dimensions, "k:v, k2:v2", as a list.
 *
 * Process: master, tests.  Owner: whoever called statsd_dimensions_parse.  Concurrency: none
 * needed.
 */
#ifndef STATSD_STATSD_DIMENSIONS_H
#define STATSD_STATSD_DIMENSIONS_H

#include "statsd/statsd_line.h"

struct statsd_dimensions {
    char *text; /* what the list points into */
    struct statsd_dimension *list;
    size_t n;
};

/*
 * Takes: text that cfg_load has checked.
 * Returns: 0 and a list, in the text's order, that statsd_dimensions_free frees; -1 if memory is
 * out.
 */
int statsd_dimensions_parse(const char *text, struct statsd_dimensions *dimensions) MUST_CHECK;
void statsd_dimensions_free(struct statsd_dimensions *dimensions);

#endif
