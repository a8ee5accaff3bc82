/*
 * histogram — latencies in microseconds, log-linear as HdrHistogram's: 32 steps to each doubling, so a percentile is
 * true to about 3 %. Any number of threads may record while others read; a reader sees some recent state.
 * All zero is an empty histogram. Values above 2^31 us are counted as that.
 */
#ifndef SEGUE_BENCH_HISTOGRAM_H
#define SEGUE_BENCH_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#define SG_HISTOGRAM_BUCKETS 864

struct sg_histogram {
    atomic_uint counts[SG_HISTOGRAM_BUCKETS];
    atomic_uint max_us;
};

void sg_histogram_record(struct sg_histogram *histogram, uint64_t us);
uint64_t sg_histogram_count(const struct sg_histogram *histogram);
/* quantile in 0..1; 0 when nothing was recorded. The largest value recorded is exact. */
double sg_histogram_quantile_us(const struct sg_histogram *histogram, double quantile);
void sg_histogram_add(struct sg_histogram *into, const struct sg_histogram *from);

#endif
