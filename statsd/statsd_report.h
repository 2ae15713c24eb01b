/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statsd_report.h - what is to be told: counters' differences, levels and times, for the instance
 * and for each process, as lines in packets.  Pure.
 *
 * Counters are told as differences of totals.  What has been seen but not told yet waits here,
 * under the name it belongs to: for the next interval, over the death or removal of its process,
 * and again if the packet that told it was lost.  So the differences told add up to the totals
 * exactly.
 *
 * A series is the instance (number 0) or a process name, TOPIC-N; processes that replace each
 * other, or run beside each other during a reload, share it.  Helpers, which are not workers, have
 * none: what they count is in the instance's.
 *
 * Process: master, tests.  Owner: whoever called statsd_report_new.  Concurrency: one thread.
 */
#ifndef STATSD_STATSD_REPORT_H
#define STATSD_STATSD_REPORT_H

#include "shm/snapshot.h"
#include "statsd/statsd_line.h"
#include "statsd/statsd_packet.h"
#include "statsd/statsd_window.h"

/* How to tell it. Texts are the caller's. */
struct statsd_style {
    enum statsd_dialect dialect;
    const char *prefix;
    const char *hostname, *instance;
    /* Added to all; hostname, service and component in the place of ours. */
    const struct statsd_dimension *dimensions;
    size_t n_dimensions; /* at most STATSD_DIMENSIONS_MAX */
    bool per_process;
};

enum { STATSD_DIMENSIONS_MAX = 64 };

struct statsd_report;

/* Returns: a report that has told nothing yet, or NULL if memory is out. */
struct statsd_report *statsd_report_new(void) MUST_CHECK;
void statsd_report_free(struct statsd_report **report);

/*
 * Takes up what was counted since the last time; may be called as often as one likes.
 * Returns: 0, or -1 if memory is out: what was left out is taken up the next time.
 */
int statsd_report_take(struct statsd_report *report, const struct snapshot *snapshot) MUST_CHECK;

/*
 * The slot is about to be given to somebody else, whose totals begin at 0. To be called after a
 * last statsd_report_take.
 */
void statsd_report_forget(struct statsd_report *report, unsigned slot);

/* What to put into a report. */
struct statsd_content {
    const struct snapshot *snapshot; /* the one that was taken up last */
    /* Windows of the instance and of each of the snapshot's processes; NULL: counters only. */
    const struct statsd_window *instance, *processes;
};

/*
 * Writes the lines of an interval and takes what they claim as told.
 * Takes: a style; the content; packets, cleared, to which the lines are appended. What does not fit
 * waits for the next interval.
 * Returns: true if every text of the style went in as it is, false if characters were replaced.
 */
bool statsd_report_write(struct statsd_report *report, const struct statsd_style *style,
                         const struct statsd_content *content, struct statsd_packets *packets);

/* Says that a packet was lost: what it claims is to be told again. */
void statsd_report_return(struct statsd_report *report, const struct statsd_packets *packets,
                          size_t packet);

#endif
