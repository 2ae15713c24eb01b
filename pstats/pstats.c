/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pstats.c - shows the figures of a running monasca-persister: a live view, or once as text, JSON
 * or OpenMetrics.  It only reads the segment, and links nothing but that and curses.
 *
 * Process: pstats.  Owner: everything lives until the process ends.  Concurrency: one thread.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/num.h"
#include "lib/program.h"
#include "figures/openmetrics.h"
#include "shm/pstats_find.h"
#include "pstats/pstats_list.h"
#include "pstats/pstats_live.h"
#include "pstats/pstats_text.h"
#include "pstats/pstats_watch.h"

enum {
    GLOBS_MAX = 64,
    OUTPUT_BYTES = 256 << 20, /* 1,024 processes need about 10 MiB */
    WINDOW_MAX_SECONDS = 60 * 3600,
    INTERVAL_MAX_SECONDS = 3600
};

enum form { FORM_LIVE, FORM_TEXT, FORM_JSON, FORM_OPENMETRICS, FORM_LIST, FORM_WATCH, FORM_MAN };

struct arguments {
    enum form form;
    const char *instance, *file;
    const char *globs[GLOBS_MAX];
    struct figures_choice choice;
    int64_t window_ms;
    int64_t interval_seconds, watch_seconds, lines;
};

static const char usage[] =
    "Usage: pstats [-1 | -j | -p | -l | -w SECONDS [LINES]] [OPTION]...\n"
    "Shows the figures of a running monasca-persister. Without a form: the live view on a\n"
    "terminal, else as -1.\n"
    "\n"
    "  -1, --once             once, as text\n"
    "  -j, --json             once, as JSON\n"
    "  -p, --openmetrics      once, as OpenMetrics (Prometheus)\n"
    "  -l, --list             every figure with its nature, unit and meaning\n"
    "  -w, --watch SECONDS    a line for every so many seconds; LINES: so many lines, then end\n"
    "\n"
    "  -n, --instance NAME    the instance; without -n and -f the only one there is\n"
    "  -f, --file FILE        the segment's file, or a directory to look for it in\n"
    "  -F, --figures GLOB     only figures whose names match; may be repeated\n"
    "      --window TIME      figures of the instance over the last 90s, 5m, 1h instead of over\n"
    "                         the last period; as much of it as is kept\n"
    "  -i, --interval SECONDS of the live view (1)\n"
    "      --version          print the version\n"
    "  -h, --help             print this\n"
    "\n"
    "Exit codes: 0 the master lives; 3 it is dead, the figures are stale; 4 no such instance;\n"
    "5 not readable by this version or this user; 2 wrong options; 1 something else failed.\n";

/* --- options --- */

static int complain(const char *format, ...) PRINTF_LIKE(1, 2);

static int
complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "pstats: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "; try --help\n");
    va_end(args);
    return -1;
}

/* Reads "90s", "5m", "1h" or "90" (seconds). */
static int
parse_time(const char *text, int64_t *ms)
{
    char digits[32];
    size_t n = strlen(text);
    int64_t unit = 1, number;
    if (n > 0 && strchr("smh", text[n - 1]) != NULL) {
        n--;
        unit = text[n] == 'h' ? 3600 : text[n] == 'm' ? 60 : 1;
    }
    if (n >= sizeof(digits))
        return -1;
    memcpy(digits, text, n);
    digits[n] = '\0';
    if (num_parse_int(digits, 1, WINDOW_MAX_SECONDS / unit, &number) == -1)
        return -1;
    *ms = number * unit * 1000;
    return 0;
}

static int
set_form(struct arguments *a, enum form form)
{
    if (a->form != FORM_LIVE && a->form != form)
        return complain("only one of -1, -j, -p, -l and -w");
    a->form = form;
    return 0;
}

static int
add_glob(struct arguments *a, const char *glob)
{
    if (a->choice.n_globs == GLOBS_MAX)
        return complain("too many -F");
    a->globs[a->choice.n_globs++] = glob;
    return 0;
}

enum { OPTION_WINDOW = 256, OPTION_MAN, OPTION_VERSION };

static int
take_option(struct arguments *a, int option)
{
    switch (option) {
    case '1':
        return set_form(a, FORM_TEXT);
    case 'j':
        return set_form(a, FORM_JSON);
    case 'p':
        return set_form(a, FORM_OPENMETRICS);
    case 'l':
        return set_form(a, FORM_LIST);
    case OPTION_MAN:
        return set_form(a, FORM_MAN);
    case 'w':
        if (num_parse_int(optarg, 1, INTERVAL_MAX_SECONDS, &a->watch_seconds) == -1)
            return complain("-w takes 1 to 3600 seconds, not '%s'", optarg);
        return set_form(a, FORM_WATCH);
    case 'n':
        a->instance = optarg;
        return 0;
    case 'f':
        a->file = optarg;
        return 0;
    case 'F':
        return add_glob(a, optarg);
    case 'i':
        if (num_parse_int(optarg, 1, INTERVAL_MAX_SECONDS, &a->interval_seconds) == -1)
            return complain("-i takes 1 to 3600 seconds, not '%s'", optarg);
        return 0;
    case OPTION_WINDOW:
        if (parse_time(optarg, &a->window_ms) == -1)
            return complain("--window takes a time like 90s, 5m or 1h, up to 60h, not '%s'",
                            optarg);
        return 0;
    default:
        return complain("wrong option");
    }
}

