/* SPDX-License-Identifier: Apache-2.0 */
/* cql_murmur.c - see cql_murmur.h. */
#include "cql/cql_murmur.h"

#define C1 UINT64_C(0x87c37b91114253d5)
#define C2 UINT64_C(0x4cf5ad432745937f)

static uint64_t
rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static uint64_t
mix(uint64_t x)
{
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ x >> 33;
}

static uint64_t
load(const char *p)
{
    uint64_t x = 0;
    for (unsigned i = 0; i < 8; i++)
        x |= (uint64_t)(unsigned char)p[i] << 8 * i;
    return x;
}

/* The variant: a byte above 127 sets all the bits above it. */
static uint64_t
load_tail(const char *p, size_t n)
{
    uint64_t x = 0;
    for (size_t i = 0; i < n; i++)
        x ^= (uint64_t)(int64_t)(signed char)p[i] << 8 * i;
    return x;
}

int64_t
cql_murmur_token(struct slice key)
{
    uint64_t h1 = 0, h2 = 0;
    const char *p = key.p;
    size_t n = key.n;
    for (; n >= 16; n -= 16, p += 16) {
        h1 ^= rotate(load(p) * C1, 31) * C2;
        h1 = (rotate(h1, 27) + h2) * 5 + 0x52dce729;
        h2 ^= rotate(load(p + 8) * C2, 33) * C1;
        h2 = (rotate(h2, 31) + h1) * 5 + 0x38495ab5;
    }
    if (n > 8)
        h2 ^= rotate(load_tail(p + 8, n - 8) * C2, 33) * C1;
    if (n > 0)
        h1 ^= rotate(load_tail(p, n < 8 ? n : 8) * C1, 31) * C2;
    h1 ^= key.n;
    h2 ^= key.n;
    h1 += h2;
    h2 += h1;
    h1 = mix(h1) + mix(h2);
    return (int64_t)h1 == INT64_MIN ? INT64_MAX : (int64_t)h1;
}
