/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main_options.c - see main_options.h.
 *
 * The Python persister takes what oslo.config and oslo.log define: several --config-file and
 * --config-dir, and an option for each of several [DEFAULT] options.  All of them are read in the
 * order in which they stand, and the last one wins: `--debug --config-file FILE` is what FILE says.
 * Without --config-file the default file comes before all.
 */
#include "config.h"

#include "lib/array.h"
#include "main/main_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char program[] = "monasca-persister";
static const char default_file[] = "/etc/monasca/monasca-persister.conf";
/* Where earlier releases of the Python persister had it. */
static const char former_file[] = "/etc/monasca/persister.conf";

/* Options that set a [DEFAULT] option; text is NULL where it is an argument. */
static const struct {
    const char *name, *option, *text;
} settings[] = {
    {"debug", "debug", "True"},
    {"nodebug", "debug", "False"},
    {"log-file", "log_file", NULL},
    {"logfile", "log_file", NULL},
    {"log-dir", "log_dir", NULL},
    {"logdir", "log_dir", NULL},
    {"use-syslog", "use_syslog", "True"},
    {"nouse-syslog", "use_syslog", "False"},
    {"syslog-log-facility", "syslog_log_facility", NULL},
    /* those that mean nothing here: a notice says so */
    {"verbose", "verbose", "True"},
    {"noverbose", "verbose", "False"},
    {"log-config-append", "log_config_append", NULL},
    {"log-config", "log_config", NULL},
    {"log_config", "log_config", NULL},
    {"log-date-format", "log_date_format", NULL},
    {"log-format", "log_format", NULL},
    {"use-eventlog", "use_eventlog", "True"},
    {"nouse-eventlog", "use_eventlog", "False"},
    {"use-journal", "use_journal", "True"},
    {"nouse-journal", "use_journal", "False"},
    {"use-json", "use_json", "True"},
    {"nouse-json", "use_json", "False"},
    {"use-syslog-rfc-format", "use_syslog_rfc_format", "True"},
    {"nouse-syslog-rfc-format", "use_syslog_rfc_format", "False"},
    {"watch-log-file", "watch_log_file", "True"},
    {"nowatch-log-file", "watch_log_file", "False"},
};

/* What getopt_long returns; settings follow. */
enum option_code {
    OPTION_ACTION = 256, /* and the action */
    OPTION_FILE = OPTION_ACTION + ACTION_VERSION + 1,
    OPTION_DIRECTORY,
    OPTION_SINGLE,
    OPTION_DEFAULT_LOG_FILE,
    OPTION_PID_FILE,
    OPTION_COMPLETION,
    OPTION_SETTING
};

static const struct option own_options[] = {
    {"config-file", required_argument, NULL, OPTION_FILE},
    {"config-dir", required_argument, NULL, OPTION_DIRECTORY},
    {"check", no_argument, NULL, OPTION_ACTION + ACTION_CHECK},
    {"reload", no_argument, NULL, OPTION_ACTION + ACTION_RELOAD},
    {"dump-config", no_argument, NULL, OPTION_ACTION + ACTION_DUMP},
    {"sample-config", no_argument, NULL, OPTION_ACTION + ACTION_SAMPLE},
    {"man", required_argument, NULL, OPTION_ACTION + ACTION_MAN},
    {"single", required_argument, NULL, OPTION_SINGLE},
    {"default-log-file", required_argument, NULL, OPTION_DEFAULT_LOG_FILE},
    {"pid-file", required_argument, NULL, OPTION_PID_FILE},
    {"shell_completion", required_argument, NULL, OPTION_COMPLETION},
    {"version", no_argument, NULL, OPTION_ACTION + ACTION_VERSION},
    {"help", no_argument, NULL, OPTION_ACTION + ACTION_HELP},
};

