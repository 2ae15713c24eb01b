/*
 * influx_line.c - see influx_line.h.
 *
 * Process: workers.  Owner: the caller's buffer.  Concurrency: one thread.
 */
#include "store/influx_line.h"

#include "lib/json.h"

/* Beyond these InfluxDB answers "time outside range" (models/time.go: int64 nanoseconds). */
static const int64_t min_time_ms = -9223372036854, max_time_ms = 9223372036854;

/* Bytes that a name, a tag's name or its value has to have a backslash before. */
static bool
is_special(char c)
{
    return c == '\\' || c == ' ' || c == ',' || c == '=';
}

static void
add_escaped(struct buf *b, struct slice s)
{
    size_t start = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (!is_special(s.p[i]))
            continue;
        buf_add(b, s.p + start, i - start);
        buf_add_char(b, '\\');
        start = i;
    }
    buf_add(b, s.p + start, s.n - start);
}

/*
 * A backslash at the end would escape what follows; a newline would end the line.
 */
static int
check_text(struct slice s, const char *what, struct reject *why)
{
    if (s.n > 0 && s.p[s.n - 1] == '\\')
        return reject_set(why, REJECT_UNSTORABLE, "%s ends in a backslash", what);
    if (s.n > 0 && memchr(s.p, '\n', s.n) != NULL)
        return reject_set(why, REJECT_UNSTORABLE, "%s has a newline", what);
    return 0;
}

/* A line that begins with # is a comment, and white space there is skipped: both without a word. */
static int
check_measurement_name(struct slice name, struct reject *why)
{
    if (name.p[0] == '#' || name.p[0] == '\t')
        return reject_set(why, REJECT_UNSTORABLE, "metric.name begins with '#' or a tab");
    return check_text(name, "metric.name", why);
}

static int
check_time(int64_t time_ms, struct reject *why)
{
    if (time_ms >= min_time_ms && time_ms <= max_time_ms)
        return 0;
    return reject_set(why, REJECT_BAD_TIME, "timestamp %lld ms is outside what InfluxDB can hold",
                      (long long)time_ms);
}

static void
add_tag(struct buf *b, struct slice name, struct slice value)
{
    if (value.n == 0)
        return; /* cannot be written: left out */
    buf_add_char(b, ',');
    add_escaped(b, name);
    buf_add_char(b, '=');
    add_escaped(b, value);
}

static int
check_tag(struct slice name, struct slice value, struct reject *why)
{
    if (check_text(name, "a dimension's name", why) == -1)
        return -1;
    return check_text(value, "a dimension's value", why);
}

static const struct slice region_tag = SLICE("_region"), tenant_tag = SLICE("_tenant_id");

/* The dimensions, and the envelope's region and tenant where they sort in; the envelope's win. */
static int
add_tags(struct buf *b, const struct measurement *m, struct reject *why)
{
    const struct dimension own[2] = {{region_tag, m->region}, {tenant_tag, m->tenant_id}};
    size_t next = 0;
    for (size_t i = 0; i < m->n_dimensions; i++) {
        const struct dimension *d = &m->dimensions[i];
        while (next < 2 && slice_compare(own[next].name, d->name) < 0) {
            add_tag(b, own[next].name, own[next].value);
            next++;
        }
        if (slice_equal(d->name, region_tag) || slice_equal(d->name, tenant_tag))
            continue;
        if (check_tag(d->name, d->value, why) == -1)
            return -1;
        add_tag(b, d->name, d->value);
    }
    for (; next < 2; next++)
        add_tag(b, own[next].name, own[next].value);
    return 0;
}

/* --- fields --- */

static void
add_field_char(struct buf *b, char c)
{
    if (c == '"' || c == '\\')
        buf_add_char(b, '\\');
    if (c == '\n')
        buf_add_text(b, "\\n");
    else
        buf_add_char(b, c);
}

/* The inside of a string field. */
static void
add_field_text(struct buf *b, struct slice s)
{
    size_t start = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '"' && s.p[i] != '\\' && s.p[i] != '\n')
            continue;
        buf_add(b, s.p + start, i - start);
        add_field_char(b, s.p[i]);
        start = i + 1;
    }
    buf_add(b, s.p + start, s.n - start);
}

/* JSON as it came, without the white space between its tokens. */
static void
add_field_json(struct buf *b, struct slice json)
{
    bool in_string = false;
    for (size_t i = 0; i < json.n; i++) {
        char c = json.p[i];
        if (!in_string && (c == ' ' || c == '\t' || c == '\n' || c == '\r'))
            continue;
        if (c == '"')
            in_string = !in_string;
        add_field_char(b, c);
        if (in_string && c == '\\' && i + 1 < json.n) /* the escaped byte is no quote */
            add_field_char(b, json.p[++i]);
    }
}

