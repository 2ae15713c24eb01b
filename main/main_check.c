/* SPDX-License-Identifier: Apache-2.0 */
/* main_check.c - see main_check.h. */
#include "config.h"

#include "main/main_check.h"

#include "store/store.h"
#include "worker/dead_file.h"
#include "kafka/kafka_conf.h"

/* Nothing is asked of a server here. */
static bool
wait_for_nothing(void *arg, struct pollfd *fds, size_t n, int64_t until_ms)
{
    (void)arg, (void)fds, (void)n, (void)until_ms;
    return false;
}

int
main_check_libraries(const void *config, struct errbuf *err)
{
    const struct config *cfg = config;
    static const struct store_hooks hooks = {.wait = wait_for_nothing};
    if (dead_file_check(cfg->dead_letter.file, err) == -1)
        return errbuf_prefix(err, "%s: [dead_letter] file", cfg->file);
    if (kafka_conf_check(cfg, err) == -1)
        return -1;
    for (enum topic_kind kind = 0; kind < TOPIC_EVENTS; kind++) {
        if (!cfg->topic[kind].enabled)
            continue;
        struct store *store = store_find(cfg_topic_driver(cfg, kind))->open(cfg, kind, &hooks, err);
        if (store == NULL)
            return errbuf_prefix(err, "%s: [%s]", cfg->file, cfg_topic_section(kind));
        store->ops->close(&store);
    }
    return 0;
}

int
main_check_drivers(const struct config *cfg, struct errbuf *err)
{
    static const char *const options[] = {"metrics_driver", "alarm_state_history_driver"};
    for (enum topic_kind kind = 0; kind < TOPIC_EVENTS; kind++)
        if (cfg->topic[kind].enabled && store_find(cfg_topic_driver(cfg, kind)) == NULL)
            return errbuf_set(err, "%s: [repositories] %s: this build has no such store", cfg->file,
                              options[kind]);
    return 0;
}
