/* SPDX-License-Identifier: Apache-2.0 */
/* cql_frame.c - see cql_frame.h. */
#include "cql/cql_frame.h"

#include <strings.h>

enum {
    FLAG_TRACING = 0x02,
    FLAG_PAYLOAD = 0x04,
    FLAG_WARNING = 0x08,
    QUERY_VALUES = 0x01,
    QUERY_SKIP_METADATA = 0x02,
    ROWS_GLOBAL = 0x01,
    ROWS_MORE_PAGES = 0x02,
    ROWS_NO_METADATA = 0x04,
    MAX_COLUMNS = 4096,
    MAX_TYPE_DEPTH = 16
};

/* --- numbers --- */

static void
set_bytes(char *p, uint64_t value, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        p[i] = (char)(value >> 8 * (n - 1 - i));
}

static void
put_number(struct buf *out, uint64_t value, unsigned n)
{
    char bytes[8];
    set_bytes(bytes, value, n);
    buf_add(out, bytes, n);
}

static uint64_t
get_number(const char *p, unsigned n)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < n; i++)
        value = value << 8 | (unsigned char)p[i];
    return value;
}

void
cql_set_bigint(char *p, int64_t value)
{
    set_bytes(p, (uint64_t)value, 8);
}

static const struct {
    const char *name;
    enum cql_consistency number;
} levels[] = {{"ANY", CQL_ANY},
              {"ONE", CQL_ONE},
              {"TWO", CQL_TWO},
              {"THREE", CQL_THREE},
              {"QUORUM", CQL_QUORUM},
              {"ALL", CQL_ALL},
              {"LOCAL_QUORUM", CQL_LOCAL_QUORUM},
              {"EACH_QUORUM", CQL_EACH_QUORUM},
              {"LOCAL_ONE", CQL_LOCAL_ONE}};

int
cql_consistency_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(levels); i++)
        if (strcasecmp(levels[i].name, name) == 0)
            return (int)levels[i].number;
    return -1;
}

/* --- requests --- */

static size_t
begin_frame(struct buf *out, int16_t stream, enum cql_opcode opcode)
{
    size_t at = out->size;
    put_number(out, CQL_VERSION, 1);
    put_number(out, 0, 1);
    put_number(out, (uint16_t)stream, 2);
    put_number(out, opcode, 1);
    put_number(out, 0, 4);
    return at;
}

static void
end_frame(struct buf *out, size_t at)
{
    if (!out->failed)
        set_bytes(out->data + at + 5, out->size - at - CQL_HEADER_BYTES, 4);
}

static void
put_text(struct buf *out, struct slice text, unsigned length_bytes)
{
    if (length_bytes == 2 && text.n > UINT16_MAX) {
        out->failed = true;
        return;
    }
    put_number(out, text.n, length_bytes);
    buf_add_slice(out, text);
}

void
cql_put_startup(struct buf *out, int16_t stream)
{
    size_t frame = begin_frame(out, stream, CQL_STARTUP);
    put_number(out, 1, 2);
    put_text(out, SLICE("CQL_VERSION"), 2);
    put_text(out, SLICE("3.0.0"), 2);
    end_frame(out, frame);
}

/* RFC 4616: no authorization identity, the name, the password. */
void
cql_put_plain(struct buf *out, int16_t stream, const char *user, const char *password)
{
    size_t frame = begin_frame(out, stream, CQL_AUTH_RESPONSE);
    put_number(out, strlen(user) + strlen(password) + 2, 4);
    buf_add_char(out, '\0');
    buf_add_text(out, user);
    buf_add_char(out, '\0');
    buf_add_text(out, password);
    end_frame(out, frame);
}

void
cql_put_query(struct buf *out, int16_t stream, enum cql_consistency consistency,
              struct slice statement)
{
    size_t frame = begin_frame(out, stream, CQL_QUERY);
    put_text(out, statement, 4);
    put_number(out, consistency, 2);
    put_number(out, 0, 1);
    end_frame(out, frame);
}

