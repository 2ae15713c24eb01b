/* SPDX-License-Identifier: Apache-2.0 */
/* reload.c - see reload.h. */
#include "master/reload.h"

#include <signal.h>

#include "master/master_priv.h"

void
reload_init(struct reload *reload, const struct reload_ops *ops)
{
    *reload = (struct reload){.ops = ops, .checking = {.fd = -1}};
}

bool
reload_is_under_way(const struct reload *reload)
{
    return reload->checking.pid != 0;
}

enum reload_outcome
reload_ask(struct reload *reload, const int *fds, size_t n_fds, int64_t now_ms, struct errbuf *err)
{
    if (reload->ops == NULL) {
        errbuf_set(err, "this process cannot reload");
        return RELOAD_REFUSED;
    }
    if (reload_is_under_way(reload)) {
        reload->again = true;
        return RELOAD_NONE;
    }
    reload->late = false;
    reload->until_ms = now_ms + RELOAD_CHECK_MS;
    if (reload->ops->begin(reload->ops->arg, &reload->checking, fds, n_fds, err) == -1) {
        reload->ops->drop(reload->ops->arg);
        return RELOAD_REFUSED;
    }
    return RELOAD_NONE;
}

bool
reload_note_end(struct reload *reload, pid_t pid, int status, enum reload_outcome *outcome,
                struct errbuf *err)
{
    if (!reload_is_under_way(reload) || pid != reload->checking.pid)
        return false;
    *outcome = RELOAD_REFUSED;
    enum spawn_verdict verdict = spawn_check_end(&reload->checking, status, err);
    if (reload->late)
        errbuf_set(err, "the check of the new configuration took longer than %d ms",
                   RELOAD_CHECK_MS);
    else if (reload->ops == NULL)
        *outcome = RELOAD_NONE;
    else if (verdict == SPAWN_GOOD && reload->ops->take(reload->ops->arg, err) == 0)
        *outcome = RELOAD_TAKEN;
    if (*outcome == RELOAD_REFUSED)
        reload->ops->drop(reload->ops->arg);
    return true;
}

bool
reload_take_again(struct reload *reload)
{
    bool again = reload->again && !reload_is_under_way(reload);
    reload->again = reload->again && !again;
    return again;
}

void
reload_turn(struct reload *reload, int64_t now_ms)
{
    if (!reload_is_under_way(reload) || reload->late || now_ms < reload->until_ms)
        return;
    reload->late = true;
    kill(reload->checking.pid, SIGKILL);
}

void
reload_stop(struct reload *reload)
{
    reload->again = false;
    if (reload->ops != NULL && reload_is_under_way(reload))
        kill(reload->checking.pid, SIGKILL);
    if (reload->ops != NULL)
        reload->ops->drop(reload->ops->arg);
    reload->ops = NULL;
}
