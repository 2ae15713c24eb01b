/* SPDX-License-Identifier: Apache-2.0 */
/* page.c - see page.h. */
#include "admin/page.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "admin/format.h"
#include "admin/health.h"
#include "admin/page_html.h"
#include "admin/plot.h"
#include "admin/threads.h"

enum { WITHOUT_SCRIPT_SECONDS = 10, PROCESS_COLUMNS = 12 };

/* --- small pieces --- */

static double
per_second(uint64_t n, int64_t ms)
{
    return ms > 0 ? (double)n * 1000 / (double)ms : 0;
}

static struct format_text
average(const struct stat_times *t)
{
    return format_duration(t->count > 0 ? stat_average(t) : UINT64_MAX);
}

/* Takes: one of the timing's figures, which means nothing if nothing was timed. */
static struct format_text
duration(const struct stat_times *t, uint64_t ns)
{
    return format_duration(t->count > 0 ? ns : UINT64_MAX);
}

static void
add_tile(struct buf *b, const char *name, const char *value, const char *more)
{
    buf_printf(b, "<div>%s<b>", name);
    plot_add_escaped(b, value);
    buf_add_text(b, "</b><span class=\"dim\">");
    plot_add_escaped(b, more);
    buf_add_text(b, "</span></div>\n");
}

/* A sign besides the word, so that the colour is not needed. */
static void
add_marked(struct buf *b, enum health_status status, const char *word)
{
    static const char *const css[] = {"good", "warn", "bad"};
    static const char *const signs[] = {"\xe2\x97\x8f", "\xe2\x96\xb2", "\xe2\x9c\x96"};
    buf_printf(b, "<span class=\"%s\">%s %s</span>", css[status], signs[status], word);
}

static void
add_status(struct buf *b, enum health_status status)
{
    add_marked(b, status, health_status_name(status));
}

/* --- head --- */

static void
add_head(struct buf *b, const struct view *v, const struct health *health)
{
    const struct snapshot *s = &v->now;
    buf_add_text(b, "<h1>");
    plot_add_escaped(b, s->instance);
    add_status(b, health->worst);
    buf_printf(b,
               "</h1>\n<p class=\"dim\">monasca-persister %s \xc2\xb7 %s for %s \xc2\xb7 master "
               "%" PRId32 " \xc2\xb7 %" PRIu32 " restarts \xc2\xb7 periods of %s \xc2\xb7 "
               "as of <time>%s</time></p>\n",
               s->version, master_state_name(s->master_state),
               format_age(s->taken_ms - s->started_ms).s, s->master_pid, s->restarts,
               format_age(s->period_ms).s, format_time(s->taken_ms).s);
    if (!v->origin.stale)
        return;
    buf_add_text(b, "<p class=\"banner\">stale: ");
    plot_add_escaped(b, v->origin.stale_reason);
    buf_printf(b, " (%s ago)</p>\n", format_age(v->origin.age_ms).s);
}

/* Seconds as anybody can have written them, in ms that can be told. */
static int64_t
to_ms(uint64_t seconds)
{
    return seconds < INT64_MAX / 1000 ? (int64_t)seconds * 1000 : INT64_MAX;
}

static void
add_tiles(struct buf *b, const struct view *v)
{
    const struct snapshot *s = &v->now;
    const uint64_t *totals = s->totals.values, *last = s->last_period.values;
    const struct stat_times *request = &s->last_period.times[STAT_REQUEST];
    char more[128];
    static const struct {
        const char *name;
        enum stat_value value;
    } rates[] = {
        {"received/s", STAT_RECEIVED}, {"stored/s", STAT_COMPLETED}, {"rejected/s", STAT_REJECTED}};
    buf_add_text(b, "<div class=\"tiles\">\n");
    for (size_t i = 0; i < COUNT_OF(rates); i++) {
        snprintf(more, sizeof(more), "%s in all", format_count(totals[rates[i].value]).s);
        add_tile(b, rates[i].name,
                 format_rate(per_second(last[rates[i].value], s->period_length_ms)).s, more);
    }
    snprintf(more, sizeof(more), "oldest %s",
             totals[STAT_LAG_SECONDS] == STAT_UNKNOWN
                 ? "unknown"
                 : format_age(to_ms(totals[STAT_LAG_SECONDS])).s);
    add_tile(b, "lag", format_count(totals[STAT_LAG]).s, more);
    snprintf(more, sizeof(more), "%s given back", format_count(totals[STAT_RETURNED]).s);
    add_tile(b, "in hand", format_count(totals[STAT_IN_FLIGHT]).s, more);
    snprintf(more, sizeof(more), "min %s, max %s", duration(request, request->min_ns).s,
             duration(request, request->max_ns).s);
    add_tile(b, "request, average", average(request).s, more);
    snprintf(more, sizeof(more), "median %s", duration(request, request->p50_ns).s);
    add_tile(b, "request, 99 %", duration(request, request->p99_ns).s, more);
    buf_add_text(b, "</div>\n");
}

