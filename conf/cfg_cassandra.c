/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfg_cassandra.c - what no single option of [cassandra] can tell, where it is a store that is used.
 *
 * Process: the master, before any fork.  Owner: the caller's structures.  Concurrency: one thread.
 */
#include "conf/cfg_priv.h"

#include <stdio.h>
#include <strings.h>

#include "lib/host.h"

static int
fail(const struct cfg_loading *l, const char *name, const char *what)
{
    int i = cfg_find_option("cassandra", name);
    assert(i != -1);
    return cfg_fail_option(l, (size_t)i, what);
}

static int
check_contact_points(const struct cfg_loading *l)
{
    const char *p = l->cfg->cassandra.contact_points;
    unsigned n = 0;
    while (p[strspn(p, ", \t")] != '\0') {
        char host[512], what[400];
        p += strspn(p, ", \t");
        size_t length = strcspn(p, ", \t");
        snprintf(host, sizeof(host), "%.*s", (int)length, p);
        const char *fault = length >= sizeof(host) ? "is longer than a name can be"
                                                   : host_find_fault(host);
        snprintf(what, sizeof(what),
                 "number %u %s; allowed: addresses or names, separated by commas; port, user and "
                 "password are options of their own",
                 ++n, fault != NULL ? fault : "");
        if (fault != NULL)
            return fail(l, "contact_points", what);
        p += length;
    }
    return n > 0 ? 0
                 : fail(l, "contact_points",
                        "must be set; allowed: addresses or names, separated by commas");
}

static int
check_consistency(const struct cfg_loading *l)
{
    static const char *const levels[] = {"ANY", "ONE",          "TWO",         "THREE",    "QUORUM",
                                         "ALL", "LOCAL_QUORUM", "EACH_QUORUM", "LOCAL_ONE"};
    for (size_t i = 0; i < COUNT_OF(levels); i++)
        if (strcasecmp(l->cfg->cassandra.consistency_level, levels[i]) == 0)
            return 0;
    return fail(l, "consistency_level",
                "allowed: ANY, ONE, TWO, THREE, QUORUM, ALL, LOCAL_ONE, LOCAL_QUORUM, EACH_QUORUM");
}

/* It stands in statements: a name is quoted there, this is not. */
static int
check_replication(const struct cfg_loading *l)
{
    const char *text = l->cfg->cassandra.replication;
    size_t n = strlen(text);
    if (n == 0 || (text[0] == '{' && text[n - 1] == '}' && n < 1024 && strchr(text, ';') == NULL))
        return 0;
    return fail(l, "replication",
                "allowed: a map of CQL's, as {'class': 'NetworkTopologyStrategy', 'dc1': 3}");
}

static int
check_keyspace(const struct cfg_loading *l)
{
    const char *name = l->cfg->cassandra.keyspace;
    size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
    return n >= 1 && n <= 48 && name[n] == '\0'
               ? 0
               : fail(l, "keyspace", "allowed: 1 to 48 letters, digits, _");
}

static void
tell(const struct cfg_loading *l, const char *what)
{
    char text[1024];
    if (l->notice == NULL)
        return;
    snprintf(text, sizeof(text), "%s: [cassandra] %s", l->cfg->file, what);
    l->notice(text);
}

static bool
is_local(const char *hosts)
{
    return strchr(hosts, ',') == NULL &&
           (strncmp(hosts, "127.", 4) == 0 || strcmp(hosts, "localhost") == 0 ||
            strcmp(hosts, "::1") == 0);
}

static void
tell_risks(const struct cfg_loading *l)
{
    const struct config *cfg = l->cfg;
    int port = cfg_find_option("cassandra", "port");
    assert(port != -1);
    if (l->raw[port].text == NULL)
        tell(l, "port is not set: 9042, where a node listens; the Python persister's default is "
                "8086, InfluxDB's");
    if (cfg->cassandra.tls && !cfg->cassandra.verify)
        tell(l, "verify is off: whoever answers as a node gets the password and the data");
    if (!cfg->cassandra.tls && cfg->cassandra.user[0] != '\0' &&
        cfg->cassandra.password[0] != '\0' && !is_local(cfg->cassandra.contact_points))
        tell(l, "tls is off: the password goes to the nodes in clear, and so does the data");
}

int
cfg_check_cassandra(const struct cfg_loading *l)
{
    const struct config *cfg = l->cfg;
    bool used = false;
    for (enum topic_kind kind = 0; kind < TOPIC_EVENTS; kind++)
        used |= cfg->topic[kind].enabled && cfg_topic_driver(cfg, kind) == DRIVER_CASSANDRA;
    if (!used)
        return 0;
    if (check_contact_points(l) == -1 || check_keyspace(l) == -1 || check_consistency(l) == -1 ||
        check_replication(l) == -1)
        return -1;
    tell_risks(l);
    return 0;
}
