#include "bench/load/histogram.h"

#define STEPS     32 /* to each doubling */
#define STEP_BITS 5
#define MAX_US    0x7fffffffU

static unsigned bucket_of(uint64_t us) {
    if (us < STEPS)
        return (unsigned)us;
    unsigned doubling = 63U - (unsigned)__builtin_clzll(us);
    return (doubling - STEP_BITS + 1) * STEPS + (unsigned)((us >> (doubling - STEP_BITS)) & (STEPS - 1));
}

/* The middle of a bucket. */
static double bucket_us(unsigned bucket) {
    if (bucket < STEPS)
        return bucket;
    unsigned shift = bucket / STEPS - 1;
    uint64_t low = (uint64_t)(STEPS + bucket % STEPS) << shift;
    return (double)low + (double)(1ULL << shift) / 2.0;
}

void sg_histogram_record(struct sg_histogram *histogram, uint64_t us) {
    unsigned value = us > MAX_US ? MAX_US : (unsigned)us;
    atomic_fetch_add_explicit(&histogram->counts[bucket_of(value)], 1, memory_order_relaxed);
    unsigned seen = atomic_load_explicit(&histogram->max_us, memory_order_relaxed);
    while (value > seen && !atomic_compare_exchange_weak(&histogram->max_us, &seen, value))
        ;
}

uint64_t sg_histogram_count(const struct sg_histogram *histogram) {
    uint64_t count = 0;
    for (unsigned i = 0; i < SG_HISTOGRAM_BUCKETS; i++)
        count += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
    return count;
}

double sg_histogram_quantile_us(const struct sg_histogram *histogram, double quantile) {
    uint64_t count = sg_histogram_count(histogram);
    double max_us = atomic_load_explicit(&histogram->max_us, memory_order_relaxed);
    if (count == 0)
        return 0;
    uint64_t wanted = (uint64_t)(quantile * (double)count);
    uint64_t below = 0;
    for (unsigned i = 0; i < SG_HISTOGRAM_BUCKETS; i++) {
        below += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
        if (below > wanted)
            return bucket_us(i) < max_us ? bucket_us(i) : max_us;
    }
    return max_us;
}

void sg_histogram_add(struct sg_histogram *into, const struct sg_histogram *from) {
    for (unsigned i = 0; i < SG_HISTOGRAM_BUCKETS; i++)
        into->counts[i] += atomic_load_explicit(&from->counts[i], memory_order_relaxed);
    unsigned max_us = atomic_load_explicit(&from->max_us, memory_order_relaxed);
    if (max_us > into->max_us)
        into->max_us = max_us;
}
