/* SPDX-License-Identifier: Apache-2.0 */
/* statsd_dimensions.c - see statsd_dimensions.h. */
#include "statsd/statsd_dimensions.h"

#include <stdlib.h>

/* Cuts blanks off both ends, in place. */
static char *
trim(char *text)
{
    text += strspn(text, " \t");
    size_t n = strlen(text);
    while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t'))
        n--;
    text[n] = '\0';
    return text;
}

int
statsd_dimensions_parse(const char *text, struct statsd_dimensions *dimensions)
{
    size_t most = 1;
    for (const char *p = text; *p != '\0'; p++)
        most += *p == ',';
    *dimensions = (struct statsd_dimensions){.text = strdup(text),
                                             .list = calloc(most, sizeof(*dimensions->list))};
    if (dimensions->text == NULL || dimensions->list == NULL) {
        statsd_dimensions_free(dimensions);
        return -1;
    }
    for (char *rest = dimensions->text, *pair; (pair = strsep(&rest, ",")) != NULL;) {
        char *value = strchr(pair, ':');
        if (value == NULL)
            continue; /* only blanks: nothing else comes through the check */
        *value++ = '\0';
        dimensions->list[dimensions->n++] =
            (struct statsd_dimension){.key = trim(pair), .value = trim(value)};
    }
    return 0;
}

void
statsd_dimensions_free(struct statsd_dimensions *dimensions)
{
    free(dimensions->text);
    free(dimensions->list);
    *dimensions = (struct statsd_dimensions){.n = 0};
}
