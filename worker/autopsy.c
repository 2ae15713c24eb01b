/* SPDX-License-Identifier: Apache-2.0 */
/*
 * autopsy.c - see autopsy.h.
 *
 * A child reads on from the position, one batch of the producer's at a time, in memory that is
 * bounded by what a batch may need, and says in a shared page how far it got.  If it dies, what
 * comes next is what kills: because it becomes larger than there is room for, or because it makes a
 * library crash.  Where that ends is where reading from an offset kills no more, each asked for by a
 * child of its own: one offset after the other at first, since between two batches that kill there
 * may be one that does not; further on, in a batch of many, by doubling and halving.  So there is no
 * verdict without two deaths that happened here, with nothing else going on: a worker that somebody
 * kills by hand, or that dies of something else, leads to a look that finds nothing.
 *
 * The children are the first that the kernel takes should memory be short, and leave no core.  One
 * that it takes while it is small dies of what others need: that is no answer.
 */
#include "worker/autopsy.h"

#include <fcntl.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "record/decode.h"
#include "kafka/kafka_conf.h"

enum {
    SUSPECTS = 16,      /* looked at before one worker goes on */
    READ_MS = 30000,    /* for one child */
    SEARCH_MS = 120000, /* for all about one suspect */
    ONE_BY_ONE = 32,    /* offsets */
    LOOK_MS = 20,
    SMALL_KIB = 64 << 10, /* what a child has that has read nothing of size, and some more */
    CHILD_GOOD = 0,
    CHILD_NOTHING = 3 /* the brokers did not answer */
};

enum answer { ANSWER_KILLS, ANSWER_READS, ANSWER_NONE };

/* What a child says while it lives. */
struct page {
    _Atomic int64_t next; /* behind the last message that it has read */
};

struct autopsy {
    const struct config *cfg;
    enum topic_kind kind;
    bool (*go_on)(void *arg);
    void *arg;
    struct page *page;
    int64_t until_ms;
};

static const struct kafka_setting settings[] = {
    {"enable.partition.eof", "true"},
    {"queued.min.messages", "1"},
    {"fetch.message.max.bytes", "1"}, /* the first batch comes whole all the same (KIP-74) */
    {"fetch.error.backoff.ms", "10"},
};

/* --- in the child --- */

/* Returns: bytes of private memory that this process may write to; 0 if that is not known. */
static size_t
count_data(void)
{
    char text[4096];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd == -1 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd != -1)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *found = strstr(text, "\nVmData:");
    size_t kib = 0;
    for (const char *p = found != NULL ? found + 8 : ""; *p != '\0' && *p != 'k'; p++)
        if (*p >= '0' && *p <= '9')
            kib = kib * 10 + (size_t)(*p - '0');
    return kib << 10;
}

/* What a batch may need: the client is there, and all its threads. */
static void
bound_memory(const struct config *cfg)
{
    struct rlimit limit;
    size_t data = count_data();
    if (data == 0 || getrlimit(RLIMIT_DATA, &limit) == -1)
        return;
    rlim_t most = data + kafka_conf_receive_bytes(cfg) + ((size_t)64 << 20);
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > most)
        limit.rlim_cur = most;
    (void)setrlimit(RLIMIT_DATA, &limit);
}

static void
be_first_to_go(void)
{
    struct rlimit none = {0, 0};
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd != -1 && write(fd, "1000", 4) != 4)
        log_debug("autopsy: oom_score_adj cannot be set");
    if (fd != -1)
        close(fd);
    (void)setrlimit(RLIMIT_CORE, &none);
}

static void
log_nothing(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    (void)level;
    (void)facility;
    (void)text;
}

static rd_kafka_t *
make_client(const struct autopsy *a)
{
    struct errbuf err;
    char text[512];
    rd_kafka_conf_t *conf = kafka_conf_new(a->cfg, a->kind, KAFKA_CONSUMER, &err);
    if (conf == NULL)
        return NULL;
    rd_kafka_conf_set_log_cb(conf, log_nothing);
    if (kafka_conf_set_all(conf, settings, COUNT_OF(settings), &err) == -1)
        return NULL;
    return rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
}

