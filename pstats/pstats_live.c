/* SPDX-License-Identifier: Apache-2.0 */
/* pstats_live.c - see pstats_live.h. */
#include "pstats/pstats_live.h"

#include <curses.h>
#include <langinfo.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/clock.h"
#include "pstats/pstats_page.h"
#include "pstats/pstats_terminal.h"

enum { ESCAPE = 27, ESCAPE_MS = 25, BACKSPACE = 8, DELETE = 127 };
enum { NEWS_MS = 500, SILENCES_MAX = 20 };

struct live {
    struct source *source;
    struct rates rates;
    struct page page;
    struct page_view view;
    struct snapshot_period periods[SHM_PERIODS];
    size_t n_periods;
    uint64_t buckets[HISTOGRAM_BUCKETS];
    bool ends;
    bool deaf;         /* the keyboard is gone */
    unsigned silences; /* it was readable, and there was nothing */
};

static volatile sig_atomic_t told_to_end;

static void
note_signal(int signal)
{
    (void)signal;
    told_to_end = 1;
}

/* --- the screen --- */

static void
start_colors(void)
{
    const char *none = getenv("NO_COLOR");
    if (!has_colors() || (none != NULL && none[0] != '\0') || start_color() == ERR)
        return;
    short background = use_default_colors() == OK ? -1 : COLOR_BLACK;
    init_pair(PAGE_WARN, COLOR_YELLOW, background);
    init_pair(PAGE_BAD, COLOR_RED, background);
}

/* Nothing needs the colours: the words say it all. */
static attr_t
attributes(enum page_style style)
{
    switch (style) {
    case PAGE_TITLE:
        return A_BOLD;
    case PAGE_HEAD:
        return A_REVERSE;
    case PAGE_WARN:
        return COLOR_PAIR(PAGE_WARN);
    case PAGE_BAD:
        return A_BOLD | COLOR_PAIR(PAGE_BAD);
    default:
        return A_NORMAL;
    }
}

static void
show(struct live *l)
{
    const struct page_data data = {.source = l->source,
                                   .rates = &l->rates,
                                   .periods = l->periods,
                                   .n_periods = l->n_periods,
                                   .buckets = l->buckets};
    l->view.columns = COLS > 0 ? (unsigned)COLS : 80;
    l->view.lines = LINES > 0 ? (unsigned)LINES : 24;
    page_draw(&l->page, &l->view, &data);
    erase();
    for (unsigned i = 0; i < l->page.n; i++) {
        const struct page_row *row = &l->page.rows[i];
        attrset((int)attributes(row->style));
        if (row->size > 0)
            mvaddnstr((int)i, 0, l->page.text.data + row->at, (int)row->size);
    }
    attrset(A_NORMAL);
    refresh();
}

/* --- the figures --- */

static void
read_buckets(struct live *l)
{
    if (l->source->window_ms > 0)
        snapshot_histogram(l->source->reader, l->view.timing, l->source->window_ms, l->buckets);
    else
        memcpy(l->buckets, snapshot_buckets(l->source->reader, l->view.timing), sizeof(l->buckets));
}

static int
look(struct live *l, struct errbuf *err)
{
    if (source_refresh(l->source, err) == -1)
        return -1;
    if (rates_update(&l->rates, &l->source->snapshot) == -1)
        return errbuf_set(err, "out of memory");
    l->n_periods = snapshot_periods(l->source->reader, l->periods, SHM_PERIODS);
    read_buckets(l);
    return 0;
}

/* --- keys --- */

static void
type_filter(struct live *l, int key)
{
    size_t n = strlen(l->view.filter);
    if (key == '\n' || key == '\r' || key == KEY_ENTER)
        l->view.typing = false;
    else if (key == ESCAPE) {
        l->view.typing = false;
        l->view.filter[0] = '\0';
    } else if (key == KEY_BACKSPACE || key == BACKSPACE || key == DELETE) {
        if (n > 0)
            l->view.filter[n - 1] = '\0';
    } else if (key > ' ' && key < DELETE && n + 1 < sizeof(l->view.filter)) {
        l->view.filter[n] = (char)key;
        l->view.filter[n + 1] = '\0';
    }
}

static void
change_interval(struct page_view *view, int direction)
{
    static const int64_t steps[] = {200, 500, 1000, 2000, 5000, 10000, 30000, 60000};
    if (direction > 0) {
        for (size_t i = 0; i < COUNT_OF(steps); i++)
            if (steps[i] > view->interval_ms) {
                view->interval_ms = steps[i];
                return;
            }
        return;
    }
    for (size_t i = COUNT_OF(steps); i > 0; i--)
        if (steps[i - 1] < view->interval_ms) {
            view->interval_ms = steps[i - 1];
            return;
        }
}

static void
scroll_table(struct page_view *view, int key)
{
    size_t step = view->lines > 12 ? view->lines - 10 : 1;
    if (key == KEY_UP || key == KEY_DOWN)
        step = 1;
    if (key == KEY_HOME)
        view->scroll = 0;
    else if (key == KEY_END)
        view->scroll = SIZE_MAX; /* the page knows where the end is */
    else if (key == KEY_DOWN || key == KEY_NPAGE)
        view->scroll += step;
    else
        view->scroll -= view->scroll < step ? view->scroll : step;
}

