/* SPDX-License-Identifier: Apache-2.0 */
/* plot.c - see plot.h. */
#include "admin/plot.h"

#include <math.h>

/* In the units of the viewBox. */
enum {
    WIDTH = 430,
    HEIGHT = 170,
    LEFT = 56,
    RIGHT = 10,
    TOP = 8,
    BOTTOM = 20,
    LINES_AT_MOST = 7 /* across the plot */
};

struct scale {
    double low, high; /* of what is drawn; logarithms if so */
    double step;      /* between two lines across */
    bool logarithmic;
};

void
plot_add_escaped(struct buf *b, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&':
            buf_add_text(b, "&amp;");
            break;
        case '<':
            buf_add_text(b, "&lt;");
            break;
        case '>':
            buf_add_text(b, "&gt;");
            break;
        case '"':
            buf_add_text(b, "&quot;");
            break;
        case '\'':
            buf_add_text(b, "&#39;");
            break;
        default:
            buf_add_char(b, *text);
        }
    }
}

/* --- scales --- */

static void
widen(double value, bool positive, double *low, double *high)
{
    if (!isfinite(value) || (positive && value <= 0))
        return;
    *low = value < *low ? value : *low;
    *high = value > *high ? value : *high;
}

static void
find_range(const struct plot *p, double *low, double *high)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (size_t l = 0; l < p->n_layers; l++)
        for (size_t i = 0; i < PLOT_POINTS; i++) {
            widen(p->layers[l].high[i], p->logarithmic, low, high);
            if (p->layers[l].band)
                widen(p->layers[l].low[i], p->logarithmic, low, high);
        }
}

/* 1, 2 or 5 times a power of ten, such that there are about four of it. */
static double
nice_step(double high)
{
    double power = pow(10, floor(log10(high / 4))), n = high / 4 / power;
    return (n > 5 ? 10 : n > 2 ? 5 : n > 1 ? 2 : 1) * power;
}

static struct scale
make_scale(const struct plot *p)
{
    struct scale s = {.high = 1, .step = 1, .logarithmic = p->logarithmic};
    double low, high;
    find_range(p, &low, &high);
    if (p->logarithmic) {
        s.low = high > 0 ? floor(log10(low)) : -3;
        s.high = high > 0 ? ceil(log10(high)) : 0;
        s.high = s.high > s.low ? s.high : s.low + 1;
        s.step = ceil((s.high - s.low) / LINES_AT_MOST);
    } else if (high > 0) {
        s.step = nice_step(high);
        s.step = p->whole && s.step < 1 ? 1 : s.step;
        s.high = ceil(high / s.step - 1e-9) * s.step;
    }
    return s;
}

static double
x_of(size_t i)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * ((double)i + 0.5) / PLOT_POINTS;
}

static double
y_of(const struct scale *s, double value)
{
    double v = !s->logarithmic ? value : value > 0 ? log10(value) : s->low;
    double part = (v - s->low) / (s->high - s->low);
    part = part < 0 ? 0 : part > 1 ? 1 : part;
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - part);
}

/* --- drawing --- */

static void
write_axes(struct buf *b, const struct plot *p, const struct scale *s)
{
    for (double at = s->low; at <= s->high + s->step / 100; at += s->step) {
        double value = s->logarithmic ? pow(10, at) : at, y = y_of(s, value);
        buf_printf(b, "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\">", LEFT, y,
                   WIDTH - RIGHT, LEFT - 6, y + 4);
        plot_add_escaped(b, p->format(value).s);
        buf_add_text(b, "</text>");
    }
    buf_printf(b, "<text class=\"from\" x=\"%d\" y=\"%d\">", LEFT, HEIGHT - 4);
    plot_add_escaped(b, p->first);
    buf_printf(b, "</text><text x=\"%d\" y=\"%d\">", WIDTH - RIGHT, HEIGHT - 4);
    plot_add_escaped(b, p->last);
    buf_add_text(b, "</text>");
}

/* One stretch without gaps: from..to of a layer. A single point becomes a dot. */
static void
write_stretch(struct buf *b, const struct plot_layer *l, const struct scale *s, size_t from,
              size_t to)
{
    for (size_t i = from; i < to; i++)
        buf_printf(b, "%c%.1f %.1f", i == from ? 'M' : 'L', x_of(i), y_of(s, l->high[i]));
    if (!l->band && to == from + 1)
        buf_add_text(b, "h.01");
    for (size_t i = to; l->band && i-- > from;)
        buf_printf(b, "L%.1f %.1f", x_of(i), y_of(s, l->low[i]));
    if (l->band)
        buf_add_char(b, 'Z');
}

static void
write_layer(struct buf *b, const struct plot_layer *l, const struct scale *s)
{
    buf_printf(b, "<path class=\"%s\" d=\"", l->css);
    for (size_t from = 0, to; from < PLOT_POINTS; from = to + 1) {
        for (to = from; to < PLOT_POINTS && isfinite(l->high[to]);)
            to++;
        if (to > from)
            write_stretch(b, l, s, from, to);
    }
    buf_add_text(b, "\"/>");
}

static void
write_tip(struct buf *b, const struct plot *p, size_t i)
{
    double width = (double)(WIDTH - LEFT - RIGHT) / PLOT_POINTS;
    buf_printf(b, "<rect class=\"tip\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"><title>",
               x_of(i) - width / 2, TOP, width, HEIGHT - TOP - BOTTOM);
    plot_add_escaped(b, p->when[i]);
    for (size_t l = 0; l < p->n_layers; l++) {
        const struct plot_layer *layer = &p->layers[l];
        buf_printf(b, "\n%s ", layer->label);
        if (layer->band && isfinite(layer->low[i]))
            buf_printf(b, "%s \xe2\x80\x93 ", p->format(layer->low[i]).s);
        buf_add_text(b, isfinite(layer->high[i]) ? p->format(layer->high[i]).s : "none");
    }
    buf_add_text(b, "</title></rect>");
}

static void
write_legend(struct buf *b, const struct plot *p)
{
    buf_add_text(b, "<figcaption><b>");
    plot_add_escaped(b, p->title);
    buf_add_text(b, "</b>");
    for (size_t l = 0; l < p->n_layers; l++) {
        buf_printf(b,
                   " <span><svg class=\"key\" viewBox=\"0 0 24 10\" aria-hidden=\"true\">"
                   "<path class=\"%s\" d=\"%s\"/></svg>",
                   p->layers[l].css, p->layers[l].band ? "M0 1H24V9H0Z" : "M1 5H23");
        plot_add_escaped(b, p->layers[l].label);
        buf_add_text(b, "</span>");
    }
    buf_add_text(b, "</figcaption>");
}

void
plot_write(struct buf *b, const struct plot *p)
{
    struct scale s = make_scale(p);
    buf_add_text(b, "<figure>");
    write_legend(b, p);
    buf_printf(b, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH, HEIGHT);
    plot_add_escaped(b, p->title);
    buf_add_text(b, "\">");
    write_axes(b, p, &s);
    for (size_t l = 0; l < p->n_layers; l++)
        write_layer(b, &p->layers[l], &s);
    for (size_t i = 0; i < PLOT_POINTS; i++)
        if (p->when[i] != NULL)
            write_tip(b, p, i);
    buf_add_text(b, "</svg></figure>\n");
}
