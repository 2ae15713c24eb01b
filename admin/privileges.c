/* SPDX-License-Identifier: Apache-2.0 */
/* privileges.c - see privileges.h. */
#include "admin/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { NOBODY = 65534, NICENESS = 5 };

static int
become_nobody(struct errbuf *err)
{
    const struct passwd *pw = getpwnam("nobody");
    uid_t uid = pw != NULL && pw->pw_uid != 0 ? pw->pw_uid : NOBODY;
    gid_t gid = pw != NULL && pw->pw_gid != 0 ? pw->pw_gid : NOBODY;
    if (setgroups(0, NULL) == -1 || setresgid(gid, gid, gid) == -1 ||
        setresuid(uid, uid, uid) == -1)
        return errbuf_set(err, "cannot become nobody (%u:%u): %s", (unsigned)uid, (unsigned)gid,
                          strerror(errno));
    return 0;
}

/* The kernel forgot it with the change of uid; the parent may have died meanwhile. */
static int
die_with_parent(pid_t parent, struct errbuf *err)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
        return errbuf_set(err, "no parent-death signal: %s", strerror(errno));
    if (getppid() != parent)
        return errbuf_set(err, "the master has gone");
    return 0;
}

static int
limit(const char *what, int resource, rlim_t most, struct errbuf *err)
{
    struct rlimit r;
    if (getrlimit(resource, &r) == -1)
        return errbuf_set(err, "limit of %s: %s", what, strerror(errno));
    r.rlim_max = most < r.rlim_max ? most : r.rlim_max;
    r.rlim_cur = r.rlim_max;
    if (setrlimit(resource, &r) == -1)
        return errbuf_set(err, "limit of %s: %s", what, strerror(errno));
    return 0;
}

/*
 * Limits private data to what there is and so much more.  RLIMIT_AS would count the segment and the
 * libraries, too.
 */
static int
limit_memory(size_t more, struct errbuf *err)
{
#ifdef __SANITIZE_ADDRESS__ /* whose shadow, terabytes, is private data, too */
    (void)more;
    (void)err;
    return 0;
#else
    char line[128];
    unsigned long kib = 0;
    FILE *f = fopen("/proc/self/status", "re");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, "VmData:", 7) == 0)
            kib = strtoul(line + 7, NULL, 10);
    if (f != NULL)
        fclose(f);
    return limit("memory", RLIMIT_DATA, (rlim_t)kib * 1024 + more, err);
#endif
}

int
privileges_drop(pid_t parent, const struct privileges_limits *limits, struct errbuf *err)
{
    if (geteuid() == 0 && become_nobody(err) == -1)
        return -1;
    if (die_with_parent(parent, err) == -1)
        return -1;
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* old kernels have none */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
        return errbuf_set(err, "no_new_privs: %s", strerror(errno));
    /* The master's heap came along with the fork; nobody else of that user shall read it. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
        return errbuf_set(err, "not dumpable: %s", strerror(errno));
    if (limit("descriptors", RLIMIT_NOFILE, limits->descriptors, err) == -1 ||
        limit("core files", RLIMIT_CORE, 0, err) == -1 || limit_memory(limits->memory, err) == -1)
        return -1;
    if (setpriority(PRIO_PROCESS, 0, NICENESS) == -1 && errno != EACCES && errno != EPERM)
        return errbuf_set(err, "niceness: %s", strerror(errno));
    return 0;
}
