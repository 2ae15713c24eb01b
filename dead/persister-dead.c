/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persister-dead.c - dead letters by hand: list them, show one, replay them into a topic.
 *
 * A room of its own: it is started by people, reads what the workers wrote, and shares with them
 * only the configuration, librdkafka's settings and the decoder.
 *
 * Process: persister-dead.  Owner: main's stack.  Concurrency: one thread.
 */
#include "config.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "dead/run.h"
#include "lib/program.h"

static volatile sig_atomic_t stop_asked;

static void
on_signal(int number)
{
    (void)number;
    stop_asked = 1;
}

/* The second one ends it at once. */
static void
catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* Options may say it all; a replay needs to know the brokers, too. */
static bool
needs_config(const struct arguments *a)
{
    bool kafka = a->verb == VERB_REPLAY && !a->dry_run;
    return a->n_sources > 0 || (a->file == NULL && a->dead_topic == NULL) ||
           ((kafka || a->dead_topic != NULL) && a->brokers == NULL);
}

/* PATH.3 belongs to PATH, whose note of what was replayed is the one that counts. */
static int
check_path(const struct arguments *a, struct errbuf *err)
{
    const char *dot = a->file == NULL ? NULL : strrchr(a->file, '.');
    if (dot == NULL || dot[1] == '\0' || dot[1 + strspn(dot + 1, "0123456789")] != '\0')
        return 0;
    return errbuf_set(err, "--file %s: that is a rotated file, read together with %.*s: give that",
                      a->file, (int)(dot - a->file), a->file);
}

static enum topic_kind
find_section(const struct arguments *a, const struct config *cfg)
{
    if (a->section != TOPIC_KINDS)
        return a->section;
    return cfg == NULL || cfg->topic[TOPIC_METRICS].enabled ? TOPIC_METRICS : TOPIC_ALARM_HISTORY;
}

/* What the options do not say, the configuration does. *state: freed by the caller. */
static int
find_letters(struct run *run, char **state, struct errbuf *err)
{
    const struct arguments *a = run->a;
    struct box_options *w = &run->where;
    bool chosen = a->file != NULL || a->dead_topic != NULL;
    w->path = a->file;
    w->path_given = a->file != NULL;
    w->topic = a->dead_topic;
    if (!chosen) {
        w->path = run->cfg->dead_letter.file;
        w->topic = run->cfg->dead_letter.topic[0] == '\0' ? NULL : run->cfg->dead_letter.topic;
    }
    w->client = (struct kafka_client_options){.cfg = run->cfg,
                                              .kind = find_section(a, run->cfg),
                                              .brokers = a->brokers,
                                              .properties = a->properties,
                                              .n_properties = a->n_properties};
    w->stop = run->stop;
    if (a->state != NULL)
        *state = strdup(a->state);
    else if (w->path != NULL && asprintf(state, "%s.replayed", w->path) == -1)
        *state = NULL;
    w->state = *state;
    if ((w->path != NULL || a->state != NULL) && *state == NULL)
        return errbuf_set(err, "out of memory");
    return 0;
}

static enum dead_exit
run_verb(struct run *run)
{
    switch (run->a->verb) {
    case VERB_LIST:
        return list_run(run);
    case VERB_SHOW:
        return show_run(run);
    default:
        return replay_run(run);
    }
}

static enum dead_exit
run_with_config(const struct arguments *a, struct config *cfg, struct errbuf *err)
{
    struct run run = {.a = a, .cfg = cfg, .stop = &stop_asked, .err = err};
    char *state = NULL;
    enum dead_exit result = DEAD_FAILED;
    run.judge = judge_new(cfg);
    if (run.judge == NULL)
        errbuf_set(err, "out of memory");
    else if (find_letters(&run, &state, err) == 0)
        result = run_verb(&run);
    judge_free(&run.judge);
    free(state);
    return result;
}

static struct config *
load_config(const struct arguments *a, struct errbuf *err)
{
    return a->n_sources == 0 ? cfg_load(SYSCONFDIR "/monasca/monasca-persister.conf", NULL, err)
                             : cfg_load_sources(a->sources, a->n_sources, NULL, err);
}

int
main(int argc, char **argv)
{
    struct arguments a;
    struct errbuf err = {.text = ""};
    struct config *cfg = NULL;
    enum dead_exit result = DEAD_USAGE;
    if (program_begin() == -1)
        return DEAD_FAILED;
    program_allow_dumps(false);
    setlocale(LC_CTYPE, "");
    if (args_parse(&a, argc, argv) == -1)
        return DEAD_USAGE;
    if (a.done)
        return DEAD_DONE;
    catch_signals();
    if (check_path(&a, &err) == 0) {
        if (!needs_config(&a) || (cfg = load_config(&a, &err)) != NULL)
            result = run_with_config(&a, cfg, &err);
    }
    if (err.text[0] != '\0')
        fprintf(stderr, "persister-dead: %s\n", err.text);
    cfg_free(&cfg);
    return (int)result;
}
