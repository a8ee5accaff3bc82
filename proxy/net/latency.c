#include "latency.h"

#define SLICE_NS    500000000ull
#define SUB_BUCKETS 4u /* per power of two */
#define SLICES_READ 3u /* the current one and the two before it */

static unsigned bucket_of(uint64_t us) {
    if (us < SUB_BUCKETS) {
        return (unsigned)us;
    }
    unsigned power = 63u - (unsigned)__builtin_clzll(us);
    unsigned sub = (unsigned)(us >> (power - 2u)) & (SUB_BUCKETS - 1u);
    unsigned bucket = (power - 1u) * SUB_BUCKETS + sub;
    return bucket < SG_LATENCY_BUCKETS ? bucket : SG_LATENCY_BUCKETS - 1u;
}

static uint64_t bucket_top_us(unsigned bucket) {
    if (bucket < SUB_BUCKETS) {
        return bucket;
    }
    unsigned power = bucket / SUB_BUCKETS + 1u;
    return ((uint64_t)(SUB_BUCKETS + bucket % SUB_BUCKETS + 1u) << (power - 2u)) - 1u;
}

void sg_latency_add(struct sg_latency *latency, uint64_t now_ns, uint64_t elapsed_ns) {
    uint64_t number = now_ns / SLICE_NS;
    unsigned slot = (unsigned)(number % SG_LATENCY_SLICES);
    /* The only writer is this thread: plain load, add, store, without a locked instruction. */
    if (atomic_load_explicit(&latency->slices[slot].number, memory_order_relaxed) != number) {
        for (unsigned i = 0; i < SG_LATENCY_BUCKETS; i++) {
            atomic_store_explicit(&latency->slices[slot].counts[i], 0, memory_order_relaxed);
        }
        atomic_store_explicit(&latency->slices[slot].number, number, memory_order_release);
    }
    _Atomic uint32_t *count = &latency->slices[slot].counts[bucket_of(elapsed_ns / 1000u)];
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1u, memory_order_relaxed);
}

void sg_latency_sum(const struct sg_latency *latency, uint64_t now_ns, uint64_t sums[SG_LATENCY_BUCKETS]) {
    uint64_t number = now_ns / SLICE_NS;
    for (unsigned slot = 0; slot < SG_LATENCY_SLICES; slot++) {
        uint64_t written = atomic_load_explicit(&latency->slices[slot].number, memory_order_acquire);
        if (written > number || number - written >= SLICES_READ) {
            continue;
        }
        for (unsigned i = 0; i < SG_LATENCY_BUCKETS; i++) {
            sums[i] += atomic_load_explicit(&latency->slices[slot].counts[i], memory_order_relaxed);
        }
    }
}

uint64_t sg_latency_p99_us(const uint64_t sums[SG_LATENCY_BUCKETS]) {
    uint64_t total = 0;
    for (unsigned i = 0; i < SG_LATENCY_BUCKETS; i++) {
        total += sums[i];
    }
    if (total == 0) {
        return 0;
    }
    uint64_t rank = total - total / 100u; /* how many lie at or below the answer */
    uint64_t seen = 0;
    for (unsigned i = 0; i < SG_LATENCY_BUCKETS; i++) {
        seen += sums[i];
        if (seen >= rank) {
            uint64_t us = bucket_top_us(i);
            return us > 0 ? us : 1;
        }
    }
    return bucket_top_us(SG_LATENCY_BUCKETS - 1u);
}