static void
add_text_field(struct buf *b, const char *name, struct slice value)
{
    buf_add_text(b, name);
    buf_add_text(b, "=\"");
    add_field_text(b, value);
    buf_add_char(b, '"');
}

static void
add_json_field(struct buf *b, const char *name, struct slice value)
{
    buf_add_text(b, name);
    buf_add_text(b, "=\"");
    add_field_json(b, value);
    buf_add_char(b, '"');
}

static int
add_measurement(struct buf *b, const struct measurement *m, struct reject *why)
{
    if (check_measurement_name(m->name, why) == -1 || check_time(m->time_ms, why) == -1 ||
        check_text(m->tenant_id, "meta.tenantId", why) == -1 ||
        check_text(m->region, "meta.region", why) == -1)
        return -1;
    add_escaped(b, m->name);
    if (add_tags(b, m, why) == -1)
        return -1;
    buf_add_text(b, " value=");
    buf_add_slice(b, m->value_text);
    buf_add_char(b, ',');
    add_json_field(b, "value_meta", m->value_meta.n > 0 ? m->value_meta : SLICE("{}"));
    buf_printf(b, " %lld\n", (long long)m->time_ms);
    return 0;
}

/* --- alarm transitions --- */

static const struct {
    struct slice from, to;
} snake_names[] = {
    {SLICE("subAlarmExpression"), SLICE("sub_alarm_expression")},
    {SLICE("currentValues"), SLICE("current_values")},
    {SLICE("metricDefinition"), SLICE("metric_definition")},
    {SLICE("subAlarmState"), SLICE("sub_alarm_state")},
};

static struct slice
snake_name(struct slice name)
{
    for (size_t i = 0; i < COUNT_OF(snake_names); i++)
        if (slice_equal(name, snake_names[i].from))
            return snake_names[i].to;
    return name;
}

/* The end of the string whose opening quote is at `at`: the index of its closing quote. */
static size_t
string_end(struct slice json, size_t at)
{
    size_t i = at + 1;
    while (i < json.n && json.p[i] != '"')
        i += json.p[i] == '\\' ? 2 : 1;
    return i;
}

static bool
is_member_name(struct slice json, size_t after)
{
    while (after < json.n && strchr(" \t\r\n", json.p[after]) != NULL)
        after++;
    return after < json.n && json.p[after] == ':';
}

/* Valid JSON as a field, its member names in snake case wherever they stand. */
static void
add_sub_alarms(struct buf *b, struct slice json)
{
    buf_add_text(b, ",sub_alarms=\"");
    for (size_t i = 0; i < json.n; i++) {
        if (json.p[i] != '"') {
            add_field_json(b, (struct slice){json.p + i, 1});
            continue;
        }
        size_t end = string_end(json, i);
        struct slice text = {json.p + i + 1, end - i - 1};
        add_field_char(b, '"');
        add_field_text(b, is_member_name(json, end + 1) ? snake_name(text) : text);
        add_field_char(b, '"');
        i = end;
    }
    buf_add_char(b, '"');
}

static int
add_alarm(struct buf *b, const struct alarm_transition *a, struct reject *why)
{
    if (check_time(a->time_ms, why) == -1 ||
        check_text(a->tenant_id, "alarm-transitioned.tenantId", why) == -1)
        return -1;
    buf_add_text(b, "alarm_state_history");
    add_tag(b, SLICE("tenant_id"), a->tenant_id);
    buf_add_char(b, ' ');
    add_text_field(b, "tenant_id", a->tenant_id);
    add_text_field(b, ",alarm_id", a->alarm_id);
    add_json_field(b, ",metrics", a->metrics);
    add_text_field(b, ",new_state", a->new_state);
    add_text_field(b, ",old_state", a->old_state);
    add_text_field(b, ",link", a->link);
    add_text_field(b, ",lifecycle_state", a->lifecycle_state);
    add_text_field(b, ",reason", a->reason);
    buf_add_text(b, ",reason_data=\"{}\"");
    add_sub_alarms(b, a->sub_alarms);
    buf_printf(b, " %lld\n", (long long)a->time_ms);
    return 0;
}

int
influx_line_add(struct buf *b, const struct record *record, struct reject *why)
{
    size_t start = b->size;
    int result = record->kind == RECORD_MEASUREMENT ? add_measurement(b, &record->measurement, why)
                                                    : add_alarm(b, &record->alarm, why);
    if (result == -1 || b->failed) {
        bool failed = b->failed;
        buf_truncate(b, start);
        b->failed = failed;
    }
    return result;
}

bool
influx_line_is_database_name(struct slice name)
{
    if (name.n == 0 || name.n > 255 || slice_equal(name, SLICE(".")) ||
        slice_equal(name, SLICE("..")))
        return false;
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (c < 0x20 || c == 0x7f || c == '/' || c == '\\')
            return false;
    }
    return json_is_utf8(name.p, name.n);
}
