#include "bench/load/histogram.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define VALUES 20000
#define STEP   1.04 /* a bucket is at most a 32nd of its value wide */

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void expect_close(double got, double want) {
    cr_expect(got <= want * STEP + 1 && got >= want / STEP - 1, "%f must be about %f", got, want);
}

Test(histogram, nothing_recorded_is_nothing) {
    static struct sg_histogram histogram;
    cr_expect_eq(sg_histogram_count(&histogram), 0);
    cr_expect_eq(sg_histogram_quantile_us(&histogram, 0.99), 0);
}

Test(histogram, quantiles_are_those_of_the_sorted_values) {
    static struct sg_histogram histogram;
    static uint64_t values[VALUES];
    uint64_t state = 42;
    for (int i = 0; i < VALUES; i++) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        values[i] = (state >> 33) >> (state >> 59); /* from one to billions, evenly over the doublings */
        sg_histogram_record(&histogram, values[i]);
    }
    qsort(values, VALUES, sizeof(values[0]), by_value);
    cr_expect_eq(sg_histogram_count(&histogram), VALUES);
    for (int percent = 1; percent < 100; percent++)
        expect_close(sg_histogram_quantile_us(&histogram, percent / 100.0), (double)values[VALUES / 100 * percent]);
    cr_expect_eq(sg_histogram_quantile_us(&histogram, 1), (double)values[VALUES - 1], "the largest is exact");
}

Test(histogram, every_value_has_a_bucket) {
    for (int shift = 0; shift < 64; shift++) {
        static struct sg_histogram histogram;
        struct sg_histogram *one = &histogram;
        uint64_t value = 1ULL << shift;
        sg_histogram_record(one, value - 1);
        sg_histogram_record(one, value);
        cr_expect_eq(sg_histogram_count(one), 2 * ((uint64_t)shift + 1));
    }
}

Test(histogram, a_sum_counts_both) {
    static struct sg_histogram one, other;
    sg_histogram_record(&one, 10);
    sg_histogram_record(&other, 1000);
    sg_histogram_record(&other, 2000);
    sg_histogram_add(&one, &other);
    cr_expect_eq(sg_histogram_count(&one), 3);
    cr_expect_eq(sg_histogram_quantile_us(&one, 0), 10);
    cr_expect_eq(sg_histogram_quantile_us(&one, 1), 2000);
}
