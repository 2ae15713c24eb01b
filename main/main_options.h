/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main_options.h - the command line. Part of the wiring, like main.c.
 *
 * Process: master, and whoever only asks.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef MASTER_MAIN_OPTIONS_H
#define MASTER_MAIN_OPTIONS_H

#include "conf/cfg.h"

/* What is to be done. */
enum action {
    ACTION_RUN,
    ACTION_CHECK,
    ACTION_DUMP,
    ACTION_RELOAD,
    ACTION_SAMPLE,
    ACTION_MAN,
    ACTION_HELP,
    ACTION_VERSION
};

/* All texts are copies: titles overwrite argv. */
struct arguments {
    enum action action;
    struct cfg_source *sources; /* in the order of the command line; none for ACTION_HELP etc. */
    size_t n_sources;
    char *single;           /* --single, or NULL */
    char *default_log_file; /* --default-log-file, or NULL */
    char *pid_file;         /* --pid-file, or NULL */
    char *list;             /* --man, or NULL */
};

/*
 * Takes: main's arguments; called with a notice about the default file; may be NULL.
 * Returns: 0, or -1 after it has said why on standard error. To be freed in any case.
 */
int main_options_parse(struct arguments *args, int argc, char **argv,
                       void (*notice)(const char *text)) MUST_CHECK;

void main_options_free(struct arguments *args);

/* Prints what --help says. */
void main_options_help(void);

#endif
