/* SPDX-License-Identifier: Apache-2.0 */
/* judge.c - see judge.h. */
#include "dead/judge.h"

#include <stdlib.h>

#include "record/decode.h"

enum { MESSAGE_BYTES = 1048576 }; /* [persister] max_message_bytes by default */

struct judge {
    const struct config *cfg;
    struct decoder *decoder;
};

struct judge *
judge_new(const struct config *cfg)
{
    struct judge *j = calloc(1, sizeof(*j));
    if (j == NULL)
        return NULL;
    j->cfg = cfg;
    j->decoder =
        decoder_new(cfg == NULL ? MESSAGE_BYTES : (size_t)cfg->persister.max_message_bytes);
    if (j->decoder == NULL)
        judge_free(&j);
    return j;
}

void
judge_free(struct judge **judge)
{
    if (*judge == NULL)
        return;
    decoder_free(&(*judge)->decoder);
    free(*judge);
    *judge = NULL;
}

enum topic_kind
judge_find_kind(const struct config *cfg, struct slice topic)
{
    static const char *const by_default[] = {
        [TOPIC_METRICS] = "metrics", [TOPIC_ALARM_HISTORY] = "alarm-state-transitions"};
    for (enum topic_kind kind = 0; kind < COUNT_OF(by_default); kind++) {
        const char *name = cfg == NULL ? by_default[kind] : cfg->topic[kind].topic;
        if (slice_equal(topic, (struct slice){name, strlen(name)}))
            return kind;
    }
    return TOPIC_KINDS;
}

enum verdict
judge_letter(struct judge *judge, const struct letter *letter, struct reject *why)
{
    struct record record;
    enum topic_kind kind = judge_find_kind(judge->cfg, letter->topic);
    if (kind == TOPIC_KINDS || letter->partial)
        return VERDICT_UNKNOWN;
    return decoder_decode(judge->decoder, kind, letter->payload, &record, why) == -1
               ? VERDICT_REJECTED
               : VERDICT_ACCEPTED;
}
