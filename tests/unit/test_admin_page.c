/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_admin_page.c - figures as people read them, plots, JSON's texts and numbers.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none (Criterion forks for each).
 */
#include <criterion/criterion.h>
#include <cjson/cJSON.h>
#include <math.h>

#include "admin/format.h"
#include "admin/json_out.h"
#include "admin/plot.h"

Test(admin_format, ages)
{
    cr_assert_str_eq(format_age(-5).s, "0 s");
    cr_assert_str_eq(format_age(59999).s, "59 s");
    cr_assert_str_eq(format_age(192000).s, "3 min 12 s");
    cr_assert_str_eq(format_age(7500000).s, "2 h 05 min");
    cr_assert_str_eq(format_age(371000000).s, "4 d 7 h");
    cr_assert_str_eq(format_time(0).s, "never");
    cr_assert_str_eq(format_time(1795413600123).s, "2026-11-23T06:00:00Z");
}

Test(admin_format, durations_have_three_digits)
{
    cr_assert_str_eq(format_duration(UINT64_MAX).s, "\xe2\x80\x93");
    cr_assert_str_eq(format_duration(0).s, "0 ns");
    cr_assert_str_eq(format_duration(999).s, "999 ns");
    cr_assert_str_eq(format_duration(1000).s, "1.00 \xc2\xb5s");
    cr_assert_str_eq(format_duration(12345).s, "12.3 \xc2\xb5s");
    cr_assert_str_eq(format_duration(999999).s, "1.00 ms");
    cr_assert_str_eq(format_duration(99960000).s, "100 ms");
    cr_assert_str_eq(format_duration(3600000000000).s, "3600 s");
}

Test(admin_format, counts_rates_and_bytes)
{
    cr_assert_str_eq(format_count(0).s, "0");
    cr_assert_str_eq(format_count(1234567).s, "1,234,567");
    cr_assert_str_eq(format_count(UINT64_MAX).s, "unknown");
    cr_assert_str_eq(format_count(UINT64_MAX - 1).s, "18,446,744,073,709,551,614");
    cr_assert_str_eq(format_rate(0).s, "0");
    cr_assert_str_eq(format_rate(NAN).s, "0");
    cr_assert_str_eq(format_rate(0.254).s, "0.25");
    cr_assert_str_eq(format_rate(17.06).s, "17.1");
    cr_assert_str_eq(format_rate(1234.4).s, "1,234");
    cr_assert_str_eq(format_rate(12345).s, "12.3k");
    cr_assert_str_eq(format_rate(4561000).s, "4.56M");
    cr_assert_str_eq(format_bytes(0).s, "0 B");
    cr_assert_str_eq(format_bytes(17930000).s, "17.1 MiB");
    cr_assert_str_eq(format_bytes(UINT64_MAX).s, "unknown");
}

/* --- JSON --- */

Test(admin_json, hostile_texts_and_odd_numbers_are_json)
{
    static const char hostile[] = "a\"b\\c\n\x01\x7f</script>\xff\xc3\xa4\xe2\x82";
    static const double numbers[] = {0,         1,    -2.5,    0.1,      1e300,
                                     3.517e-06, 1e22, 1.0 / 3, 12345678, 0.10828950691073466};
    for (int pretty = 0; pretty < 2; pretty++) {
        struct buf b;
        struct json_out j;
        buf_init(&b, 10000);
        json_out_init(&j, &b, pretty != 0);
        json_out_open(&j, NULL);
        json_out_text(&j, hostile, hostile);
        json_out_open(&j, "empty");
        json_out_close(&j);
        json_out_double(&j, "nan", NAN);
        json_out_u64(&j, "most", UINT64_MAX - 1);
        for (size_t i = 0; i < COUNT_OF(numbers); i++)
            json_out_double(&j, "number", numbers[i]);
        json_out_close(&j);
        buf_add_char(&b, '\0');
        cr_assert_not(b.failed);
        cJSON *all = cJSON_Parse(b.data);
        cr_assert_not_null(all, "%s", b.data);
        cr_assert_str_eq(all->child->valuestring, "a\"b\\c\n\x01\x7f</script>\xef\xbf\xbd\xc3\xa4"
                                                  "\xef\xbf\xbd\xef\xbf\xbd");
        cr_assert(cJSON_IsNull(cJSON_GetObjectItem(all, "nan")));
        cr_assert_not_null(strstr(b.data, "18446744073709551614"));
        const cJSON *item = cJSON_GetObjectItem(all, "number");
        for (size_t i = 0; i < COUNT_OF(numbers); i++, item = item->next)
            cr_assert(item->valuedouble == numbers[i], "%.17g", numbers[i]);
        cJSON_Delete(all);
        buf_free(&b);
    }
}

