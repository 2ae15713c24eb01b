/* SPDX-License-Identifier: Apache-2.0 */
/* decode_fixture.c - see decode_fixture.h. */
#include "tests/unit/decode_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

struct decoder *decoder;
struct record record;
struct reject why;
char *message;

void
decode_set_up(void)
{
    decoder = decoder_new(MAX_MESSAGE);
    cr_assert_not_null(decoder);
    message = NULL;
}

void
decode_tear_down(void)
{
    free(message);
    decoder_free(&decoder);
    cr_assert_null(decoder);
}

int
decode(enum topic_kind kind, const char *text, size_t n)
{
    free(message);
    message = malloc(n > 0 ? n : 1);
    memcpy(message, text, n);
    return decoder_decode(decoder, kind, (struct slice){message, n}, &record, &why);
}

char *
decode_read_corpus(const char *name, size_t *n)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/tests/corpus/%s", SRCDIR, name);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    fseek(file, 0, SEEK_END);
    *n = (size_t)ftell(file);
    rewind(file);
    char *text = malloc(*n + 1);
    cr_assert_eq(fread(text, 1, *n, file), *n);
    text[*n] = '\0';
    fclose(file);
    return text;
}
