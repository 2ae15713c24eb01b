/* SPDX-License-Identifier: Apache-2.0 */
/* title.c - see title.h. */
#include "master/title.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lib/base.h"
#include "master/master_priv.h"

enum { SHORT_NAME = 16 }; /* the kernel's TASK_COMM_LEN */

static char program_name[] = "monasca-persister";
static char *room;
static size_t room_size;
static char **moved; /* the environment; libc makes another array of it at the first setenv(3) */

/* Extends an end over a text if that lies right behind it. */
static char *
extend(char *end, char *text)
{
    return text == end ? text + strlen(text) + 1 : end;
}

void
title_init(int argc, char **argv)
{
    if (argc < 1 || argv[0] == NULL)
        return;
    char *end = argv[0];
    size_t n = 0;
    for (int i = 0; i < argc; i++)
        end = extend(end, argv[i]);
    while (environ[n] != NULL)
        n++;
    char **copy = calloc(n + 1, sizeof(*copy));
    if (copy == NULL)
        return;
    for (size_t i = 0; i < n; i++)
        if ((copy[i] = strdup(environ[i])) == NULL) {
            while (i > 0)
                free(copy[--i]);
            free(copy);
            return;
        }
    for (size_t i = 0; i < n; i++)
        end = extend(end, environ[i]);
    environ = moved = copy; /* until the process ends */
    /* libc keeps pointers into argv[0] for the texts of assert and the like. */
    program_invocation_name = program_invocation_short_name = program_name;
    room = argv[0];
    room_size = (size_t)(end - argv[0]);
}

static void
set_short_name(const char *name)
{
    char text[SHORT_NAME];
    size_t n = strlen(name);
    const char *number = strrchr(name, '-');
    size_t tail = number != NULL ? strlen(number) : 0;
    if (n < sizeof(text) || tail + 1 >= sizeof(text))
        tail = 0;
    snprintf(text, sizeof(text) - tail, "%s", name);
    if (tail > 0)
        snprintf(text + strlen(text), tail + 1, "%s", number);
    prctl(PR_SET_NAME, text, 0, 0, 0);
}

void
title_set(const char *name)
{
    set_short_name(name);
    if (room == NULL)
        return;
    memset(room, 0, room_size);
    snprintf(room, room_size, "monasca-persister: %s", name);
}
