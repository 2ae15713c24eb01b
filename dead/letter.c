/* SPDX-License-Identifier: Apache-2.0 */
/* letter.c - see letter.h. */
#include "dead/letter.h"

#include <stdio.h>
#include <stdlib.h>

#include "dead/when.h"
#include "lib/base64.h"
#include "lib/json.h"
#include "lib/num.h"

enum member {
    TOPIC,
    PARTITION,
    OFFSET,
    TIME,
    REASON,
    DETAIL,
    PAYLOAD,
    LAST_OFFSET, /* this and the next may be missing, as the detail may */
    BYTES,
    MEMBERS
};

static const struct {
    const char *name;
    enum json_type type;
} members[MEMBERS] = {
    [TOPIC] = {"topic", JSON_STRING},         [PARTITION] = {"partition", JSON_NUMBER},
    [OFFSET] = {"offset", JSON_NUMBER},       [TIME] = {"time", JSON_STRING},
    [REASON] = {"reason", JSON_STRING},       [DETAIL] = {"detail", JSON_STRING},
    [PAYLOAD] = {"payload", JSON_STRING},     [LAST_OFFSET] = {"last_offset", JSON_NUMBER},
    [BYTES] = {"payload_bytes", JSON_NUMBER},
};

void
letter_reader_free(struct letter_reader *reader)
{
    free(reader->room);
    *reader = (struct letter_reader){.size = 0};
}

/* --- names, numbers --- */

bool
letter_is_topic(struct slice name)
{
    if (name.n == 0 || name.n > LETTER_TOPIC_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            c != '.' && c != '_' && c != '-')
            return false;
    }
    return !slice_equal(name, SLICE(".")) && !slice_equal(name, SLICE(".."));
}

static bool
is_reason(struct slice name)
{
    if (name.n == 0 || name.n > LETTER_REASON_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_')
            return false;
    }
    return true;
}

static int
parse_number(struct slice text, int64_t max, int64_t *out)
{
    char copy[24];
    if (text.n >= sizeof(copy) || memchr(text.p, '\0', text.n) != NULL)
        return -1;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    return num_parse_int(copy, 0, max, out);
}

int
letter_parse_place(const char *text, struct slice *topic, int32_t *partition, int64_t *offset)
{
    const char *last = strrchr(text, '/');
    const char *first = last == NULL ? NULL : memrchr(text, '/', (size_t)(last - text));
    if (first == NULL)
        return -1;
    int64_t number;
    *topic = (struct slice){text, (size_t)(first - text)};
    if (!letter_is_topic(*topic) ||
        parse_number((struct slice){first + 1, (size_t)(last - first - 1)}, INT32_MAX, &number) ==
            -1 ||
        num_parse_int(last + 1, 0, INT64_MAX, offset) == -1)
        return -1;
    *partition = (int32_t)number;
    return 0;
}

/* --- ids --- */

__extension__ typedef unsigned __int128 hash128;

static hash128
add_bytes(hash128 hash, const void *bytes, size_t n)
{
    const hash128 prime = ((hash128)1 << 88) + 0x13b;
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ p[i]) * prime;
    return hash;
}

static hash128
add_number(hash128 hash, uint64_t number)
{
    for (int i = 0; i < 8; i++, number >>= 8)
        hash = add_bytes(hash, &(unsigned char){number & 0xff}, 1);
    return hash;
}

struct letter_id
letter_make_id(struct slice topic, int32_t partition, int64_t offset, struct slice payload)
{
    hash128 hash = (hash128)0x6c62272e07bb0142 << 64 | 0x62b821756295c58d;
    hash = add_bytes(hash, topic.p, topic.n);
    hash = add_number(add_bytes(hash, "", 1), (uint64_t)partition);
    hash = add_bytes(add_number(hash, (uint64_t)offset), payload.p, payload.n);
    return (struct letter_id){(uint64_t)(hash >> 64), (uint64_t)hash};
}

void
letter_format_id(struct letter_id id, char out[LETTER_ID_BYTES])
{
    snprintf(out, LETTER_ID_BYTES, "%016llx%016llx", (unsigned long long)id.high,
             (unsigned long long)id.low);
}

static int
parse_hex(const char *p, uint64_t *out)
{
    uint64_t v = 0;
    for (int i = 0; i < 16; i++) {
        char c = p[i];
        if (c >= '0' && c <= '9')
            v = v << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            v = v << 4 | (uint64_t)(c - 'a' + 10);
        else
            return -1;
    }
    *out = v;
    return 0;
}

int
letter_parse_id(struct slice text, struct letter_id *id)
{
    if (text.n != LETTER_ID_BYTES - 1)
        return -1;
    return parse_hex(text.p, &id->high) == -1 ? -1 : parse_hex(text.p + 16, &id->low);
}

/* --- the line --- */

static int
scan_fault(const struct json_scanner *s, struct errbuf *err)
{
    return errbuf_set(err, "not JSON: byte %zu: %s", (size_t)(s->p - s->start) + 1, s->fault_text);
}