void
main_options_help(void)
{
    printf(
        "Usage: %s [OPTION]...\n"
        "Writes Monasca's metrics and alarm history from Kafka to a database.\n"
        "\n"
        "  --config-file FILE   configuration (default: %s);\n"
        "                       several are merged, and what is read later wins\n"
        "  --config-dir DIR     the *.conf in it, in the order of their names; both may be\n"
        "                       repeated, and are read in the order in which they stand\n"
        "  --check              check the configuration, run nothing\n"
        "  --reload             have the instance that runs take over the configuration; wait\n"
        "                       until it has, or say why it does not\n"
        "  --dump-config        print the configuration in effect, secrets masked\n"
        "  --sample-config      print every option with its default and meaning\n"
        "  --single TOPIC       run one worker without forking, for debugging; TOPIC is the\n"
        "                       topic's name or its section in the configuration\n"
        "  --default-log-file FILE\n"
        "                       log there if neither a file nor syslog is named elsewhere\n"
        "  --pid-file FILE      write the process id there once all workers consume\n"
        "  --version            print the version\n"
        "  --help               print this\n"
        "\n"
        "In the place of a line in [DEFAULT], as oslo.log has them:\n"
        "  -d, --debug, --nodebug, --log-file FILE, --log-dir DIR, --use-syslog,\n"
        "  --nouse-syslog, --syslog-log-facility NAME; and, with no meaning here, -v, --verbose,\n"
        "  --log-config-append FILE, --log-date-format FORMAT, --use-journal, --use-json,\n"
        "  --watch-log-file and their like\n"
        "\n"
        "It runs in the foreground. TERM and INT stop it, a second one hurries; HUP reads the\n"
        "configuration again, all of its files; USR1 reopens the log and the dead letters.\n"
        "pstats shows its figures.\n"
        "\n"
        "Exit codes: 0 stopped as asked, or nothing to object; 1 failed, not reloaded, or a\n"
        "worker had to be killed when stopping; 2 wrong options; 78 wrong configuration.\n",
        program, default_file);
}

static int
say_no_memory(void)
{
    fprintf(stderr, "%s: out of memory\n", program);
    return -1;
}

static int
keep_text(char **field, const char *text)
{
    free(*field);
    *field = strdup(text);
    return *field != NULL ? 0 : say_no_memory();
}

/* --- sources --- */

static void
free_source(struct cfg_source *s)
{
    free((char *)(uintptr_t)s->path);
    free((char *)(uintptr_t)s->value);
}

/* Inserts at i. name is static; path and value are copied, value may be NULL. */
static int
add_source(struct arguments *args, size_t i, struct cfg_source source)
{
    if (array_append(&args->sources, args->n_sources, sizeof(*args->sources)) == -1)
        return say_no_memory();
    source.path = strdup(source.path);
    source.value = source.value != NULL ? strdup(source.value) : strdup("");
    if (source.path == NULL || source.value == NULL) {
        free_source(&source);
        return say_no_memory();
    }
    memmove(args->sources + i + 1, args->sources + i,
            (args->n_sources - i) * sizeof(*args->sources));
    args->sources[i] = source;
    args->n_sources++;
    return 0;
}

static int
append(struct arguments *args, enum cfg_source_kind kind, const char *path)
{
    return add_source(args, args->n_sources, (struct cfg_source){.kind = kind, .path = path});
}

static int
append_setting(struct arguments *args, size_t i, const char *argument)
{
    char path[64];
    snprintf(path, sizeof(path), "--%s", settings[i].name);
    return add_source(
        args, args->n_sources,
        (struct cfg_source){.kind = CFG_FROM_OPTION,
                            .path = path,
                            .name = settings[i].option,
                            .value = settings[i].text != NULL ? settings[i].text : argument});
}

static bool
has_kind(const struct arguments *args, enum cfg_source_kind kind)
{
    for (size_t i = 0; i < args->n_sources; i++)
        if (args->sources[i].kind == kind)
            return true;
    return false;
}

