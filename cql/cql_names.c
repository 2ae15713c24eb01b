/* SPDX-License-Identifier: Apache-2.0 */
/* cql_names.c - see cql_names.h. */
#include "cql/cql_names.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/job.h"

/* What the helper thread works on. */
struct asking {
    char *hosts;
    int port;
    struct cql_address addresses[CQL_ADDRESSES];
    int n;
    char fault[CQL_HOST_BYTES + 128];
};

struct cql_names {
    char *hosts;
    int port;
    struct jobs *jobs;
    struct job *job, *last; /* under way; the one whose answer is in use */
};

struct cql_names *
cql_names_new(const char *hosts, int port)
{
    struct cql_names *names = calloc(1, sizeof(*names));
    if (names == NULL)
        return NULL;
    names->hosts = strdup(hosts);
    names->port = port;
    names->jobs = jobs_new("names");
    if (names->hosts == NULL || names->jobs == NULL)
        cql_names_free(&names);
    return names;
}

void
cql_names_free(struct cql_names **names)
{
    struct cql_names *n = *names;
    if (n == NULL)
        return;
    if (n->job != NULL)
        job_release(&n->job);
    if (n->last != NULL)
        job_release(&n->last);
    if (n->jobs != NULL)
        jobs_abandon(&n->jobs);
    free(n->hosts);
    free(n);
    *names = NULL;
}

static void
free_asking(void *arg)
{
    struct asking *a = arg;
    free(a->hosts);
    free(a);
}

static void
add_host(struct asking *a, const char *host)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *list;
    char service[8];
    snprintf(service, sizeof(service), "%d", a->port);
    int error = getaddrinfo(host, service, &hints, &list);
    if (error != 0) {
        snprintf(a->fault, sizeof(a->fault), "%s: %s", host, gai_strerror(error));
        return;
    }
    for (const struct addrinfo *i = list; i != NULL && a->n < CQL_ADDRESSES; i = i->ai_next) {
        struct cql_address *address = &a->addresses[a->n];
        if (i->ai_addrlen > sizeof(address->v6))
            continue;
        memcpy(&address->any, i->ai_addr, i->ai_addrlen);
        address->n = i->ai_addrlen;
        snprintf(address->host, sizeof(address->host), "%s", host);
        a->n++;
    }
    freeaddrinfo(list);
}

/* On the helper thread. */
static void
resolve(void *arg)
{
    struct asking *a = arg;
    for (const char *p = a->hosts; *p != '\0';) {
        char host[CQL_HOST_BYTES];
        p += strspn(p, ", ");
        size_t n = strcspn(p, ", ");
        snprintf(host, sizeof(host), "%.*s", n < sizeof(host) ? (int)n : 0, p);
        if (host[0] != '\0')
            add_host(a, host);
        p += n;
    }
}

int
cql_names_ask(struct cql_names *names)
{
    if (names->job != NULL)
        return 0;
    struct asking *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return -1;
    a->port = names->port;
    a->hosts = strdup(names->hosts);
    if (a->hosts != NULL)
        names->job = job_start(names->jobs, resolve, free_asking, a);
    if (names->job != NULL)
        return 0;
    free_asking(a);
    return -1;
}

int
cql_names_fd(const struct cql_names *names)
{
    return jobs_fd(names->jobs);
}

int
cql_names_take(struct cql_names *names, const struct cql_address **addresses, const char **fault)
{
    jobs_clear(names->jobs);
    if (names->job == NULL || !job_has_ended(names->job))
        return -1;
    if (names->last != NULL)
        job_release(&names->last);
    names->last = names->job;
    names->job = NULL;
    const struct asking *a = job_arg(names->last);
    *addresses = a->addresses;
    *fault = a->fault;
    return a->n;
}

int
cql_address_set(struct cql_address *address, struct slice bytes, int port)
{
    *address = (struct cql_address){.n = 0};
    if (bytes.n == 4) {
        address->v4.sin_family = AF_INET;
        address->v4.sin_port = htons((uint16_t)port);
        memcpy(&address->v4.sin_addr, bytes.p, 4);
        address->n = sizeof(address->v4);
    } else if (bytes.n == 16) {
        address->v6.sin6_family = AF_INET6;
        address->v6.sin6_port = htons((uint16_t)port);
        memcpy(&address->v6.sin6_addr, bytes.p, 16);
        address->n = sizeof(address->v6);
    } else {
        return -1;
    }
    const void *in = bytes.n == 4 ? (const void *)&address->v4.sin_addr : &address->v6.sin6_addr;
    return inet_ntop(address->any.sa_family, in, address->host, sizeof(address->host)) != NULL ? 0
                                                                                             : -1;
}

bool
cql_address_equal(const struct cql_address *a, const struct cql_address *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return false;
    if (a->any.sa_family == AF_INET)
        return a->v4.sin_port == b->v4.sin_port &&
               a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    return a->v6.sin6_port == b->v6.sin6_port &&
           memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof(a->v6.sin6_addr)) == 0;
}