/* Finds the members; the last of several of one name counts. */
static int
find_members(struct slice line, struct json_value *values, struct errbuf *err)
{
    struct json_scanner s;
    struct json_value name, value;
    int found;
    json_scanner_init(&s, line);
    if (json_peek_type(&s) != JSON_OBJECT)
        return errbuf_set(err, "not a JSON object");
    if (json_enter_object(&s) == -1)
        return scan_fault(&s, err);
    while ((found = json_next_member(&s, &name)) == 1) {
        if (json_scan_value(&s, &value) == -1)
            return scan_fault(&s, err);
        for (size_t i = 0; i < MEMBERS; i++)
            if (slice_equal(name.text, (struct slice){members[i].name, strlen(members[i].name)}))
                values[i] = value;
    }
    return found == -1 || json_scan_end(&s) == -1 ? scan_fault(&s, err) : 0;
}

static int
check_types(const struct json_value *values, struct errbuf *err)
{
    for (size_t i = 0; i < MEMBERS; i++) {
        if (values[i].type == JSON_ABSENT && (i == DETAIL || i > PAYLOAD))
            continue;
        if (values[i].type == JSON_ABSENT)
            return errbuf_set(err, "%s is missing", members[i].name);
        if (values[i].type != members[i].type)
            return errbuf_set(err, "%s is not a %s", members[i].name,
                              members[i].type == JSON_STRING ? "string" : "number");
    }
    return 0;
}

/* Unescapes a string into the room. */
static int
take_text(char **room, const struct json_value *value, struct slice *out)
{
    if (!value->escaped || value->type != JSON_STRING) {
        *out = value->type == JSON_STRING ? value->text : (struct slice){NULL, 0};
        return 0;
    }
    size_t n;
    if (json_unescape(value->text, *room, &n) == -1)
        return -1;
    *out = (struct slice){*room, n};
    *room += n;
    return 0;
}

static int
take_members(char *room, const struct json_value *values, struct letter *l, struct errbuf *err)
{
    int64_t partition;
    struct slice time, base64;
    if (take_text(&room, &values[TOPIC], &l->topic) == -1 || !letter_is_topic(l->topic))
        return errbuf_set(err, "topic is no name of a Kafka topic");
    if (parse_number(values[PARTITION].text, INT32_MAX, &partition) == -1)
        return errbuf_set(err, "partition is no whole number from 0 to %d", INT32_MAX);
    l->partition = (int32_t)partition;
    if (parse_number(values[OFFSET].text, INT64_MAX, &l->offset) == -1)
        return errbuf_set(err, "offset is no whole number from 0 to %lld", (long long)INT64_MAX);
    l->last_offset = l->offset;
    l->partial = values[LAST_OFFSET].type != JSON_ABSENT;
    if (l->partial && (parse_number(values[LAST_OFFSET].text, INT64_MAX, &l->last_offset) == -1 ||
                       l->last_offset < l->offset))
        return errbuf_set(err, "last_offset is no whole number from the offset on");
    if (values[BYTES].type != JSON_ABSENT && parse_number(values[BYTES].text, INT64_MAX, &l->bytes))
        return errbuf_set(err, "payload_bytes is no whole number from 0 on");
    l->partial = l->partial || values[BYTES].type != JSON_ABSENT;
    if (take_text(&room, &values[TIME], &time) == -1 || when_parse_iso(time, &l->time_ms) == -1)
        return errbuf_set(err, "time is no ISO 8601 time in UTC");
    if (take_text(&room, &values[REASON], &l->reason) == -1 || !is_reason(l->reason))
        return errbuf_set(err, "reason is no name of a reason");
    if (take_text(&room, &values[DETAIL], &l->detail) == -1)
        return errbuf_set(err, "detail is no text");
    if (take_text(&room, &values[PAYLOAD], &base64) == -1 ||
        base64_decode(base64, room, &l->payload.n) == -1)
        return errbuf_set(err, "payload is not base64");
    l->payload.p = room;
    return 0;
}

/* All that is unescaped and decoded is shorter than the line it is in. */
static int
grow_room(struct letter_reader *reader, size_t n, struct errbuf *err)
{
    if (n < reader->size)
        return 0;
    free(reader->room);
    reader->size = n + n / 4 + 4096;
    reader->room = malloc(reader->size);
    if (reader->room != NULL)
        return 0;
    reader->size = 0;
    return errbuf_set(err, "out of memory for a line of %zu bytes", n);
}

int
letter_parse(struct letter_reader *reader, struct slice line, struct letter *letter,
             struct errbuf *err)
{
    struct json_value values[MEMBERS] = {{.type = JSON_ABSENT}};
    *letter = (struct letter){.partition = 0};
    if (line.n == 0)
        return errbuf_set(err, "an empty line");
    if (find_members(line, values, err) == -1 || check_types(values, err) == -1 ||
        grow_room(reader, line.n, err) == -1 ||
        take_members(reader->room, values, letter, err) == -1)
        return -1;
    letter->id = letter_make_id(letter->topic, letter->partition, letter->offset, letter->payload);
    return 0;
}
