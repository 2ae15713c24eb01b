/* SPDX-License-Identifier: Apache-2.0 */
/* directory.c - see directory.h. */
#include "master/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "master/master_priv.h"

static const char system_directory[] = "/run/monasca-persister";
static const char shm_directory[] = "/dev/shm/monasca-persister-";

/* Where anybody may make directories root, too, takes only its own. */
enum place { PLACE_OF_THE_SYSTEM, PLACE_FOR_ALL };

/* The way out is a directory in it: what is there already may need the rights that it has. */
static int
refuse_shared(const char *path, unsigned mode, struct errbuf *err)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    return errbuf_set(err,
                      "%s can be written by others (mode %03o); name a directory in it, such as "
                      "[persister] run_directory = %.*s/monasca-persister, which is made if it is "
                      "not there; if you make it, mode 0750 will do",
                      path, mode, n > 1 ? (int)n : 0, path);
}

static int
check_directory(const char *path, int fd, enum place place, struct errbuf *err)
{
    struct stat st;
    if (fstat(fd, &st) == -1)
        return errbuf_set(err, "%s: %s", path, strerror(errno));
    bool may_be_anybodys = geteuid() == 0 && place == PLACE_OF_THE_SYSTEM;
    if (st.st_uid != 0 && st.st_uid != geteuid() && !may_be_anybodys)
        return errbuf_set(err,
                          "%s belongs to user %lu; it must be ours or root's ([persister] "
                          "run_directory names another)",
                          path, (unsigned long)st.st_uid);
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return refuse_shared(path, st.st_mode & 07777, err);
    if (faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) == -1)
        return errbuf_set(err, "%s: %s", path, strerror(errno));
    return 0;
}

/* Makes the directory if it is not there. Returns: its descriptor, or -1 with a text. */
static int
open_or_make(const char *path, mode_t mode, enum place place, struct errbuf *err)
{
    if (mkdir(path, mode) == -1 && errno != EEXIST)
        return errbuf_set(err, "cannot make %s: %s", path, strerror(errno));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd == -1)
        return errbuf_set(err, "%s: %s", path,
                          errno == ENOTDIR ? "not a directory, or a symbolic link"
                                           : strerror(errno));
    if (check_directory(path, fd, place, err) == -1) {
        close(fd);
        return -1;
    }
    return fd;
}

int
directory_open(const char *directory, char *path, size_t size, struct errbuf *err)
{
    if (directory[0] != '\0') {
        if ((size_t)snprintf(path, size, "%s", directory) >= size)
            return errbuf_set(err, "%.40s...: longer than %zu bytes", directory, size - 1);
        return open_or_make(path, 0755, PLACE_OF_THE_SYSTEM, err);
    }
    snprintf(path, size, "%s", system_directory);
    int fd = open_or_make(path, 0755, PLACE_OF_THE_SYSTEM, NULL);
    if (fd != -1)
        return fd;
    snprintf(path, size, "%s%lu", shm_directory, (unsigned long)geteuid());
    return open_or_make(path, 0750, PLACE_FOR_ALL, err);
}
