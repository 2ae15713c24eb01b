/* SPDX-License-Identifier: Apache-2.0 */
/* lined_file.c - see lined_file.h. */
#include "lib/lined_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

bool
lined_file_is_current(int fd, const char *path)
{
    struct stat ours, theirs;
    return fstat(fd, &ours) == 0 && stat(path, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
           ours.st_ino == theirs.st_ino;
}

int
lined_file_find_end(int fd, off_t size, off_t *end)
{
    char chunk[4096];
    while (size > 0) {
        size_t n = size < (off_t)sizeof(chunk) ? (size_t)size : sizeof(chunk);
        ssize_t got = pread(fd, chunk, n, size - (off_t)n);
        if (got != (ssize_t)n) {
            errno = got == -1 ? errno : EIO; /* it became shorter under us */
            return -1;
        }
        const char *newline = memrchr(chunk, '\n', n);
        if (newline != NULL) {
            size -= (off_t)(chunk + n - newline) - 1;
            break;
        }
        size -= (off_t)n;
    }
    *end = size;
    return 0;
}

int
lined_file_sync_directory(const char *path)
{
    char *copy = strdup(path);
    if (copy == NULL)
        return -1;
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(copy);
    if (fd == -1)
        return -1;
    int result = fsync(fd), why = errno;
    close(fd);
    errno = why;
    return result;
}
