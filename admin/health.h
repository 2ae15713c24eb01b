/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health.h - is all well, and if not, what is wrong: GET /healthcheck.
 *
 * In DropWizard's shape, an object per check with "healthy" and "message"; we add "status".  The
 * checks, for each topic (and for each helper, less the first):
 *
 *   TOPIC.progress  unhealthy if there is work (messages in hand or lag) but for long nothing was
 *                   stored, rejected or given back
 *   TOPIC.store     degraded from the first failed call on, with the reason and since when; that is
 *                   unhealthy once it has lasted HEALTH_GRACE_MS, so that one retry alarms nobody
 *   TOPIC.workers   unhealthy if one is in a crash loop, or if none runs
 *
 * `store.capacity`: degraded, and only there, if messages went to the dead letters within
 * HEALTH_CAPACITY_MS because a limit of the store's on series is reached;
 *
 * and `master`: unhealthy if it has ended, or not turned for HEALTH_MASTER_MS.  A worker that owns
 * no partition is a standby and healthy.  One unhealthy check makes the answer 500, as in
 * DropWizard; for whether the process itself lives there is /ping.
 *
 * Pure.  Process: admin.  Owner: the caller.  Concurrency: none needed.
 */
#ifndef ADMIN_HEALTH_H
#define ADMIN_HEALTH_H

#include "admin/view.h"
#include "lib/buf.h"

enum { HEALTH_GRACE_MS = 10000, HEALTH_MASTER_MS = 30000, HEALTH_CAPACITY_MS = 600000 };

enum health_status { HEALTH_GOOD, HEALTH_DEGRADED, HEALTH_BAD };

struct health_check {
    char name[SHM_TOPIC_BYTES + 16];
    enum health_status status;
    bool healthy;
    char message[512];
};

struct health {
    struct health_check *checks;
    size_t n;
    enum health_status worst;
    bool healthy; /* all are */
};

/* Returns: 0, or -1 if memory is out. health_free frees what the health holds. */
int health_judge(struct health *health, const struct view *v) MUST_CHECK;
void health_free(struct health *health);

/* Returns: "healthy", "degraded", "unhealthy"; static. */
const char *health_status_name(enum health_status status);

/* Writes the document. */
void health_write(struct buf *b, const struct health *health, bool pretty);

#endif