/* Returns: true if the key was for the histogram. */
static bool
press_in_histogram(struct live *l, int key)
{
    switch (key) {
    case 'r':
        l->view.timing = STAT_REQUEST;
        break;
    case 'd':
        l->view.timing = STAT_DELAY;
        break;
    case 'w':
        l->view.timing = STAT_WRITE;
        break;
    case 'h':
    case ESCAPE:
        l->view.kind = PAGE_PROCESSES;
        break;
    default:
        return false;
    }
    read_buckets(l);
    return true;
}

static void
press(struct live *l, int key)
{
    struct page_view *view = &l->view;
    if (view->typing) {
        type_filter(l, key);
        return;
    }
    if (view->kind == PAGE_HELP && key != KEY_RESIZE && key != 'q') {
        view->kind = PAGE_PROCESSES;
        return;
    }
    if (view->kind == PAGE_HISTOGRAM && press_in_histogram(l, key))
        return;
    switch (key) {
    case 'q':
        l->ends = true;
        break;
    case 's':
        view->sort = (view->sort + 1) % PAGE_SORTS;
        break;
    case 'S':
        view->reverse = !view->reverse;
        break;
    case 't':
        view->kind = PAGE_PROCESSES;
        view->typing = true;
        break;
    case 'p':
        view->paused = !view->paused;
        break;
    case '+':
    case '=':
        change_interval(view, 1);
        break;
    case '-':
        change_interval(view, -1);
        break;
    case 'h':
        view->kind = PAGE_HISTOGRAM;
        break;
    case '?':
        view->kind = PAGE_HELP;
        break;
    case KEY_UP:
    case KEY_DOWN:
    case KEY_PPAGE:
    case KEY_NPAGE:
    case KEY_HOME:
    case KEY_END:
        scroll_table(view, key);
        break;
    default:
        break; /* KEY_RESIZE, too: all is drawn anew */
    }
}

/* --- the loop --- */

/*
 * A keyboard that says "readable" again and again and has nothing to read is gone: it is not asked
 * any more, or we would never sleep.
 */
static void
note_keyboard(struct live *l, const struct pollfd *keyboard, bool any)
{
    if (any)
        l->silences = 0;
    else if (keyboard->revents != 0 && ++l->silences == SILENCES_MAX)
        l->deaf = true;
    if ((keyboard->revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) {
        l->deaf = true;
        l->ends |= isatty(STDOUT_FILENO) == 0; /* the terminal is gone, too */
    }
}

/* Waits for keys until it is time, or a signal comes. */
static void
wait_for_keys(struct live *l, int64_t until_ms)
{
    int64_t ms = until_ms - clock_mono_ms();
    struct pollfd keyboard = {.fd = l->deaf ? -1 : STDIN_FILENO, .events = POLLIN};
    bool any = false;
    if (poll(&keyboard, 1, ms > 0 ? (int)ms : 0) == -1)
        keyboard.revents = 0; /* a signal; if it was the size, that comes as a key */
    for (int key; !l->ends && (key = getch()) != ERR; any = true)
        press(l, key);
    note_keyboard(l, &keyboard, any);
    l->ends |= told_to_end != 0;
}

/* Shows one look at the figures until it is time for the next one. */
static void
stay(struct live *l)
{
    int64_t since_ms = clock_mono_ms();
    bool was_paused = l->view.paused;
    for (;;) {
        int64_t now_ms = clock_mono_ms(), until_ms = since_ms + l->view.interval_ms;
        bool goes_on = l->view.paused || now_ms < until_ms;
        if (l->ends || !goes_on || (was_paused && !l->view.paused))
            return;
        show(l);
        wait_for_keys(l,
                      !l->view.paused && until_ms - now_ms < NEWS_MS ? until_ms : now_ms + NEWS_MS);
        if (!l->view.paused && source_has_news(l->source))
            return;
        was_paused = l->view.paused;
    }
}

static int
run(struct live *l, struct errbuf *err)
{
    while (!l->ends) {
        if (look(l, err) == -1)
            return -1;
        stay(l);
    }
    return 0;
}

static void
catch_signals(void)
{
    struct sigaction action = {.sa_handler = note_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

/* Sets the terminal up. Returns: curses' screen, or NULL if it does not know the terminal. */
static SCREEN *
open_screen(void)
{
    SCREEN *screen = pstats_terminal_is_known() ? newterm(NULL, stdout, stdin) : NULL;
    if (screen == NULL)
        return NULL;
    catch_signals();
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    curs_set(0);
    set_escdelay(ESCAPE_MS);
    start_colors();
    return screen;
}

bool
pstats_run_live(struct source *source, int64_t interval_ms, enum pstats_exit *result,
                struct errbuf *err)
{
    struct live *l = calloc(1, sizeof(*l));
    SCREEN *screen = l != NULL ? open_screen() : NULL;
    if (screen == NULL) {
        free(l);
        return false;
    }
    l->source = source;
    l->view.interval_ms = interval_ms;
    l->view.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    page_init(&l->page);
    int done = run(l, err);
    endwin();
    delscreen(screen);
    *result = done == -1 ? PSTATS_FAILED : source->origin.stale ? PSTATS_STALE : PSTATS_LIVE;
    page_free(&l->page);
    rates_free(&l->rates);
    free(l);
    return true;
}