void
cql_put_prepare(struct buf *out, int16_t stream, struct slice statement)
{
    size_t frame = begin_frame(out, stream, CQL_PREPARE);
    put_text(out, statement, 4);
    end_frame(out, frame);
}

void
cql_put_execute(struct buf *out, int16_t stream, enum cql_consistency consistency, struct slice id,
                unsigned n_values, struct slice values)
{
    size_t frame = begin_frame(out, stream, CQL_EXECUTE);
    put_text(out, id, 2);
    put_number(out, consistency, 2);
    put_number(out, QUERY_VALUES | QUERY_SKIP_METADATA, 1);
    put_number(out, n_values, 2);
    buf_add_slice(out, values);
    end_frame(out, frame);
}

void
cql_batch_begin(struct cql_batch *batch, struct buf *out, int16_t stream)
{
    *batch = (struct cql_batch){.out = out, .frame = begin_frame(out, stream, CQL_BATCH)};
    put_number(out, 1, 1); /* UNLOGGED */
    batch->count_at = out->size;
    put_number(out, 0, 2);
}

void
cql_batch_add(struct cql_batch *batch, struct slice id, unsigned n_values, struct slice values)
{
    put_number(batch->out, 1, 1); /* a prepared one */
    put_text(batch->out, id, 2);
    put_number(batch->out, n_values, 2);
    buf_add_slice(batch->out, values);
    batch->n++;
}

void
cql_batch_end(struct cql_batch *batch, enum cql_consistency consistency)
{
    assert(batch->n <= UINT16_MAX);
    put_number(batch->out, consistency, 2);
    put_number(batch->out, 0, 1);
    if (!batch->out->failed)
        set_bytes(batch->out->data + batch->count_at, batch->n, 2);
    end_frame(batch->out, batch->frame);
}

void
cql_put_value(struct buf *out, struct slice bytes)
{
    if (bytes.n > INT32_MAX)
        out->failed = true;
    else
        put_text(out, bytes, 4);
}

void
cql_put_length(struct buf *out, size_t n)
{
    put_number(out, n, 4);
    out->failed |= n > INT32_MAX;
}

void
cql_put_bigint(struct buf *out, int64_t value)
{
    put_number(out, 8, 4);
    put_number(out, (uint64_t)value, 8);
}

void
cql_put_double(struct buf *out, double value)
{
    uint64_t bits;
    static_assert(sizeof(bits) == sizeof(value), "IEEE 754");
    memcpy(&bits, &value, sizeof(bits));
    put_number(out, 8, 4);
    put_number(out, bits, 8);
}

size_t
cql_list_begin(struct buf *out, uint32_t n)
{
    size_t at = out->size;
    put_number(out, 0, 4);
    put_number(out, n, 4);
    return at;
}

void
cql_list_end(struct buf *out, size_t began)
{
    if (!out->failed)
        set_bytes(out->data + began, out->size - began - 4, 4);
}

/* --- answers --- */

int
cql_header_parse(const char *bytes, struct cql_header *header)
{
    uint32_t length = (uint32_t)get_number(bytes + 5, 4);
    *header = (struct cql_header){.version = bytes[0] & 0x7f,
                                  .flags = (uint8_t)bytes[1],
                                  .stream = (int16_t)get_number(bytes + 2, 2),
                                  .opcode = (uint8_t)bytes[4],
                                  .length = length};
    if ((bytes[0] & 0x80) == 0 || length > INT32_MAX)
        return -1;
    /* A server that does not speak this version says so in its own. */
    return header->version == CQL_VERSION || header->opcode == CQL_ERROR ? 0 : -1;
}

static const char *
take(struct cql_reader *r, size_t n)
{
    if (r->bad || n > r->n) {
        r->bad = true;
        return NULL;
    }
    const char *p = r->p;
    r->p += n;
    r->n -= n;
    return p;
}

static uint64_t
take_number(struct cql_reader *r, unsigned n)
{
    const char *p = take(r, n);
    return p != NULL ? get_number(p, n) : 0;
}