/* A directory alone will do; without it, a file that is not there is an error, which names it. */
static int
add_default_file(struct arguments *args, void (*notice)(const char *text))
{
    char text[256];
    const char *file = default_file;
    if (has_kind(args, CFG_FROM_FILE))
        return 0;
    if (access(default_file, F_OK) == -1 && access(former_file, F_OK) == 0) {
        file = former_file;
        snprintf(text, sizeof(text), "%s is read, since there is no %s", former_file, default_file);
        if (notice != NULL)
            notice(text);
    }
    if (access(file, F_OK) == -1 && has_kind(args, CFG_FROM_DIRECTORY))
        return 0;
    return add_source(args, 0, (struct cfg_source){.kind = CFG_FROM_FILE, .path = file});
}

/* --- options --- */

enum { N_OWN = COUNT_OF(own_options), N_SETTINGS = COUNT_OF(settings) };

static void
fill_options(struct option *options)
{
    memcpy(options, own_options, sizeof(own_options));
    for (size_t i = 0; i < N_SETTINGS; i++)
        options[N_OWN + i] = (struct option){
            settings[i].name, settings[i].text == NULL ? required_argument : no_argument, NULL,
            OPTION_SETTING + (int)i};
    options[N_OWN + N_SETTINGS] = (struct option){NULL, 0, NULL, 0};
}

static size_t
find_setting(const char *name)
{
    size_t i = 0;
    while (i < N_SETTINGS && strcmp(settings[i].name, name) != 0)
        i++;
    assert(i < N_SETTINGS);
    return i;
}

static int
take_option(struct arguments *args, int code)
{
    switch (code) {
    case OPTION_FILE:
        return append(args, CFG_FROM_FILE, optarg);
    case OPTION_DIRECTORY:
        return append(args, CFG_FROM_DIRECTORY, optarg);
    case OPTION_SINGLE:
        return keep_text(&args->single, optarg);
    case OPTION_DEFAULT_LOG_FILE:
        return keep_text(&args->default_log_file, optarg);
    case OPTION_PID_FILE:
        return keep_text(&args->pid_file, optarg);
    case OPTION_COMPLETION:
        fprintf(stderr, "%s: --shell_completion: there is none\n", program);
        return -1;
    case 'd':
        return append_setting(args, find_setting("debug"), NULL);
    case 'v':
        return append_setting(args, find_setting("verbose"), NULL);
    case 'h':
        args->action = ACTION_HELP;
        return 0;
    default:
        break;
    }
    if (code >= OPTION_SETTING)
        return append_setting(args, (size_t)(code - OPTION_SETTING), optarg);
    args->action = (enum action)(code - OPTION_ACTION);
    return args->action == ACTION_MAN ? keep_text(&args->list, optarg) : 0;
}

int
main_options_parse(struct arguments *args, int argc, char **argv, void (*notice)(const char *text))
{
    struct option options[N_OWN + N_SETTINGS + 1];
    int code;
    *args = (struct arguments){.action = ACTION_RUN};
    fill_options(options);
    while ((code = getopt_long(argc, argv, "dvh", options, NULL)) != -1) {
        if (code == '?') { /* getopt has said why */
            fprintf(stderr, "Try '%s --help'.\n", program);
            return -1;
        }
        if (take_option(args, code) == -1)
            return -1;
    }
    if (optind < argc) {
        fprintf(stderr, "%s: unexpected argument '%s'\nTry '%s --help'.\n", program, argv[optind],
                program);
        return -1;
    }
    return add_default_file(args, notice);
}

void
main_options_free(struct arguments *args)
{
    for (size_t i = 0; i < args->n_sources; i++)
        free_source(&args->sources[i]);
    free(args->sources);
    free(args->single);
    free(args->default_log_file);
    free(args->pid_file);
    free(args->list);
    *args = (struct arguments){.action = ACTION_RUN};
}
