/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfg_hosts.c - the options that name hosts: what would be looked up in vain for ever is refused.
 *
 * Process: the master, before any fork.  Owner: the caller's structures.  Concurrency: one thread.
 */
#include "conf/cfg_priv.h"

#include <stdio.h>

#include "lib/host.h"

/* Takes: where text is one of a list, its place in it, from 1; else 0. */
static int
fail(const struct cfg_loading *l, size_t i, const char *text, unsigned nth, const char *fault,
     const char *allowed)
{
    char what[400], subject[160] = "it";
    if (text[0] == '\0')
        snprintf(what, sizeof(what), "must be set; allowed: %s", allowed);
    else {
        if (cfg_may_quote(l, i))
            snprintf(subject, sizeof(subject), "'%.150s'", text);
        else if (nth > 0)
            snprintf(subject, sizeof(subject), "number %u", nth);
        snprintf(what, sizeof(what), "%s %s; allowed: %s", subject, fault, allowed);
    }
    return cfg_fail_option(l, i, what);
}

static size_t
find_option(const char *section, const char *name)
{
    int i = cfg_find_option(section, name);
    assert(i != -1);
    return (size_t)i;
}

/* Brackets are understood, and taken off. */
static int
check_host(const struct cfg_loading *l, const char *section, const char *name, char *text,
           const char *allowed)
{
    host_strip_brackets(text);
    const char *fault = host_find_fault(text);
    return fault == NULL ? 0 : fail(l, find_option(section, name), text, 0, fault, allowed);
}

/* The list comes without blanks and empty elements. */
static int
check_brokers(const struct cfg_loading *l, enum topic_kind kind)
{
    const char *p = l->cfg->topic[kind].uri;
    for (unsigned nth = 1; *p != '\0'; nth++) {
        char broker[512];
        size_t n = strcspn(p, ",");
        snprintf(broker, sizeof(broker), "%.*s", (int)n, p);
        const char *fault = n >= sizeof(broker) ? "is longer than a name can be"
                                                : host_find_broker_fault(broker);
        if (fault != NULL)
            return fail(l, find_option(cfg_topic_section(kind), "uri"), broker, nth, fault,
                        "HOST:PORT, several separated by commas");
        p += n + (p[n] == ',');
    }
    return 0;
}

int
cfg_check_hosts(const struct cfg_loading *l)
{
    struct config *cfg = l->cfg;
    bool influxdb = false;
    for (enum topic_kind kind = 0; kind < TOPIC_EVENTS; kind++) {
        if (!cfg->topic[kind].enabled)
            continue;
        influxdb |= cfg_topic_driver(cfg, kind) == DRIVER_INFLUXDB;
        if (check_brokers(l, kind) == -1)
            return -1;
    }
    if (influxdb && check_host(l, "influxdb", "ip_address", cfg->influxdb.ip_address,
                               "an address or a name; port, ssl, user and password are options of their "
                               "own") == -1)
        return -1;
    if (cfg->statsd.enabled && check_host(l, "statsd", "host", cfg->statsd.host,
                                          "an address or a name; port is an option") == -1)
        return -1;
    return !cfg->admin.enabled
               ? 0
               : check_host(l, "admin", "bind", cfg->admin.bind,
                            "an address or a name of this host (0.0.0.0 and :: are all of them); "
                            "port is an option");
}