/* --- plots --- */

static struct format_text
format_ns(double ns)
{
    return format_duration(stat_from_double(ns + 0.5));
}

static struct format_text
format_level(double level)
{
    return level < 9999.5 ? format_count((uint64_t)(level + 0.5)) : format_rate(level);
}

/* The newest period is at the right end; where there is none there are gaps. */
struct series {
    const struct view *view;
    struct format_text when[PLOT_POINTS];
    struct format_text first;
};

static size_t
point_of(const struct view *v, size_t period)
{
    uint64_t newest = v->periods[v->n_periods - 1].number;
    return PLOT_POINTS - 1 - (size_t)(newest - v->periods[period].number);
}

static void
begin_plot(struct plot *p, struct series *s, const char *title)
{
    const struct view *v = s->view;
    *p = (struct plot){.title = title, .first = s->first.s, .last = "now"};
    for (size_t l = 0; l < PLOT_LAYERS; l++)
        for (size_t i = 0; i < PLOT_POINTS; i++)
            p->layers[l].high[i] = p->layers[l].low[i] = NAN;
    for (size_t i = 0; i < v->n_periods; i++)
        p->when[point_of(v, i)] = s->when[point_of(v, i)].s;
}

static struct plot_layer *
add_layer(struct plot *p, const char *css, const char *label, bool band)
{
    struct plot_layer *l = &p->layers[p->n_layers++];
    l->css = css;
    l->label = label;
    l->band = band;
    return l;
}

static void
add_rates_plot(struct buf *b, struct series *s)
{
    static const struct {
        const char *css, *label;
        enum stat_value value;
    } lines[] = {{"line1", "received", STAT_RECEIVED},
                 {"line2", "stored", STAT_COMPLETED},
                 {"line3", "rejected", STAT_REJECTED}};
    const struct view *v = s->view;
    struct plot p;
    begin_plot(&p, s, "messages/s");
    p.format = format_rate;
    for (size_t l = 0; l < COUNT_OF(lines); l++) {
        struct plot_layer *layer = add_layer(&p, lines[l].css, lines[l].label, false);
        for (size_t i = 0; i < v->n_periods; i++)
            layer->high[point_of(v, i)] =
                per_second(v->periods[i].figures.values[lines[l].value], v->periods[i].length_ms);
    }
    plot_write(b, &p);
}

static void
add_lag_plot(struct buf *b, struct series *s)
{
    const struct view *v = s->view;
    struct plot p;
    begin_plot(&p, s, "messages behind");
    p.format = format_level;
    p.whole = true;
    struct plot_layer *lag = add_layer(&p, "line1", "lag", false);
    struct plot_layer *hand = add_layer(&p, "line2", "in hand", false);
    for (size_t i = 0; i < v->n_periods; i++) {
        const uint64_t *values = v->periods[i].figures.values;
        if (values[STAT_LAG] != STAT_UNKNOWN)
            lag->high[point_of(v, i)] = (double)values[STAT_LAG];
        if (values[STAT_IN_FLIGHT] != STAT_UNKNOWN)
            hand->high[point_of(v, i)] = (double)values[STAT_IN_FLIGHT];
    }
    plot_write(b, &p);
}

static void
add_times_plot(struct buf *b, struct series *s)
{
    const struct view *v = s->view;
    struct plot p;
    begin_plot(&p, s, "request time");
    p.logarithmic = true;
    p.format = format_ns;
    struct plot_layer *all = add_layer(&p, "area1", "min \xe2\x80\x93 max", true);
    struct plot_layer *most = add_layer(&p, "area2", "avg \xe2\x80\x93 99 %", true);
    struct plot_layer *mean = add_layer(&p, "line1", "avg", false);
    for (size_t i = 0; i < v->n_periods; i++) {
        const struct stat_times *t = &v->periods[i].figures.times[STAT_REQUEST];
        size_t at = point_of(v, i);
        if (t->count == 0)
            continue;
        all->low[at] = (double)t->min_ns;
        all->high[at] = (double)t->max_ns;
        most->low[at] = mean->high[at] = (double)stat_average(t);
        /* Far outliers can pull the average above the 99 %. */
        most->high[at] = (double)t->p99_ns > most->low[at] ? (double)t->p99_ns : most->low[at];
    }
    plot_write(b, &p);
}

