/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.c - see source.h: which kind of source is meant, and the name of the source in every text.
 *
 * Process: persister-perf.  Owner: struct source.  Concurrency: one thread.
 */
#include "perf/report/source.h"

#include <stdlib.h>

#include "perf/report/source_priv.h"

struct source {
    const struct source_ops *ops;
    char *specification;
    void *state; /* the kind's */
};

static const struct source_ops *const kinds[] = {&source_dropwizard_ops, &source_monasca_ops,
                                                 &source_segment_ops};

/* Returns: the kind of a specification, or NULL with a text; *place is what stands after the '='.
 */
static const struct source_ops *
find_kind(const char *specification, const char **place, struct errbuf *err)
{
    size_t n = strcspn(specification, "=");
    *place = specification[n] == '=' ? &specification[n + 1] : "";
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (strlen(kinds[i]->kind) != n || strncmp(kinds[i]->kind, specification, n) != 0)
            continue;
        if ((*place)[0] != '\0' || (kinds[i]->place == NULL && specification[n] == '\0'))
            return kinds[i];
        errbuf_set(err, "source \"%s\": wanted is %s=%s", specification, kinds[i]->kind,
                   kinds[i]->place != NULL ? kinds[i]->place : "URL, or monasca alone");
        return NULL;
    }
    errbuf_set(err,
               "source \"%s\" is of no known kind: there are dropwizard=http://HOST:PORT, "
               "monasca, monasca=URL and segment=INSTANCE",
               specification);
    return NULL;
}

struct source *
source_open(const char *specification, const struct source_options *options, struct errbuf *err)
{
    const char *place;
    const struct source_ops *ops = find_kind(specification, &place, err);
    if (ops == NULL)
        return NULL;
    struct source *s = calloc(1, sizeof(*s));
    if (s == NULL || (s->specification = strdup(specification)) == NULL) {
        free(s);
        errbuf_set(err, "out of memory");
        return NULL;
    }
    s->ops = ops;
    s->state = ops->open(place, options, err);
    if (s->state == NULL) {
        errbuf_prefix(err, "source \"%s\"", specification);
        source_close(&s);
    }
    return s;
}

bool
source_remembers(const struct source *source)
{
    return source->ops->remembers;
}

int
source_poll(struct source *source, struct errbuf *err)
{
    if (source->ops->poll(source->state, err) == -1)
        return errbuf_prefix(err, "%s", source->specification);
    return 0;
}

int
source_read(struct source *source, int64_t since_ms, int64_t until_ms, struct reading *reading,
            struct errbuf *err)
{
    *reading = (struct reading){.source = strdup(source->specification)};
    if (reading->source == NULL)
        return errbuf_set(err, "out of memory");
    if (source->ops->read(source->state, since_ms, until_ms, reading, err) == 0)
        return 0;
    reading_free(reading);
    return errbuf_prefix(err, "%s", source->specification);
}

void
source_close(struct source **source)
{
    struct source *s = *source;
    if (s == NULL)
        return;
    if (s->state != NULL)
        s->ops->close(s->state);
    free(s->specification);
    free(s);
    *source = NULL;
}
