/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_plot.c - three plots above each other, over the time: rates, request times, lag. By gnuplot,
 * which is told what to do through a pipe, without a shell. See perf_print.h.
 *
 * Process: persister-perf.  Owner: the caller.  Concurrency: one thread; gnuplot is a child.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perf/report/perf_print.h"

static const struct reading_track *
track_at(const struct perf_report *report, size_t *i, const struct reading **reading)
{
    size_t left = *i;
    for (size_t r = 0; r < report->n; r++) {
        if (left < report->readings[r].n) {
            *reading = &report->readings[r];
            ++*i;
            return &report->readings[r].tracks[left];
        }
        left -= report->readings[r].n;
    }
    return NULL;
}

/* A text between double quotes, for gnuplot. */
static void
add_quoted(FILE *to, const char *text)
{
    fputc('"', to);
    for (; *text != '\0'; text++)
        fputc(*text == '"' || *text == '\\' || (unsigned char)*text < ' ' ? '_' : *text, to);
    fputc('"', to);
}

static void
add_value(FILE *to, double value)
{
    if (isnan(value))
        fputs(" NaN", to);
    else
        fprintf(to, " %.10g", value);
}

/* A block of data for each track: $d0, $d1, ... Returns: how many. */
static size_t
write_data(FILE *to, const struct perf_report *report)
{
    const struct reading_track *t;
    const struct reading *r;
    size_t i = 0;
    while ((t = track_at(report, &i, &r)) != NULL) {
        fprintf(to, "$d%zu << END\n", i - 1);
        for (size_t k = 0; k < t->n; k++) {
            const struct reading_row *row = &t->rows[k];
            double seconds = (double)(row->to_ms - row->from_ms) / 1000;
            fprintf(to, "%.3f", (double)row->to_ms / 1000);
            add_value(to, row->received / seconds);
            add_value(to, row->completed / seconds);
            add_value(to, row->time_avg_ms);
            add_value(to, row->time_min_ms);
            add_value(to, row->time_max_ms);
            add_value(to, row->lag);
            fputc('\n', to);
        }
        if (t->n == 0)
            fputs("0 NaN NaN NaN NaN NaN NaN\n", to);
        fputs("END\n", to);
    }
    return i;
}

/* The line of each track in one of the columns. */
static void
write_lines(FILE *to, const struct perf_report *report, int column, const char *what,
            const char **separator)
{
    const struct reading_track *t;
    const struct reading *r;
    size_t i = 0;
    while ((t = track_at(report, &i, &r)) != NULL) {
        char title[512];
        snprintf(title, sizeof(title), "%s %s%s%.100s", what, t->instance,
                 t->process[0] != '\0' ? " " : "", t->process);
        if (report->n > 1)
            snprintf(title + strlen(title), sizeof(title) - strlen(title), " (%.100s)", r->source);
        fprintf(to, "%s $d%zu using 1:%d with linespoints pt 7 ps 0.3 title ", *separator, i - 1,
                column);
        add_quoted(to, title);
        *separator = ",";
    }
}

static void
write_plot(FILE *to, const struct perf_report *report, const char *label, const int *columns,
           const char *const *names, size_t n)
{
    const char *separator = "plot";
    fprintf(to, "set ylabel \"%s\"\n", label);
    for (size_t i = 0; i < n; i++)
        write_lines(to, report, columns[i], names[i], &separator);
    fputc('\n', to);
}

static void
write_commands(FILE *to, const struct perf_report *report, const char *file, const char *terminal)
{
    fprintf(to, "set terminal %s size 1000,900 noenhanced\nset output ", terminal);
    add_quoted(to, file);
    fputs("\nset xdata time\nset timefmt \"%s\"\nset format x \"%H:%M:%S\"\nset grid\n"
          "set key outside right top\nset lmargin 12\nset rmargin 36\nset yrange [0:*]\n",
          to);
    if (write_data(to, report) == 0)
        return;
    fputs("set multiplot layout 3,1\n", to);
    write_plot(to, report, "messages a second", (const int[]){2, 3},
               (const char *const[]){"received", "completed"}, 2);
    write_plot(to, report, "request time, ms", (const int[]){5, 4, 6},
               (const char *const[]){"min", "avg", "max"}, 3);
    write_plot(to, report, "lag, messages", (const int[]){7}, (const char *const[]){"lag"}, 1);
    fputs("unset multiplot\n", to);
}

static pid_t
start_gnuplot(int *to)
{
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) == -1)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(pipes[0], STDIN_FILENO);
        execlp("gnuplot", "gnuplot", (char *)NULL);
        _exit(127);
    }
    close(pipes[0]);
    if (pid == -1)
        close(pipes[1]);
    *to = pipes[1];
    return pid;
}

int
perf_plot(const struct perf_report *report, const char *file, struct errbuf *err)
{
    size_t n = strlen(file);
    bool svg = n > 4 && strcmp(file + n - 4, ".svg") == 0;
    if (!svg && (n <= 4 || strcmp(file + n - 4, ".png") != 0))
        return errbuf_set(err, "--plot %s: allowed: a name that ends in .svg or .png", file);
    if (report->n == 0)
        return errbuf_set(err, "--plot %s: there is nothing to draw", file);
    int fd, status;
    pid_t pid = start_gnuplot(&fd);
    if (pid == -1)
        return errbuf_set(err, "--plot: cannot start gnuplot: %s", strerror(errno));
    signal(SIGPIPE, SIG_IGN);
    FILE *to = fdopen(fd, "w");
    if (to != NULL) {
        write_commands(to, report, file, svg ? "svg" : "png");
        fclose(to);
    } else {
        close(fd);
    }
    while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return errbuf_set(err, "--plot: there is no gnuplot (Debian: gnuplot-nox)");
    return errbuf_set(err, "--plot %s: gnuplot failed, see above", file);
}