/* Returns: whether there is more to be read. */
static bool
take(const struct autopsy *a, struct decoder *decoder, const rd_kafka_message_t *message)
{
    struct record record;
    struct reject why;
    if (message->err == RD_KAFKA_RESP_ERR__TRANSPORT ||
        message->err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        return true;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return false; /* the end, or what kills nobody */
    if ((int64_t)message->len <= a->cfg->persister.max_message_bytes &&
        decoder_decode(decoder, a->kind, (struct slice){message->payload, message->len}, &record,
                       &why) == -1)
        log_debug("autopsy: offset %lld: %s", (long long)message->offset, why.detail);
    atomic_store(&a->page->next, message->offset + 1);
    return true;
}

/* Reads on until there is nothing more, or as much as a worker would have had in its queue. */
static int
read_on(const struct autopsy *a, int32_t partition, int64_t from, bool one)
{
    rd_kafka_t *rk = make_client(a);
    rd_kafka_topic_t *topic =
        rk != NULL ? rd_kafka_topic_new(rk, a->cfg->topic[a->kind].topic, NULL) : NULL;
    struct decoder *decoder = decoder_new((size_t)a->cfg->persister.max_message_bytes);
    const struct rd_kafka_metadata *metadata;
    if (topic == NULL || decoder == NULL ||
        rd_kafka_metadata(rk, 0, topic, &metadata, READ_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return CHILD_NOTHING;
    bound_memory(a->cfg);
    if (rd_kafka_consume_start(topic, partition, from) == -1)
        return CHILD_NOTHING;
    size_t bytes = 0, most = (size_t)a->cfg->persister.memory_limit_mb << 20;
    for (bool more = true; more && bytes < most;) {
        rd_kafka_message_t *message = rd_kafka_consume(topic, partition, READ_MS);
        if (message == NULL)
            return CHILD_NOTHING;
        bytes += message->len;
        more = take(a, decoder, message) &&
               !(one && message->err == RD_KAFKA_RESP_ERR_NO_ERROR);
        rd_kafka_message_destroy(message);
    }
    return CHILD_GOOD;
}

static void
run_child(const struct autopsy *a, pid_t parent, int32_t partition, int64_t from, bool one)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != parent)
        _exit(CHILD_NOTHING);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    be_first_to_go();
    _exit(read_on(a, partition, from, one));
}

/* --- in the worker --- */

/* What a child's end says of what it read. */
static enum answer
judge_end(int status, long largest_kib)
{
    if (!WIFSIGNALED(status))
        return WEXITSTATUS(status) == CHILD_GOOD ? ANSWER_READS : ANSWER_NONE;
    if (WTERMSIG(status) == SIGTERM || (WTERMSIG(status) == SIGKILL && largest_kib < SMALL_KIB))
        return ANSWER_NONE;
    return ANSWER_KILLS;
}

/* Takes: whether one message is enough. */
static enum answer
ask(struct autopsy *a, int32_t partition, int64_t from, bool one)
{
    const struct timespec pause = {0, LOOK_MS * 1000000};
    int64_t until_ms = clock_mono_ms() + READ_MS;
    int status = 0;
    struct rusage used = {.ru_maxrss = 0};
    pid_t parent = getpid(), pid = fork(), ended = 0;
    if (pid == 0)
        run_child(a, parent, partition, from, one);
    while (pid != -1 && (ended = wait4(pid, &status, WNOHANG, &used)) == 0 && a->go_on(a->arg) &&
           clock_mono_ms() < until_ms)
        nanosleep(&pause, NULL);
    if (pid == -1 || ended == -1)
        return ANSWER_NONE;
    if (ended == 0) {
        kill(pid, SIGKILL);
        (void)waitpid(pid, &status, 0);
        return ANSWER_NONE;
    }
    return judge_end(status, used.ru_maxrss);
}

/* Returns: false if it could not be found out. */
static bool
find_end(struct autopsy *a, int32_t partition, int64_t first, int64_t *end)
{
    int64_t low = first - 1, high = first, step = 1; /* low kills, or is before first */
    bool found = false;                              /* high is known not to kill */
    while (!found || high - low > 1) {
        int64_t at = found ? low + (high - low) / 2 : high;
        enum answer answer = ask(a, partition, at, true);
        if (answer == ANSWER_NONE || clock_mono_ms() >= a->until_ms)
            return false;
        if (answer == ANSWER_READS) {
            found = true;
            high = at;
        } else {
            low = at;
            high = found ? high : at + step;
            if (at - first >= ONE_BY_ONE)
                step *= 2;
        }
    }
    *end = high;
    return true;
}

static void
look_at(struct autopsy *a, struct hands *hands, const struct hands_suspect *suspect)
{
    const char *topic = a->cfg->topic[a->kind].topic;
    struct hands_verdict verdict;
    a->until_ms = clock_mono_ms() + SEARCH_MS;
    atomic_store(&a->page->next, suspect->next);
    log_notice("%s[%d]: workers died again and again at offset %lld; looking for what kills them",
               topic, (int)suspect->partition, (long long)suspect->next);
    enum answer answer = ask(a, suspect->partition, suspect->next, false);
    if (answer == ANSWER_NONE)
        return; /* the next worker looks again */
    verdict.first = verdict.end = atomic_load(&a->page->next);
    if (answer == ANSWER_KILLS && !find_end(a, suspect->partition, verdict.first, &verdict.end))
        return;
    if (verdict.end == verdict.first) {
        log_notice("%s[%d]: nothing found from offset %lld on", topic, (int)suspect->partition,
                   (long long)suspect->next);
        hands_judge(hands, suspect->id, NULL, 0);
        return;
    }
    log_error("%s[%d]: no worker survives offsets %lld to %lld; they are passed over", topic,
              (int)suspect->partition, (long long)verdict.first, (long long)verdict.end - 1);
    hands_judge(hands, suspect->id, &verdict, clock_mono_ms());
}

void
autopsy_run(struct hands *hands, uint32_t key, const struct config *cfg, enum topic_kind kind,
            bool (*go_on)(void *arg), void *arg)
{
    struct hands_suspect suspects[SUSPECTS];
    size_t n = hands_list_suspects(hands, key, suspects, SUSPECTS);
    struct autopsy a = {.cfg = cfg, .kind = kind, .go_on = go_on, .arg = arg};
    if (n == 0)
        return;
    a.page = mmap(NULL, sizeof(*a.page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (a.page == MAP_FAILED)
        return;
    for (size_t i = 0; i < n && go_on(arg); i++)
        look_at(&a, hands, &suspects[i]);
    munmap(a.page, sizeof(*a.page));
}
