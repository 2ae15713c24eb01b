/* SPDX-License-Identifier: Apache-2.0 */
/* guarded_map.c - see guarded_map.h. */
#include "shm/guarded_map.h"

#include <pthread.h>
#include <sys/mman.h>

static _Thread_local struct guarded_map *maps;
static struct sigaction before;

/* Puts zeros where the file was. mmap is a plain system call: it may be made in a handler. */
static bool
replace(struct guarded_map *map)
{
    map->lost = 1;
    return mmap((void *)(uintptr_t)map->at, map->bytes, PROT_READ,
                MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

static void
on_bus_error(int signal, siginfo_t *info, void *context)
{
    (void)context;
    for (struct guarded_map *m = maps; m != NULL && info->si_code > 0; m = m->next)
        if ((uintptr_t)info->si_addr - (uintptr_t)m->at < m->bytes && replace(m))
            return;
    /* Not ours: what would have happened without us happens now. */
    sigaction(signal, &before, NULL);
    raise(signal);
}

static void
catch_bus_errors(void)
{
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    sigaction(SIGBUS, &action, &before);
}

int
guarded_map_open(struct guarded_map *map, int fd, size_t bytes)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    *map = (struct guarded_map){.at = NULL};
    pthread_once(&once, catch_bus_errors);
    void *p = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return -1;
    *map = (struct guarded_map){.at = p, .bytes = bytes, .next = maps};
    maps = map;
    return 0;
}

bool
guarded_map_is_lost(const struct guarded_map *map)
{
    return map->lost != 0;
}

void
guarded_map_close(struct guarded_map *map)
{
    struct guarded_map **link = &maps;
    if (map->at == NULL)
        return;
    while (*link != NULL && *link != map)
        link = &(*link)->next;
    if (*link == map)
        *link = map->next;
    munmap((void *)(uintptr_t)map->at, map->bytes);
    map->at = NULL;
}
