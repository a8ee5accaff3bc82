#include "bench/load/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

const char *sg_app_name(enum sg_app app) {
    return app == SG_APP_OLD ? "old" : "new";
}

uint64_t sg_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

struct sg_metrics *sg_metrics_new(size_t seconds_max) {
    struct sg_metrics *metrics = calloc(1, sizeof(*metrics));
    struct sg_second *seconds = calloc(seconds_max, sizeof(*seconds));
    if (!metrics || !seconds)
        abort();
    metrics->start_ns = sg_now_ns();
    metrics->seconds = seconds;
    metrics->seconds_max = seconds_max;
    return metrics;
}

void sg_metrics_free(struct sg_metrics *metrics) {
    if (!metrics)
        return;
    free(metrics->seconds);
    free(metrics);
}

double sg_metrics_elapsed_s(const struct sg_metrics *metrics) {
    return (double)(sg_now_ns() - metrics->start_ns) / 1e9;
}

size_t sg_metrics_seconds(const struct sg_metrics *metrics) {
    if (metrics->stages_len == 0)
        return 0;
    size_t seconds = (size_t)metrics->stages[metrics->stages_len - 1].ended_s + 1;
    return seconds < metrics->seconds_max ? seconds : metrics->seconds_max;
}

void sg_metrics_finish(struct sg_metrics *metrics) {
    if (metrics->stages_len > 0)
        metrics->stages[metrics->stages_len - 1].ended_s = sg_metrics_elapsed_s(metrics);
}

void sg_metrics_stage(struct sg_metrics *metrics, const char *name) {
    if (metrics->stages_len == SG_STAGES_MAX)
        abort();
    sg_metrics_finish(metrics);
    struct sg_stage *stage = &metrics->stages[metrics->stages_len];
    snprintf(stage->name, sizeof(stage->name), "%s", name);
    stage->began_s = sg_metrics_elapsed_s(metrics);
    stage->ended_s = -1;
    stage->differing = -1;
    atomic_store(&metrics->stage, (int)metrics->stages_len++);
}

struct sg_app_metrics *sg_metrics_now(struct sg_metrics *metrics, enum sg_app app) {
    return &metrics->stages[atomic_load(&metrics->stage)].app[app];
}

void sg_metrics_statement(struct sg_metrics *metrics, enum sg_app app, uint64_t began_ns) {
    uint64_t now_ns = sg_now_ns();
    uint64_t us = (now_ns - began_ns) / 1000;
    size_t second = (size_t)((now_ns - metrics->start_ns) / 1000000000ULL);
    sg_histogram_record(&sg_metrics_now(metrics, app)->latency, us);
    if (second < metrics->seconds_max)
        sg_histogram_record(&metrics->seconds[second].latency[app], us);
}

void sg_metrics_totals(const struct sg_metrics *metrics, struct sg_totals *ret_totals) {
    struct sg_totals totals = {0};
    for (size_t i = 0; i < metrics->stages_len; i++) {
        const struct sg_stage *stage = &metrics->stages[i];
        for (int app = 0; app < SG_APPS; app++) {
            totals.statements += sg_histogram_count(&stage->app[app].latency);
            totals.errors += stage->app[app].errors;
            totals.mismatches += stage->app[app].mismatches;
            totals.checks += stage->app[app].checks;
            totals.breaks += stage->app[app].breaks;
        }
        totals.differing += stage->differing > 0 ? stage->differing : 0;
    }
    *ret_totals = totals;
}
