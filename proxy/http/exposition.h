/*
 * exposition — Prometheus' text format, version 0.0.4: families of samples, each family announced once.
 *
 * Labels are name, value, name, value, NULL; values may hold anything and are escaped.
 */
#ifndef SEGUE_HTTP_EXPOSITION_H
#define SEGUE_HTTP_EXPOSITION_H

#include "proxy/net/histogram.h"
#include "segue/arena.h"

#include <stdint.h>
#include <stdio.h>

struct sg_exposition {
    FILE *out;
    struct sg_arena *arena;
    const char *family; /* the one that samples belong to now */
};

enum sg_metric_type { SG_METRIC_COUNTER, SG_METRIC_GAUGE, SG_METRIC_HISTOGRAM };

/* A family begins. name and help outlive it. */
void sg_expose(struct sg_exposition *to, const char *name, enum sg_metric_type type, const char *help);
/* A sample of it. labels NULL: none. */
void sg_expose_sample(struct sg_exposition *to, const char *const *labels, double value);
/* The samples of a histogram, counted in units of so many seconds. */
void sg_expose_histogram(struct sg_exposition *to, const char *const *labels, const struct sg_histogram_sums *sums,
                         double unit_s);
/* A family of one sample without labels. */
void sg_expose_one(struct sg_exposition *to, const char *name, enum sg_metric_type type, const char *help,
                   double value);

#endif
