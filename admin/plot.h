/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plot.h - a plot of the last periods as inline SVG, which needs no script and takes its colours
 * from the page's style sheet.
 *
 * Pure.  Process: admin.  Owner: the caller.  Concurrency: none needed.
 */
#ifndef ADMIN_PLOT_H
#define ADMIN_PLOT_H

#include "admin/format.h"
#include "lib/buf.h"

enum { PLOT_POINTS = 60, PLOT_LAYERS = 4 };

/*
 * What is drawn over the periods; NAN where there is nothing to draw.  A line has no low values.
 * css names the class that colours it, label what the legend and the tooltips say.
 */
struct plot_layer {
    const char *css, *label;
    double high[PLOT_POINTS], low[PLOT_POINTS];
    bool band; /* the area from low to high; else a line at high */
};

struct plot {
    const char *title;
    bool logarithmic; /* powers of ten; values above 0 only */
    bool whole;       /* there are no fractions of what is counted */
    struct format_text (*format)(double value);
    const char *when[PLOT_POINTS]; /* the end of each period, for the tooltips; NULL: no period */
    const char *first, *last;      /* below the left and the right end */
    struct plot_layer layers[PLOT_LAYERS];
    size_t n_layers;
};

/* Writes <figure>...</figure>. Texts are escaped. */
void plot_write(struct buf *b, const struct plot *p);

/* Writes text as it may stand in an element or in a quoted attribute. */
void plot_add_escaped(struct buf *b, const char *text);

#endif
