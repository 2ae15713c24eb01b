/*
 * main_admin.c - see main_admin.h. Part of the wiring, like main.c: it knows admin/ and the stores'
 * names.
 *
 * Process: admin, after the fork.  Owner: what is made here lives until the process ends.
 * Concurrency: one thread.
 */
#include "master/main_admin.h"

#include <stdio.h>
#include <stdlib.h>

#include "admin/admin.h"
#include "lib/log.h"
#include "store/store.h"

/* The configuration as text, secrets masked. Returns: NULL if memory is out. */
static char *
dump_configuration(const struct config *cfg)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    cfg_dump(cfg, out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static void
name_topic(const struct config *cfg, enum topic_kind kind, struct view_names *names,
           enum view_kind as)
{
    const struct store_ops *ops = store_find(cfg_topic_driver(cfg, kind));
    names->kinds[as].topic = cfg->topic[kind].enabled ? cfg->topic[kind].topic : "";
    names->kinds[as].store = ops != NULL ? ops->name : "";
}

/* No progress is no progress only if it is longer than a batch may be collected. */
static int64_t
stall_ms(const struct config *cfg)
{
    int64_t ms = ADMIN_STALL_MS;
    for (enum topic_kind kind = 0; kind < TOPIC_EVENTS; kind++)
        if (cfg->topic[kind].enabled && cfg->topic[kind].max_wait_time_seconds * 3000 > ms)
            ms = cfg->topic[kind].max_wait_time_seconds * 3000;
    return ms;
}

int
main_admin_run(struct config *cfg, struct segment *segment)
{
    char path[sizeof(segment->path)];
    struct admin_options options = {.bind = cfg->admin.bind,
                                    .port = (unsigned)cfg->admin.port,
                                    .stall_ms = stall_ms(cfg),
                                    .report_fd = -1};
    snprintf(path, sizeof(path), "%s", segment->path);
    segment_close(segment);
    options.segment = path;
    options.config_text = dump_configuration(cfg);
    cfg_forget_secrets(cfg);
    name_topic(cfg, TOPIC_METRICS, &options.names, VIEW_METRICS);
    name_topic(cfg, TOPIC_ALARM_HISTORY, &options.names, VIEW_ALARMS);
    if (options.config_text != NULL)
        return admin_run(&options);
    log_error("admin port: out of memory");
    return ADMIN_EXIT_SICK;
}
