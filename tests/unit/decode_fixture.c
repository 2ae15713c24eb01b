/* SPDX-License-Identifier: Apache-2.0 */
/* decode_fixture.c - see decode_fixture.h. */
#include "tests/unit/decode_fixture.h"

#include <criterion/criterion.h>
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