static void
add_plots(struct buf *b, const struct view *v)
{
    struct series s = {.view = v};
    if (v->n_periods == 0) {
        buf_add_text(b, "<p class=\"dim\">No period has ended yet.</p>\n");
        return;
    }
    for (size_t i = 0; i < v->n_periods; i++)
        s.when[point_of(v, i)] = format_time(v->periods[i].ended_ms);
    snprintf(s.first.s, sizeof(s.first.s), "%.24s ago",
             format_age(PLOT_POINTS * v->now.period_ms).s);
    buf_add_text(b, "<div class=\"plots\">\n");
    add_rates_plot(b, &s);
    add_times_plot(b, &s);
    add_lag_plot(b, &s);
    buf_add_text(b, "</div>\n");
}

/* --- processes --- */

static enum health_status
status_of(const struct snapshot_process *p)
{
    if (p->state == SLOT_BACKOFF || p->state == SLOT_DEAD)
        return HEALTH_BAD;
    return p->state == SLOT_RETRYING || p->wait_text[0] != '\0' ? HEALTH_DEGRADED : HEALTH_GOOD;
}

static void
add_state(struct buf *b, const struct snapshot *s, const struct snapshot_process *p)
{
    char doing[256];
    threads_describe(doing, sizeof(doing), s, p);
    buf_add_text(b, "<td class=\"left\" title=\"");
    plot_add_escaped(b, doing);
    buf_add_text(b, "\">");
    add_marked(b, status_of(p), slot_state_name(p->state));
    buf_printf(b, " <span class=\"dim\">%s</span></td>", format_age(s->taken_ms - p->since_ms).s);
}

/* In a row of its own below the process. */
static void
add_why(struct buf *b, const struct snapshot *s, const struct snapshot_process *p)
{
    if (p->wait_text[0] == '\0')
        return;
    buf_printf(b, "<tr class=\"more\"><td colspan=\"%d\">waits for ", PROCESS_COLUMNS);
    plot_add_escaped(b, p->wait_class);
    buf_printf(b, " for %s: ", format_age(s->taken_ms - p->wait_since_ms).s);
    plot_add_escaped(b, p->wait_text);
    buf_add_text(b, "</td></tr>\n");
}

static void
add_cell(struct buf *b, struct format_text text)
{
    buf_printf(b, "<td>%s</td>", text.s);
}

static void
add_process(struct buf *b, const struct snapshot *s, const struct snapshot_process *p)
{
    const uint64_t *now = p->totals.values, *last = p->last_period.values;
    const struct stat_times *request = &p->last_period.times[STAT_REQUEST];
    buf_add_text(b, "<tr><th scope=\"row\">");
    plot_add_escaped(b, p->name);
    buf_add_text(b, "</th>");
    add_state(b, s, p);
    if (p->pid != 0)
        buf_printf(b, "<td>%" PRId32 "</td>", p->pid);
    else
        buf_add_text(b, "<td>\xe2\x80\x93</td>");
    add_cell(b, format_rate(per_second(last[STAT_RECEIVED], s->period_length_ms)));
    add_cell(b, format_rate(per_second(last[STAT_COMPLETED], s->period_length_ms)));
    add_cell(b, format_rate(per_second(last[STAT_REJECTED], s->period_length_ms)));
    add_cell(b, format_count(now[STAT_IN_FLIGHT]));
    add_cell(b, format_count(now[STAT_LAG]));
    add_cell(b, duration(request, request->min_ns));
    add_cell(b, average(request));
    add_cell(b, duration(request, request->max_ns));
    buf_printf(b, "<td>%" PRIu32 "</td></tr>\n", p->restarts);
    add_why(b, s, p);
}

