/* Random data of any plan, in pieces of any size, against the slow way. Seeded: a failure prints what repeats it. */
#include "copy_reference.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t next(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1dull;
}

static size_t below(uint64_t *state, size_t n) {
    return (size_t)((next(state) >> 33) % n);
}

/* Mostly what matters to some format. */
static size_t random_lines(uint64_t *state, uint8_t *to, size_t max) {
    static const uint8_t often[] = "\t\t,,|;\n\n\n\r\\\\..\"\"''abNx1\x81\x95\xb1\x8f\x30\\";
    size_t n = below(state, max);
    bool is_crlf = below(state, 4) == 0;
    for (size_t i = 0; i < n; i++) {
        to[i] = below(state, 40) == 0 ? (uint8_t)below(state, 256) : often[below(state, sizeof often - 1)];
        if (is_crlf && to[i] == '\n' && i > 0) {
            to[i - 1] = '\r';
        }
    }
    return n;
}

static size_t put_be(uint8_t *to, uint32_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        to[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    }
    return bytes;
}

/* Tuples, now and then wrong in count or length, cut short now and then. */
static size_t random_tuples(uint64_t *state, const struct sg_copy *copy, uint8_t *to) {
    static const uint8_t head[19] = "PGCOPY\n\377\r\n";
    size_t n = sizeof head;
    memcpy(to, head, sizeof head);
    for (size_t rows = below(state, 6); rows > 0; rows--) {
        uint32_t count = below(state, 12) == 0 ? (uint32_t)below(state, 8) : copy->columns;
        n += put_be(to + n, count, 2);
        for (uint32_t i = 0; i < count; i++) {
            size_t len = below(state, 5);
            bool is_odd = below(state, 30) == 0;
            n += put_be(to + n, len == 4 ? UINT32_MAX : is_odd ? (uint32_t)next(state) : (uint32_t)len, 4);
            for (size_t k = 0; len < 4 && k < len; k++) {
                to[n++] = (uint8_t)below(state, 256);
            }
        }
    }
    n += put_be(to + n, 0xffff, below(state, 3) ? 2 : 0);
    return below(state, 5) ? n : below(state, n + 1);
}

static void check(const struct sg_copy *copy, const uint8_t *in, size_t len, size_t most, uint64_t seed) {
    struct copy_bytes want = copy_reference(copy, in, len), got = copy_transform(copy, in, len, most);
    bool same = want.n == got.n && (want.n == 0 || memcmp(want.v, got.v, want.n) == 0);
    cr_assert(
        same,
        "seed %llu: format %d, header %d, encoding %d, %u columns, %u repeated, %u dropped, pieces of %zu\n[%.*s]\n"
        "became [%.*s]\nnot    [%.*s]",
        (unsigned long long)seed, (int)copy->format, (int)copy->header, (int)copy->encoding, copy->columns,
        copy->repeats, copy->drops, most, (int)len, (const char *)in, (int)got.n, (char *)got.v, (int)want.n,
        (char *)want.v);
    free(want.v);
    free(got.v);
}

static void one(uint64_t seed) {
    uint64_t state = seed * 0x9e3779b97f4a7c15ull + 1;
    struct sg_copy_mark marks[4];
    uint8_t config[8], in[512];
    for (size_t i = 0; i < sizeof config; i++) {
        config[i] = (uint8_t)below(&state, 256);
    }
    struct sg_copy copy = copy_make(config, marks);
    size_t len = copy.format == SG_COPY_BINARY ? random_tuples(&state, &copy, in) : random_lines(&state, in, 60);
    for (size_t most = 0; most < 6; most++) {
        check(&copy, in, len, most, seed);
    }
    check(&copy, in, len, 1 + below(&state, 40), seed);
}

Test(copy_reference, random_data_in_pieces_of_any_size, .timeout = 120) {
    const char *given = getenv("SEGUE_SEED");
    const char *soak = getenv("SEGUE_SOAK");
    uint64_t first = given ? strtoull(given, NULL, 10) : 1;
    uint64_t n = given ? 1 : soak ? strtoull(soak, NULL, 10) : 20000;
    for (uint64_t seed = first; seed < first + n; seed++) {
        one(seed);
    }
}
