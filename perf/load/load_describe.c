/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_describe.c - the arithmetic of pace and progress. See load.h.
 *
 * Process: persister-load.  Owner: none.  Concurrency: any thread.
 */
#include <signal.h>
#include <stdio.h>

#include "perf/load/load.h"

enum { BAR = 30 };

uint64_t
load_due(int64_t rate, int64_t elapsed_ns)
{
    const int64_t second = 1000000000;
    uint64_t whole = (uint64_t)(elapsed_ns / second) * (uint64_t)rate;
    uint64_t rest = (uint64_t)(elapsed_ns % second) * (uint64_t)rate / (uint64_t)second;
    return whole + rest + 1;
}

static void
write_bar(char bar[BAR + 3], double share)
{
    size_t full = (size_t)(share * BAR);
    bar[0] = '[';
    for (size_t i = 0; i < BAR; i++)
        bar[1 + i] = i < full ? '#' : '-';
    bar[1 + BAR] = ']';
    bar[2 + BAR] = '\0';
}

void
load_describe(char *text, size_t size, uint64_t done, uint64_t all, int64_t elapsed_ms,
              int64_t seconds, bool bar)
{
    char drawn[BAR + 3] = "", head[64] = "", left[32] = "";
    double rate = elapsed_ms > 0 ? (double)done * 1000 / (double)elapsed_ms : 0;
    double share = all > 0 ? (double)done / (double)all : 0;
    double left_s = all > done && rate > 0 ? (double)(all - done) / rate : 0;
    if (seconds > 0) {
        double by_time = (double)elapsed_ms / 1000 / (double)seconds;
        double by_time_left_s = (double)seconds - (double)elapsed_ms / 1000;
        if (all == 0 || by_time > share) {
            share = by_time;
            left_s = by_time_left_s;
        }
    }
    share = share > 1 ? 1 : share;
    bool known = all > 0 || seconds > 0;
    if (known && bar)
        write_bar(drawn, share);
    if (known) {
        snprintf(head, sizeof(head), "%s%s%3.0f %%  ", drawn, bar ? " " : "", share * 100);
        snprintf(left, sizeof(left), ", %.0f s left", left_s > 0 ? left_s : 0);
    }
    if (all > 0)
        snprintf(text, size, "%s%llu of %llu delivered, %.0f/s%s", head, (unsigned long long)done,
                 (unsigned long long)all, rate, left);
    else
        snprintf(text, size, "%s%llu delivered, %.0f/s%s", head, (unsigned long long)done, rate,
                 left);
}