Test(admin_json, pretty_is_as_jackson_writes_it)
{
    struct buf b;
    struct json_out j;
    buf_init(&b, 1000);
    json_out_init(&j, &b, true);
    json_out_open(&j, NULL);
    json_out_open(&j, "deadlocks");
    json_out_bool(&j, "healthy", true);
    json_out_close(&j);
    json_out_open(&j, "none");
    json_out_close(&j);
    json_out_close(&j);
    buf_add_char(&b, '\0');
    cr_assert_str_eq(b.data,
                     "{\n  \"deadlocks\" : {\n    \"healthy\" : true\n  },\n  \"none\" : { }\n}\n");
    buf_free(&b);
}

/* --- plots --- */

static struct format_text
format_plain(double value)
{
    return format_count((uint64_t)value);
}

static void
clear(struct plot *p)
{
    *p = (struct plot){.title = "<&\"'>", .format = format_plain, .first = "", .last = ""};
    for (size_t l = 0; l < PLOT_LAYERS; l++)
        for (size_t i = 0; i < PLOT_POINTS; i++)
            p->layers[l].high[i] = p->layers[l].low[i] = NAN;
}

static void
draw(const struct plot *p, struct buf *b)
{
    buf_init(b, 100000);
    plot_write(b, p);
    buf_add_char(b, '\0');
    cr_assert_not(b->failed);
    cr_assert_null(strstr(b->data, "nan"));
    cr_assert_null(strstr(b->data, "inf"));
}

static size_t
count(const char *text, const char *what)
{
    size_t n = 0;
    for (; (text = strstr(text, what)) != NULL; text++)
        n++;
    return n;
}

Test(admin_plot, nothing_to_draw_is_drawn)
{
    struct plot p;
    struct buf b;
    for (int logarithmic = 0; logarithmic < 2; logarithmic++) {
        clear(&p);
        p.logarithmic = logarithmic != 0;
        p.n_layers = 2;
        p.layers[0].css = p.layers[1].css = "x";
        p.layers[0].label = p.layers[1].label = "x";
        p.layers[1].band = true;
        draw(&p, &b);
        cr_assert_not_null(strstr(b.data, "&lt;&amp;&quot;&#39;&gt;"));
        buf_free(&b);
    }
}

Test(admin_plot, gaps_stay_gaps_and_a_lone_point_is_a_dot)
{
    struct plot p;
    struct buf b;
    clear(&p);
    p.n_layers = 1;
    p.layers[0].css = "mine";
    p.layers[0].label = "mine";
    for (size_t i = 10; i < 20; i++)
        p.layers[0].high[i] = (double)i;
    p.layers[0].high[40] = 1e9;
    p.when[40] = "noon";
    draw(&p, &b);
    const char *path = strstr(strstr(b.data, "class=\"mine\"") + 1, "class=\"mine\" d=\"");
    cr_assert_not_null(path);
    size_t n = strcspn(path + 16, "\"");
    char d[2000];
    cr_assert_lt(n, sizeof(d));
    memcpy(d, path + 16, n);
    d[n] = '\0';
    cr_assert_eq(count(d, "M"), 2);
    cr_assert_eq(count(d, "L"), 9);
    cr_assert_eq(count(d, "h.01"), 1);
    cr_assert_eq(count(b.data, "<title>noon\nmine 1,000,000,000</title>"), 1);
    buf_free(&b);
}
