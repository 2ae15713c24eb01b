/* SPDX-License-Identifier: Apache-2.0 */
/* perf_run.c - see perf_run.h. */
#include "perf/report/perf_run.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "perf/report/perf_sum.h"

enum { NAP_MS = 100, ARGUMENTS_MAX = 128, PATH_BYTES = 4096 };

/* --- the load --- */

struct load {
    pid_t pid; /* 0: none runs */
    int fd;    /* its standard output */
    bool failed, ended;
};

/* Beside our own program if it is there, else on the PATH. */
static const char *
find_load(char path[PATH_BYTES])
{
    static const char name[] = "persister-load";
    ssize_t n = readlink("/proc/self/exe", path, PATH_BYTES - sizeof(name) - 1);
    char *slash = n > 0 ? memrchr(path, '/', (size_t)n) : NULL;
    if (slash == NULL)
        return name;
    memcpy(slash + 1, name, sizeof(name));
    return access(path, X_OK) == 0 ? path : name;
}

static int
start_load(struct load *load, char **arguments)
{
    char path[PATH_BYTES], json[] = "--json";
    char *argv[ARGUMENTS_MAX + 3];
    size_t n = 0;
    int pipes[2];
    argv[n++] = (char *)(uintptr_t)find_load(path);
    argv[n++] = json;
    for (size_t i = 0; arguments[i] != NULL && i < ARGUMENTS_MAX; i++)
        argv[n++] = arguments[i];
    argv[n] = NULL;
    if (pipe2(pipes, O_CLOEXEC) == -1)
        return -1;
    load->pid = fork();
    if (load->pid == 0) {
        dup2(pipes[1], STDOUT_FILENO);
        execvp(argv[0], argv);
        fprintf(stderr, "persister-perf: %s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    close(pipes[1]);
    load->fd = pipes[0];
    return load->pid == -1 ? -1 : 0;
}

/* The number behind `"good": ` in its summary. */
static int64_t
read_good(int fd)
{
    char text[4096];
    size_t n = 0;
    ssize_t got;
    while (n < sizeof(text) - 1 && (got = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
        n += (size_t)got;
    text[n] = '\0';
    const char *good = strstr(text, "\"good\": ");
    return good == NULL ? -1 : strtoll(good + 8, NULL, 10);
}

/* Takes: whether to wait for its end. Sets how many messages to wait for, unless that is known. */
static void
look_after_load(struct load *load, bool wait, int64_t *messages)
{
    int status;
    if (load->pid <= 0 || waitpid(load->pid, &status, wait ? 0 : WNOHANG) != load->pid)
        return;
    int64_t good = read_good(load->fd);
    close(load->fd);
    load->pid = 0;
    load->ended = true;
    load->failed = !WIFEXITED(status) || WEXITSTATUS(status) != 0 || good == -1;
    if (load->failed)
        fprintf(stderr, "persister-perf: the load failed\n");
    if (*messages == -1)
        *messages = good;
}

/* --- counting --- */

static bool
is_known_before(const struct reading *readings, size_t reading, const char *instance)
{
    for (size_t i = 0; i < reading; i++)
        for (size_t k = 0; k < readings[i].n; k++)
            if (strcmp(readings[i].tracks[k].instance, instance) == 0)
                return true;
    return false;
}

void
perf_run_count(const struct reading *readings, size_t n, double *received, double *completed)
{
    *received = *completed = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < readings[i].n; k++) {
            const struct reading_track *t = &readings[i].tracks[k];
            struct perf_totals totals;
            /* An unnamed instance is another one with each source. */
            if (!perf_is_first(&readings[i], k) ||
                (t->instance[0] != '\0' && is_known_before(readings, i, t->instance)))
                continue;
            if (perf_sum_processes(&readings[i], t->instance, &totals) == 0)
                perf_sum(t, &totals);
            *received += isnan(totals.received) ? 0 : totals.received;
            *completed += isnan(totals.completed) ? 0 : totals.completed;
        }
}

static void
look(struct perf_sources *sources, int64_t since_ms, double *received, double *completed)
{
    struct reading readings[PERF_SOURCES_MAX] = {{.n = 0}};
    for (size_t i = 0; i < sources->n; i++) {
        struct errbuf err = {.text = ""};
        if (source_poll(sources->sources[i], &err) == -1 ||
            source_read(sources->sources[i], since_ms, clock_wall_ms() + 1, &readings[i], &err) ==
                -1) {
            if (strcmp(sources->errors[i].text, err.text) != 0)
                fprintf(stderr, "persister-perf: %s; trying again\n", err.text);
            sources->errors[i] = err;
        } else {
            sources->errors[i].text[0] = '\0';
        }
    }
    perf_run_count(readings, sources->n, received, completed);
    for (size_t i = 0; i < sources->n; i++)
        reading_free(&readings[i]);
}

/* --- the run --- */

static void
nap(int64_t until_ms, const volatile sig_atomic_t *stop)
{
    const struct timespec t = {.tv_nsec = NAP_MS * 1000000};
    while (!*stop && clock_mono_ms() < until_ms)
        nanosleep(&t, NULL);
}

static void
show(double received, double completed, int64_t messages, int64_t since_ms)
{
    double seconds = (double)(clock_wall_ms() - since_ms) / 1000;
    bool terminal = isatty(STDERR_FILENO);
    fprintf(stderr, "%s%.0f s: received %.0f, completed %.0f", terminal ? "\r" : "", seconds,
            received, completed);
    if (messages >= 0)
        fprintf(stderr, " of %lld", (long long)messages);
    fprintf(stderr, "%s", terminal ? "\033[K" : "\n");
}

bool
perf_run(const struct perf_args *args, struct perf_sources *sources, int64_t since_ms,
         const volatile sig_atomic_t *stop)
{
    struct load load = {.fd = -1};
    int64_t messages = args->messages, give_up_ms = clock_mono_ms() + args->timeout_s * 1000;
    double received = 0, completed = 0;
    bool done = false;
    if (args->load != NULL && start_load(&load, args->load) == -1) {
        fprintf(stderr, "persister-perf: cannot start a load: %s\n", strerror(errno));
        return false;
    }
    while (!done && !load.failed && !*stop && clock_mono_ms() < give_up_ms) {
        int64_t next_ms = clock_mono_ms() + args->wait_s * 1000;
        nap(next_ms < give_up_ms ? next_ms : give_up_ms, stop);
        look_after_load(&load, false, &messages);
        look(sources, since_ms, &received, &completed);
        show(received, completed, messages, since_ms);
        /* What is rejected is received, too, and never completed: then -n says how many are good.
         */
        done = messages >= 0 && load.pid == 0 && received >= (double)messages &&
               completed >= (double)messages;
    }
    if (isatty(STDERR_FILENO))
        fputc('\n', stderr);
    if (load.pid > 0) {
        kill(load.pid, SIGTERM);
        look_after_load(&load, true, &messages);
    }
    return done;
}
