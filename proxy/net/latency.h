/*
 * latency — a histogram of the recent past, written by one thread and read by any, without locks.
 *
 * Time is cut into slices of half a second, kept in a small ring; a reader adds up the two whole slices before the one
 * being written, and that one. Buckets grow by a quarter of a power of two, so a percentile is off by 12 % at most.
 */
#ifndef SEGUE_NET_LATENCY_H
#define SEGUE_NET_LATENCY_H

#include <stdatomic.h>
#include <stdint.h>

#define SG_LATENCY_BUCKETS 112 /* up to 2^29 us: nine minutes */
#define SG_LATENCY_SLICES  4

struct sg_latency {
    struct {
        _Atomic uint64_t number; /* which half second since the clock's start */
        _Atomic uint32_t counts[SG_LATENCY_BUCKETS];
    } slices[SG_LATENCY_SLICES];
};

/* Writer's thread only. now_ns is uv_hrtime's. */
void sg_latency_add(struct sg_latency *latency, uint64_t now_ns, uint64_t elapsed_ns);
/* Adds the counts of about the last second to sums. Any thread. */
void sg_latency_sum(const struct sg_latency *latency, uint64_t now_ns, uint64_t sums[SG_LATENCY_BUCKETS]);
/* The value below which 99 % lie, in microseconds; 0 when there is nothing. */
uint64_t sg_latency_p99_us(const uint64_t sums[SG_LATENCY_BUCKETS]);

#endif
