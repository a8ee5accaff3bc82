/* report — what a run was, as a table for people, JSON for programs, and an HTML page with plots. */
#ifndef SEGUE_BENCH_REPORT_H
#define SEGUE_BENCH_REPORT_H

#include "bench/load/metrics.h"
#include "bench/load/options.h"

#include <stdbool.h>
#include <stdio.h>

struct sg_report {
    const struct sg_options *options;
    const struct sg_metrics *metrics;
    const char *server;     /* version, or NULL */
    long long audited_rows; /* compared at the end; -1: not compared */
    bool ok;
};

/* A stage's figures over both apps or one, as every report shows them. */
struct sg_figures {
    double seconds, per_second, p50_ms, p99_ms, max_ms;
    unsigned long long statements, errors, breaks;
};
/* app: SG_APPS for both together. */
void sg_figures_of(const struct sg_stage *stage, enum sg_app app, struct sg_figures *ret_figures);

void sg_report_header(FILE *out);
void sg_report_stage(FILE *out, const struct sg_stage *stage);
void sg_report_summary(FILE *out, const struct sg_report *report);

bool sg_report_json(const char *path, const struct sg_report *report);
bool sg_report_html(const char *path, const struct sg_report *report);

#endif
