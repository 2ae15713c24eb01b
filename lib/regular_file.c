/* SPDX-License-Identifier: Apache-2.0 */
/* regular_file.c - see regular_file.h. */
#include "lib/regular_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Returns: 0, or -1 with errno. */
static int
check_kind(int fd)
{
    struct stat st;
    if (fstat(fd, &st) == -1)
        return -1;
    if (S_ISREG(st.st_mode))
        return 0;
    errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
    return -1;
}

FILE *
regular_file_open(const char *path, struct errbuf *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    FILE *f = fd != -1 && check_kind(fd) == 0 ? fdopen(fd, "r") : NULL;
    if (f != NULL)
        return f;
    int why = errno;
    errbuf_set(err, "%s: %s", path, why == EINVAL ? "not a regular file" : strerror(why));
    if (fd != -1)
        close(fd);
    errno = why;
    return NULL;
}
