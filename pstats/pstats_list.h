/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pstats_list.h - what the figures are, from stat.def: for `pstats -l` and for the man page. Pure.
 *
 * Process: pstats.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef SHM_PSTATS_LIST_H
#define SHM_PSTATS_LIST_H

#include "figures/figures.h"

/* Appends a line per figure: name, nature, unit, help. choice may be NULL: all. */
void pstats_write_list(struct buf *out, const struct figures_choice *choice);

/*
 * Appends the same as a list in man(7)'s macros: the part of doc/pstats.1 between its two comments
 * that say so. A test compares them.
 */
void pstats_write_man(struct buf *out);

#endif