static void
add_processes(struct buf *b, const struct snapshot *s)
{
    buf_add_text(b, "<h2>Processes</h2>\n<div class=\"wide\"><table>\n<thead><tr>"
                    "<th scope=\"col\">process</th><th scope=\"col\" class=\"left\">state, for</th>"
                    "<th scope=\"col\">pid</th><th scope=\"col\">received/s</th>"
                    "<th scope=\"col\">stored/s</th><th scope=\"col\">rejected/s</th>"
                    "<th scope=\"col\">in hand</th><th scope=\"col\">lag</th>"
                    "<th scope=\"col\">min</th><th scope=\"col\">avg</th><th scope=\"col\">max</th>"
                    "<th scope=\"col\">restarts</th>"
                    "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < s->n_processes; i++)
        add_process(b, s, &s->processes[i]);
    buf_add_text(b, "</tbody></table></div>\n<p class=\"dim\">Rates and request times (min, avg, "
                    "max) are of the last period.</p>\n");
}

/* --- health, timings, counters --- */

static void
add_health(struct buf *b, const struct health *h)
{
    buf_add_text(b, "<div class=\"wide\"><table><caption>Health</caption><tbody>\n");
    for (size_t i = 0; i < h->n; i++) {
        const struct health_check *c = &h->checks[i];
        buf_add_text(b, "<tr><th scope=\"row\">");
        plot_add_escaped(b, c->name);
        buf_add_text(b, "</th><td class=\"left\">");
        add_status(b, c->status);
        buf_add_text(b, "</td><td class=\"why\">");
        plot_add_escaped(b, c->message);
        buf_add_text(b, "</td></tr>\n");
    }
    buf_add_text(b, "</tbody></table></div>\n");
}

static void
add_timing(struct buf *b, const struct stat_times *t, const struct stat_descriptor *d,
           const char *span)
{
    buf_printf(b, "<tr><th scope=\"row\" title=\"%s\">%s</th><td class=\"left dim\">%s</td>",
               d->help, d->name, span);
    add_cell(b, format_count(t->count));
    add_cell(b, duration(t, t->min_ns));
    add_cell(b, average(t));
    add_cell(b, duration(t, t->p50_ns));
    add_cell(b, duration(t, t->p95_ns));
    add_cell(b, duration(t, t->p99_ns));
    add_cell(b, duration(t, t->max_ns));
    buf_add_text(b, "</tr>\n");
}

static void
add_timings(struct buf *b, const struct snapshot *s)
{
    buf_add_text(b, "<div class=\"wide\"><table><caption>Timings</caption><thead><tr><th></th>"
                    "<th></th><th>count</th><th>min</th><th>avg</th><th>50 %</th><th>95 %</th>"
                    "<th>99 %</th><th>max</th></tr></thead><tbody>\n");
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        add_timing(b, &s->last_period.times[t], &stat_timings[t], "last period");
        add_timing(b, &s->totals.times[t], &stat_timings[t], "since start");
    }
    buf_add_text(b, "</tbody></table></div>\n");
}

static void
add_values(struct buf *b, const struct snapshot *s)
{
    buf_add_text(b, "<div class=\"wide\"><table><caption>Counters and levels</caption><thead><tr>"
                    "<th></th><th>last period</th><th>in all, or now</th></tr></thead><tbody>\n");
    for (unsigned i = 0; i < STAT_VALUES; i++) {
        const struct stat_descriptor *d = &stat_values[i];
        buf_printf(b, "<tr><th scope=\"row\" title=\"%s\">%s</th>", d->help, d->name);
        if (d->nature == STAT_COUNTER)
            add_cell(b, format_count(s->last_period.values[i]));
        else
            buf_add_text(b, "<td></td>");
        add_cell(b, format_count(s->totals.values[i]));
        buf_add_text(b, "</tr>\n");
    }
    buf_add_text(b, "</tbody></table></div>\n");
}

/* --- all --- */

static void
add_main(struct buf *b, const struct view *v, const struct health *health)
{
    add_head(b, v, health);
    add_tiles(b, v);
    add_plots(b, v);
    add_processes(b, &v->now);
    buf_add_text(b, "<div class=\"pair\">\n<div>\n");
    add_health(b, health);
    buf_add_text(b, "<br>\n");
    add_timings(b, &v->now);
    buf_add_text(b, "</div>\n");
    add_values(b, &v->now);
    buf_add_text(b, "</div>\n<footer>For programs: <a href=\"/stats\">/stats</a> "
                    "<a href=\"/metrics?pretty=true\">/metrics</a> "
                    "<a href=\"/metrics/prometheus\">/metrics/prometheus</a> "
                    "<a href=\"/healthcheck?pretty=true\">/healthcheck</a> "
                    "<a href=\"/threads\">/threads</a> <a href=\"/config\">/config</a> "
                    "<a href=\"/ping\">/ping</a></footer>\n");
}

/* Fills in one of the frame's {{words}}. */
static void
add_word(struct buf *b, struct slice word, const struct view *v, const struct health *health,
         const char *nonce)
{
    if (slice_equal(word, SLICE("main")))
        add_main(b, v, health);
    else if (slice_equal(word, SLICE("nonce")))
        buf_add_text(b, nonce);
    else if (slice_equal(word, SLICE("seconds")))
        buf_printf(b, "%d", WITHOUT_SCRIPT_SECONDS);
    else if (slice_equal(word, SLICE("title")))
        plot_add_escaped(b, v->now.instance);
    else
        assert(!"page.html has a word that nobody knows");
}

int
page_write(struct buf *b, const struct view *v, const char *nonce)
{
    struct health health;
    if (health_judge(&health, v) == -1)
        return -1;
    for (const char *p = page_html; *p != '\0';) {
        const char *open = strstr(p, "{{"), *close = open != NULL ? strstr(open, "}}") : NULL;
        if (close == NULL) {
            buf_add_text(b, p);
            break;
        }
        buf_add(b, p, (size_t)(open - p));
        add_word(b, (struct slice){open + 2, (size_t)(close - open - 2)}, v, &health, nonce);
        p = close + 2;
    }
    health_free(&health);
    return b->failed ? -1 : 0;
}
