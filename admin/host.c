/* SPDX-License-Identifier: Apache-2.0 */
/* host.c - see host.h. */
#include "admin/host.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

void
host_names_init(struct host_names *names, const char *bind, const char *allowed)
{
    *names = (struct host_names){.bind = bind, .allowed = allowed};
    if (gethostname(names->machine, sizeof(names->machine) - 1) == -1)
        names->machine[0] = '\0';
}

static bool
is_name(struct slice s, const char *name)
{
    return s.n > 0 && s.n == strlen(name) && strncasecmp(s.p, name, s.n) == 0;
}

static bool
ends_in(struct slice s, struct slice end)
{
    return s.n > end.n && strncasecmp(s.p + s.n - end.n, end.p, end.n) == 0;
}

/* Takes: "a", "a:80", "1.2.3.4:80", "[::1]:80". Returns: without port, brackets and last dot. */
static struct slice
cut_port(struct slice s)
{
    const char *colon = memchr(s.p, ':', s.n), *bracket;
    if (s.n > 0 && s.p[0] == '[' && (bracket = memchr(s.p, ']', s.n)) != NULL) {
        size_t n = (size_t)(bracket - s.p) + 1;
        bool ends = n == s.n || s.p[n] == ':';
        return (struct slice){s.p + 1, ends ? n - 2 : 0};
    }
    if (colon != NULL)
        s.n = (size_t)(colon - s.p);
    if (s.n > 0 && s.p[s.n - 1] == '.')
        s.n--;
    return s;
}

static bool
is_address(struct slice s)
{
    char text[INET6_ADDRSTRLEN + 1];
    unsigned char address[sizeof(struct in6_addr)];
    if ((size_t)snprintf(text, sizeof(text), "%.*s", (int)(s.n < 64 ? s.n : 64), s.p) >=
        sizeof(text))
        return false;
    return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

/* The whole name, or what is before its first dot. */
static bool
is_machine(struct slice s, const char *machine)
{
    size_t n = strcspn(machine, ".");
    return is_name(s, machine) || (s.n > 0 && s.n == n && strncasecmp(s.p, machine, n) == 0);
}

static bool
is_listed(struct slice s, const char *list)
{
    while (*list != '\0') {
        size_t n = strcspn(list, ",");
        struct slice one = slice_trim((struct slice){list, n});
        if (slice_equal(one, SLICE("*")) ||
            (one.n > 0 && one.n == s.n && strncasecmp(one.p, s.p, s.n) == 0) ||
            (one.n > 1 && one.p[0] == '.' && ends_in(s, one)))
            return true;
        list += n + (list[n] == ',');
    }
    return false;
}

bool
host_is_ours(const struct host_names *names, const char *header)
{
    if (header == NULL)
        return true;
    struct slice host = cut_port(slice_trim((struct slice){header, strlen(header)}));
    return is_address(host) || is_name(host, "localhost") || ends_in(host, SLICE(".localhost")) ||
           is_machine(host, names->machine) || is_name(host, names->bind) ||
           is_listed(host, names->allowed);
}