/* [string] or [short bytes] with 2, [bytes] with 4, whose length is below 0 for null. */
static struct slice
take_text(struct cql_reader *r, unsigned length_bytes)
{
    uint64_t n = take_number(r, length_bytes);
    if (r->bad || (length_bytes == 4 && n > INT32_MAX))
        return (struct slice){NULL, 0};
    const char *p = take(r, n);
    return (struct slice){p, p != NULL ? n : 0};
}

/* [string list] */
static void
take_warnings(struct cql_reader *r, struct cql_answer *answer)
{
    uint64_t n = take_number(r, 2);
    for (uint64_t i = 0; i < n && !r->bad; i++) {
        struct slice text = take_text(r, 2);
        if (i == 0)
            answer->warning = text;
    }
    answer->n_warnings = (unsigned)n;
}

/* [bytes map] */
static void
skip_payload(struct cql_reader *r)
{
    uint64_t n = take_number(r, 2);
    for (uint64_t i = 0; i < n && !r->bad; i++) {
        (void)take_text(r, 2);
        (void)take_text(r, 4);
    }
}

/* Types that may still be in nested ones are a number to be passed over, so nothing recurses. */
static void
skip_type(struct cql_reader *r)
{
    uint64_t left = 1;
    for (unsigned steps = 0; left > 0 && !r->bad; steps++) {
        uint64_t type = take_number(r, 2), n;
        left--;
        if (steps > MAX_COLUMNS) {
            r->bad = true;
        } else if (type == 0x00) { /* custom */
            (void)take_text(r, 2);
        } else if (type == 0x20 || type == 0x22) { /* list, set */
            left += 1;
        } else if (type == 0x21) { /* map */
            left += 2;
        } else if (type == 0x31) { /* tuple */
            left += take_number(r, 2);
        } else if (type == 0x30) { /* a user's type: its fields have names */
            (void)take_text(r, 2);
            (void)take_text(r, 2);
            n = take_number(r, 2);
            for (uint64_t i = 0; i < n && !r->bad; i++) {
                (void)take_text(r, 2);
                if (take_number(r, 2) >= 0x20) /* nobody of ours asks for such */
                    r->bad = true;
            }
        }
    }
}

static void
skip_table(struct cql_reader *r)
{
    (void)take_text(r, 2);
    (void)take_text(r, 2);
}

/* Returns: the number of columns. */
static uint32_t
skip_metadata(struct cql_reader *r, bool prepared)
{
    uint64_t flags = take_number(r, 4), n = take_number(r, 4);
    if (n > MAX_COLUMNS)
        r->bad = true;
    if (prepared) {
        uint64_t n_keys = take_number(r, 4);
        if (n_keys > MAX_COLUMNS)
            r->bad = true;
        (void)take(r, n_keys * 2);
    }
    if (flags & ROWS_MORE_PAGES)
        (void)take_text(r, 4);
    if (flags & ROWS_NO_METADATA)
        return (uint32_t)n;
    if (flags & ROWS_GLOBAL)
        skip_table(r);
    for (uint64_t i = 0; i < n && !r->bad; i++) {
        if ((flags & ROWS_GLOBAL) == 0)
            skip_table(r);
        (void)take_text(r, 2);
        skip_type(r);
    }
    return (uint32_t)n;
}

static void
take_result(struct cql_reader *r, struct cql_answer *answer)
{
    uint64_t kind = take_number(r, 4);
    answer->kind = CQL_IS_DONE;
    if (kind == 2) {
        answer->kind = CQL_IS_ROWS;
        answer->rows.n_columns = skip_metadata(r, false);
        answer->rows.n_rows = (uint32_t)take_number(r, 4);
        answer->rows.at = *r;
    } else if (kind == 4) {
        answer->kind = CQL_IS_PREPARED;
        answer->id = take_text(r, 2);
        answer->n_parameters = skip_metadata(r, true);
        if (answer->id.n == 0 || answer->id.n > CQL_ID_BYTES)
            r->bad = true;
    } else if (kind == 0 || kind > 5) {
        r->bad = true;
    }
}

