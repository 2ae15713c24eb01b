/* SPDX-License-Identifier: Apache-2.0 */
/* bus_error.c - see bus_error.h. */
#include "master/bus_error.h"

#include <signal.h>
#include <unistd.h>

#include "lib/log.h"
#include "master/master_priv.h"

static struct {
    uintptr_t at;
    size_t bytes;
    const char *path;
} mapping;

static void
on_bus_error(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    if (info->si_code > 0 && (uintptr_t)info->si_addr - mapping.at < mapping.bytes) {
        log_error("segment %s: somebody has made the file shorter; the figures are lost, so the "
                  "master and its workers end, to be started anew",
                  mapping.path);
        _exit(1);
    }
    signal(signal_number, SIG_DFL); /* as it would have been without us */
    raise(signal_number);
}

void
bus_error_catch(const void *at, size_t bytes, const char *path)
{
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    mapping.at = (uintptr_t)at;
    mapping.bytes = bytes;
    mapping.path = path;
    sigaction(SIGBUS, &action, NULL);
}