static int
take_operands(struct arguments *a, int argc, char **argv)
{
    if (a->form == FORM_WATCH && optind < argc &&
        num_parse_int(argv[optind], 1, INT32_MAX, &a->lines) == 0)
        optind++;
    if (optind < argc)
        return complain("'%s' is not understood", argv[optind]);
    if (a->window_ms > 0 && a->form != FORM_LIVE && a->form != FORM_TEXT && a->form != FORM_JSON)
        return complain("--window is for the live view, -1 and -j");
    return 0;
}

static void
end_with(const char *text)
{
    fputs(text, stdout);
    exit(fflush(stdout) == 0 ? 0 : PSTATS_FAILED);
}

static int
parse_arguments(struct arguments *a, int argc, char **argv)
{
    static const struct option options[] = {{"once", no_argument, NULL, '1'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"openmetrics", no_argument, NULL, 'p'},
                                            {"list", no_argument, NULL, 'l'},
                                            {"watch", required_argument, NULL, 'w'},
                                            {"instance", required_argument, NULL, 'n'},
                                            {"file", required_argument, NULL, 'f'},
                                            {"figures", required_argument, NULL, 'F'},
                                            {"interval", required_argument, NULL, 'i'},
                                            {"window", required_argument, NULL, OPTION_WINDOW},
                                            {"man", no_argument, NULL, OPTION_MAN},
                                            {"version", no_argument, NULL, OPTION_VERSION},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    *a = (struct arguments){.interval_seconds = 1};
    while ((option = getopt_long(argc, argv, "1jplw:n:f:F:i:h", options, NULL)) != -1) {
        if (option == '?')
            return -1; /* getopt has said why */
        if (option == 'h')
            end_with(usage);
        if (option == OPTION_VERSION)
            end_with("pstats (" PACKAGE_NAME ") " PACKAGE_VERSION "\n");
        if (take_option(a, option) == -1)
            return -1;
    }
    a->choice.globs = a->globs;
    return take_operands(a, argc, argv);
}

/* --- forms --- */

static enum pstats_exit
fail(const struct errbuf *err, enum pstats_exit result)
{
    fprintf(stderr, "pstats: %s\n", err->text);
    return result;
}

static enum pstats_exit
print(const struct buf *out, enum pstats_exit result)
{
    struct errbuf err;
    if (out->failed) {
        errbuf_set(&err, "out of memory");
        return fail(&err, PSTATS_FAILED);
    }
    if ((out->size > 0 && fwrite(out->data, 1, out->size, stdout) != out->size) ||
        fflush(stdout) != 0) {
        errbuf_set(&err, "cannot write: %s", strerror(errno));
        return fail(&err, PSTATS_FAILED);
    }
    return result;
}

static enum pstats_exit
print_table(const struct arguments *a)
{
    struct buf out;
    buf_init(&out, OUTPUT_BYTES);
    if (a->form == FORM_MAN)
        pstats_write_man(&out);
    else
        pstats_write_list(&out, &a->choice);
    enum pstats_exit result = print(&out, PSTATS_LIVE);
    buf_free(&out);
    return result;
}

static enum pstats_exit
print_once(const struct arguments *a, struct source *source)
{
    struct errbuf err;
    struct buf out;
    if (source_refresh(source, &err) == -1)
        return fail(&err, PSTATS_FAILED);
    buf_init(&out, OUTPUT_BYTES);
    if (a->form == FORM_JSON)
        figures_write_json(&out, &source->snapshot, &source->origin, source_window(source),
                           &a->choice);
    else if (a->form == FORM_OPENMETRICS)
        openmetrics_write(&out, OPENMETRICS_1, &source->snapshot, source->reader, &source->origin,
                          &a->choice);
    else
        pstats_write_text(&out, source, &a->choice);
    enum pstats_exit result = print(&out, source->origin.stale ? PSTATS_STALE : PSTATS_LIVE);
    buf_free(&out);
    return result;
}

static enum pstats_exit
show(const struct arguments *a, struct source *source)
{
    struct errbuf err;
    enum pstats_exit result;
    if (a->form == FORM_WATCH) {
        result = pstats_watch(source, a->watch_seconds, a->lines, &a->choice, &err);
        return result == PSTATS_FAILED ? fail(&err, result) : result;
    }
    if (a->form == FORM_LIVE && isatty(STDOUT_FILENO) &&
        pstats_run_live(source, a->interval_seconds * 1000, &result, &err))
        return result == PSTATS_FAILED ? fail(&err, result) : result;
    return print_once(a, source);
}

int
main(int argc, char **argv)
{
    struct arguments a;
    struct source source;
    struct shm_reader *reader;
    struct errbuf err;
    char path[PSTATS_PATH_BYTES];
    if (program_begin() == -1)
        return PSTATS_FAILED;
    setlocale(LC_CTYPE, "");
    if (parse_arguments(&a, argc, argv) == -1)
        return PSTATS_USAGE;
    if (a.form == FORM_LIST || a.form == FORM_MAN)
        return (int)print_table(&a);
    enum pstats_exit result = pstats_find(a.instance, a.file, path, &reader, &err);
    if (result != PSTATS_LIVE)
        return (int)fail(&err, result);
    source_init(&source, path, reader, a.window_ms);
    result = show(&a, &source);
    source_free(&source);
    return (int)result;
}