static enum cql_fault
classify(uint32_t code)
{
    switch (code) {
    case 0x1001: /* overloaded */
    case 0x1100: /* write timeout */
    case 0x1200: /* read timeout */
        return CQL_FAULT_BUSY;
    case 0x2000: /* syntax */
    case 0x2200: /* invalid */
    case 0x2300: /* configuration */
        return CQL_FAULT_INVALID;
    case 0x0100: /* bad credentials */
    case 0x2100: /* unauthorized */
        return CQL_FAULT_DENIED;
    case 0x2400:
        return CQL_FAULT_EXISTS;
    case 0x2500:
        return CQL_FAULT_UNPREPARED;
    default:
        return CQL_FAULT_WORLD;
    }
}

static void
take_error(struct cql_reader *r, struct cql_answer *answer)
{
    answer->kind = CQL_IS_ERROR;
    answer->code = (uint32_t)take_number(r, 4);
    struct slice message = take_text(r, 2);
    if (message.n > 0)
        answer->message = message;
    if (message.n > CQL_MESSAGE_BYTES)
        answer->message.n = CQL_MESSAGE_BYTES;
    answer->fault = classify(answer->code);
    if (answer->fault == CQL_FAULT_UNPREPARED)
        answer->id = take_text(r, 2);
}

int
cql_answer_parse(const struct cql_header *header, const char *body, struct cql_answer *answer)
{
    struct cql_reader r = {.p = body, .n = header->length};
    *answer = (struct cql_answer){.kind = CQL_IS_OTHER, .message = {"", 0}};
    if (header->flags & FLAG_TRACING)
        (void)take(&r, 16);
    if (header->flags & FLAG_WARNING)
        take_warnings(&r, answer);
    if (header->flags & FLAG_PAYLOAD)
        skip_payload(&r);
    switch (header->opcode) {
    case CQL_ERROR:
        take_error(&r, answer);
        break;
    case CQL_READY:
        answer->kind = CQL_IS_READY;
        break;
    case CQL_AUTHENTICATE:
        answer->kind = CQL_IS_AUTHENTICATE;
        break;
    case CQL_AUTH_CHALLENGE:
        answer->kind = CQL_IS_CHALLENGE;
        break;
    case CQL_AUTH_SUCCESS:
        answer->kind = CQL_IS_AUTHENTICATED;
        break;
    case CQL_RESULT:
        take_result(&r, answer);
        break;
    case CQL_EVENT:
        answer->kind = CQL_IS_EVENT;
        break;
    default:
        break;
    }
    return r.bad ? -1 : 0;
}

bool
cql_rows_next(struct cql_rows *rows, struct slice *values, size_t n)
{
    if (rows->n_rows == 0)
        return false;
    rows->n_rows--;
    for (size_t i = 0; i < n; i++)
        values[i] = (struct slice){NULL, 0};
    for (uint32_t i = 0; i < rows->n_columns && !rows->at.bad; i++) {
        struct slice value = take_text(&rows->at, 4);
        if (i < n)
            values[i] = value;
    }
    /* Rows without bytes would be without end. */
    return !rows->at.bad && rows->n_columns > 0;
}

bool
cql_get_bigint(struct slice value, int64_t *out)
{
    if (value.p == NULL || value.n != 8)
        return false;
    *out = (int64_t)get_number(value.p, 8);
    return true;
}

uint32_t
cql_get_list(struct slice value, struct cql_reader *elements)
{
    *elements = (struct cql_reader){.p = value.p, .n = value.n, .bad = value.p == NULL};
    return (uint32_t)take_number(elements, 4);
}

bool
cql_list_next(struct cql_reader *elements, struct slice *element)
{
    if (elements->bad || elements->n == 0)
        return false;
    *element = take_text(elements, 4);
    return !elements->bad;
}
