/*
 * An entry is   | has side : 1 | disposition : 2 | kind : 5 |
 */
#include "expect.h"

#include "side.h"

#include <stdlib.h>

#define KIND_MASK         0x1fu
#define DISPOSITION_SHIFT 5u
#define DISPOSITION_MASK  0x3u
#define HAS_SIDE          0x80u

static bool is_run(enum sg_expect_kind kind) {
    return kind == SG_EXPECT_QUERY || kind == SG_EXPECT_EXECUTE || kind == SG_EXPECT_FUNCTION;
}

static uint8_t *ring_of(struct sg_expect *expect) {
    return expect->ring ? expect->ring : expect->inline_ring;
}

static uint8_t front_entry(const struct sg_expect *expect) {
    return (expect->ring ? expect->ring : expect->inline_ring)[expect->head];
}

void sg_expect_init(struct sg_expect *expect) {
    *expect = (struct sg_expect){.cap = SG_EXPECT_INLINE};
}

static void grow(struct sg_expect *expect) {
    uint8_t *old = ring_of(expect);
    uint8_t *ring = malloc((size_t)expect->cap * 2u);
    if (!ring) {
        abort();
    }
    for (uint32_t i = 0; i < expect->len; i++) {
        ring[i] = old[(expect->head + i) & (expect->cap - 1u)];
    }
    free(expect->ring);
    expect->ring = ring;
    expect->head = 0;
    expect->cap *= 2u;
}

static void give_memory_back(struct sg_expect *expect) {
    free(expect->ring);
    expect->ring = NULL;
    expect->cap = SG_EXPECT_INLINE;
    expect->head = 0;
}

void sg_expect_push(struct sg_expect *expect, enum sg_expect_kind kind, enum sg_disposition disposition,
                    struct sg_side *side) {
    if (expect->len == expect->cap) {
        grow(expect);
    }
    uint8_t entry = (uint8_t)((unsigned)kind | ((unsigned)disposition << DISPOSITION_SHIFT) | (side ? HAS_SIDE : 0u));
    ring_of(expect)[(expect->head + expect->len++) & (expect->cap - 1u)] = entry;
    expect->runs += is_run(kind);
    if (!side) {
        return;
    }
    side->next = NULL;
    if (expect->last_side) {
        expect->last_side->next = side;
    } else {
        expect->first_side = side;
    }
    expect->last_side = side;
}

bool sg_expect_front(const struct sg_expect *expect, struct sg_expectation *ret) {
    if (expect->len == 0) {
        return false;
    }
    uint8_t entry = front_entry(expect);
    *ret = (struct sg_expectation){
        .kind = (enum sg_expect_kind)(entry & KIND_MASK),
        .disposition = (enum sg_disposition)((entry >> DISPOSITION_SHIFT) & DISPOSITION_MASK),
        .side = entry & HAS_SIDE ? expect->first_side : NULL,
    };
    return true;
}

bool sg_expect_is_front(const struct sg_expect *expect, enum sg_expect_kind kind) {
    return expect->len > 0 && (front_entry(expect) & KIND_MASK) == (unsigned)kind;
}

bool sg_expect_pop(struct sg_expect *expect, struct sg_expectation *ret) {
    if (!sg_expect_front(expect, ret)) {
        return false;
    }
    expect->runs -= is_run(ret->kind);
    expect->head = (expect->head + 1u) & (expect->cap - 1u);
    expect->len--;
    if (ret->side) {
        expect->first_side = ret->side->next;
        expect->last_side = expect->first_side ? expect->last_side : NULL;
        ret->side->next = NULL;
    }
    if (expect->len == 0 && expect->ring) {
        give_memory_back(expect);
    }
    return true;
}

bool sg_expect_copy_in(struct sg_expect *expect) {
    uint8_t *ring = ring_of(expect);
    uint32_t mask = expect->cap - 1u;
    uint32_t to = expect->len > 0 ? 1u : 0u; /* the entry whose COPY it is stays at the front */
    uint32_t from = to;
    bool has_ended = false;
    while (from < expect->len && !has_ended) {
        uint8_t entry = ring[(expect->head + from++) & mask];
        has_ended = (entry & KIND_MASK) == SG_EXPECT_COPY_END;
        if (!has_ended && (entry & KIND_MASK) != SG_EXPECT_SYNC) {
            ring[(expect->head + to++) & mask] = entry;
        }
    }
    while (from < expect->len) {
        ring[(expect->head + to++) & mask] = ring[(expect->head + from++) & mask];
    }
    expect->len = to;
    return has_ended;
}

bool sg_expect_ends_batch(const struct sg_expect *expect) {
    if (expect->len == 0) {
        return true;
    }
    const uint8_t *ring = expect->ring ? expect->ring : expect->inline_ring;
    unsigned kind = ring[(expect->head + expect->len - 1u) & (expect->cap - 1u)] & KIND_MASK;
    return kind == SG_EXPECT_SYNC || kind == SG_EXPECT_QUERY || kind == SG_EXPECT_FUNCTION;
}

void sg_expect_free(struct sg_expect *expect) {
    free(expect->ring);
    expect->ring = NULL;
    expect->len = 0;
}
