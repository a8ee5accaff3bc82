/*
 * histogram — how long things took since the process started, as Prometheus wants it. Written by one thread and read by
 * any, without locks.
 *
 * Bucket i counts what took at most 2^i units and more than 2^(i-1): finding it is one instruction.
 */
#ifndef SEGUE_NET_HISTOGRAM_H
#define SEGUE_NET_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define SG_HISTOGRAM_BUCKETS 28 /* the last one takes what is longer: in microseconds, than a minute */

struct sg_histogram {
    _Atomic uint64_t counts[SG_HISTOGRAM_BUCKETS];
    _Atomic uint64_t sum;
};

static inline size_t sg_histogram_bucket(uint64_t value) {
    size_t bucket = value <= 1 ? 0 : 64u - (size_t)__builtin_clzll(value - 1);
    return bucket < SG_HISTOGRAM_BUCKETS ? bucket : SG_HISTOGRAM_BUCKETS - 1u;
}

/* Writer's thread only: no locked instruction. */
static inline void sg_histogram_add(struct sg_histogram *histogram, uint64_t value) {
    _Atomic uint64_t *count = &histogram->counts[sg_histogram_bucket(value)];
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1, memory_order_relaxed);
    atomic_store_explicit(&histogram->sum, atomic_load_explicit(&histogram->sum, memory_order_relaxed) + value,
                          memory_order_relaxed);
}

/* Sums over several. */
struct sg_histogram_sums {
    uint64_t counts[SG_HISTOGRAM_BUCKETS], sum;
};

static inline void sg_histogram_take(const struct sg_histogram *histogram, struct sg_histogram_sums *sums) {
    for (size_t i = 0; i < SG_HISTOGRAM_BUCKETS; i++) {
        sums->counts[i] += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
    }
    sums->sum += atomic_load_explicit(&histogram->sum, memory_order_relaxed);
}

#endif
