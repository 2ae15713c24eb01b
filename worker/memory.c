/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c - see memory.h. */
#include "worker/memory.h"

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include "lib/num.h"

/* By default glibc's threshold rises to the largest block that was ever freed, up to 32 MiB. */
enum { LARGE_BYTES = 256 * 1024 };

void
memory_return_large(void)
{
#ifdef M_MMAP_THRESHOLD
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
#endif
}

uint64_t
memory_resident_bytes(void)
{
    static int fd = -1; /* opened in the worker: a master's would speak of the master */
    char text[128];
    int64_t pages;
    if (fd == -1)
        fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd == -1 ? -1 : pread(fd, text, sizeof(text) - 1, 0);
    if (n <= 0)
        return UINT64_MAX;
    text[n] = '\0';
    char *resident = strchr(text, ' '); /* size resident shared ... (proc(5)) */
    if (resident == NULL)
        return UINT64_MAX;
    resident++;
    resident[strcspn(resident, " ")] = '\0';
    if (num_parse_int(resident, 0, INT64_MAX / 65536, &pages) == -1)
        return UINT64_MAX;
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
