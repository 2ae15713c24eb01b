/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfg_same.c - what differs between two configurations: who has to be replaced at a reload, and
 * what cannot change without a restart.
 *
 * Process: the master.  Owner: the caller.  Concurrency: one thread.
 */
#include "conf/cfg_priv.h"

static bool
is_same_value(const struct config *a, const struct config *b, const struct cfg_option *o)
{
    const char *x = (const char *)a + o->offset, *y = (const char *)b + o->offset;
    switch (o->type) {
    case CFG_TYPE_string:
        return strcmp(*(const cfg_string *)(const void *)x, *(const cfg_string *)(const void *)y) ==
               0;
    case CFG_TYPE_int:
        return *(const cfg_int *)(const void *)x == *(const cfg_int *)(const void *)y;
    case CFG_TYPE_bool:
        return *(const cfg_bool *)(const void *)x == *(const cfg_bool *)(const void *)y;
    }
    return false;
}

static bool
has_same_properties(const struct config *a, const struct config *b)
{
    if (a->n_properties != b->n_properties)
        return false;
    for (size_t i = 0; i < a->n_properties; i++)
        if (strcmp(a->properties[i].name, b->properties[i].name) != 0 ||
            strcmp(a->properties[i].value, b->properties[i].value) != 0)
            return false;
    return true;
}

static bool
has_same_section(const struct config *a, const struct config *b, const char *section, int but_flags)
{
    for (size_t i = 0; i < cfg_n_options; i++)
        if (strcmp(cfg_options[i].section, section) == 0 &&
            (cfg_options[i].flags & but_flags) == 0 && !is_same_value(a, b, &cfg_options[i]))
            return false;
    return true;
}

static const char *
store_section(const struct config *cfg, enum topic_kind kind)
{
    switch (cfg_topic_driver(cfg, kind)) {
    case DRIVER_INFLUXDB:
        return "influxdb";
    case DRIVER_POSTGRESQL:
        return "postgresql";
    case DRIVER_CASSANDRA:
        return "cassandra";
    case DRIVER_DISCARD:
        break;
    }
    return "";
}

/* How many workers there are concerns none of them. */
static bool
has_same_topic(const struct config *a, const struct config *b, enum topic_kind kind)
{
    for (size_t i = 0; i < cfg_n_options; i++)
        if (strcmp(cfg_options[i].section, cfg_topic_section(kind)) == 0 &&
            strcmp(cfg_options[i].name, "num_processors") != 0 &&
            strcmp(cfg_options[i].name, "enabled") != 0 && !is_same_value(a, b, &cfg_options[i]))
            return false;
    return true;
}

bool
cfg_same_for_workers(const struct config *a, const struct config *b, enum topic_kind kind)
{
    /* The topic's section has what it inherits from [kafka]. */
    return has_same_topic(a, b, kind) && has_same_properties(a, b) &&
           cfg_topic_driver(a, kind) == cfg_topic_driver(b, kind) &&
           has_same_section(a, b, store_section(a, kind), CFG_RELOAD) &&
           has_same_section(a, b, "persister", CFG_RELOAD) &&
           has_same_section(a, b, "dead_letter", CFG_RELOAD);
}

bool
cfg_same_section(const struct config *a, const struct config *b, const char *section)
{
    return has_same_section(a, b, section, 0);
}

bool
cfg_same(const struct config *a, const struct config *b)
{
    for (size_t i = 0; i < cfg_n_options; i++)
        if (!is_same_value(a, b, &cfg_options[i]))
            return false;
    return has_same_properties(a, b);
}

int
cfg_check_reload(const struct config *now, const struct config *next, struct errbuf *err)
{
    for (size_t i = 0; i < cfg_n_options; i++) {
        const struct cfg_option *o = &cfg_options[i];
        if (!(o->flags & CFG_FIXED) || is_same_value(now, next, o))
            continue;
        const void *was = (const char *)now + o->offset, *is = (const char *)next + o->offset;
        return errbuf_set(
            err, "%s: [%s] %s: '%.100s' cannot take the place of '%.100s' without a restart",
            next->file, o->section, o->name, *(const cfg_string *)is, *(const cfg_string *)was);
    }
    return 0;
}
