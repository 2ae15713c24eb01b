/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.c - see host.h.
 *
 * It refuses what can never be looked up and what has something else in it; whether a name exists is
 * the world's business, which may change.
 */
#include "lib/host.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <strings.h>

#include "lib/num.h"

enum { MAX_NAME = 253 /* of DNS */, MAX_ZONE = 64 };

void
host_strip_brackets(char *text)
{
    size_t n = strlen(text);
    if (n < 2 || text[0] != '[' || text[n - 1] != ']')
        return;
    memmove(text, text + 1, n - 2);
    text[n - 2] = '\0';
}

/* With a zone behind it perhaps: fe80::1%eth0. */
static bool
is_ipv6(const char *text)
{
    char address[INET6_ADDRSTRLEN + 1];
    struct in6_addr binary;
    size_t n = strcspn(text, "%");
    if (n >= sizeof(address) || (text[n] == '%' && (text[n + 1] == '\0' || strlen(text + n) > MAX_ZONE)))
        return false;
    memcpy(address, text, n);
    address[n] = '\0';
    return inet_pton(AF_INET6, address, &binary) == 1;
}

/* Digits and dots only are an address: a name does not end in a number. */
static bool
is_bad_ipv4(const char *text)
{
    struct in_addr binary;
    return text[strspn(text, "0123456789.")] == '\0' && inet_aton(text, &binary) == 0;
}

const char *
host_find_fault(const char *text)
{
    const char *colon = strchr(text, ':');
    if (text[0] == '\0')
        return "is empty";
    if (strstr(text, "://") != NULL)
        return "is a URL";
    if (strchr(text, '@') != NULL)
        return "has something before the host ('@')";
    if (strpbrk(text, " \t") != NULL)
        return "has a blank in it (a comment has a line of its own)";
    if (colon != NULL && is_ipv6(text))
        return NULL;
    if (strpbrk(text, "[]") != NULL)
        return "has brackets that are not around an IPv6 address alone";
    if (colon != NULL && strchr(colon + 1, ':') == NULL)
        return "has a port";
    if (colon != NULL)
        return "is no IPv6 address";
    if (text[strcspn(text, "/\\@?#,;\"'<>|%=&*()")] != '\0')
        return "is neither an address nor a name";
    if (strlen(text) > MAX_NAME)
        return "is longer than a name can be";
    if (strstr(text, "..") != NULL || text[0] == '.')
        return "has an empty part";
    return is_bad_ipv4(text) ? "is no IPv4 address" : NULL;
}

/* --- brokers --- */

static bool
is_protocol(const char *text, size_t n)
{
    static const char *const names[] = {"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strlen(names[i]) == n && strncasecmp(text, names[i], n) == 0)
            return true;
    return false;
}

/* Cuts the port off. Returns: false if there is one that is none. */
static bool
cut_port(char *host)
{
    char *colon = strrchr(host, ':'), *first = strchr(host, ':');
    int64_t port;
    /* As librdkafka: several colons without brackets are an address alone. */
    if (colon == NULL || (first != colon && (colon == host || colon[-1] != ']')))
        return true;
    *colon = '\0';
    return num_parse_int(colon + 1, 1, 65535, &port) == 0;
}

const char *
host_find_broker_fault(const char *text)
{
    char host[512];
    const char *scheme = strstr(text, "://");
    if (scheme != NULL && !is_protocol(text, (size_t)(scheme - text)))
        return "is a URL";
    if (scheme != NULL)
        text = scheme + 3;
    if (strchr(text, '@') != NULL)
        return host_find_fault(text);
    if ((size_t)snprintf(host, sizeof(host), "%s", text) >= sizeof(host))
        return "is longer than a name can be";
    host[strcspn(host, "/")] = '\0'; /* librdkafka ignores a path */
    if (!cut_port(host))
        return "has a port that is none";
    host_strip_brackets(host);
    return host_find_fault(host);
}
