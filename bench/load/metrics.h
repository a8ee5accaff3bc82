/*
 * metrics — what a run counted: by stage (a stretch of the run that gets a line of its own: before, planned,
 * dual_write,
 * ...), by second, and by app version. Client threads record, one thread moves the stages on and reports.
 */
#ifndef SEGUE_BENCH_METRICS_H
#define SEGUE_BENCH_METRICS_H

#include "bench/load/histogram.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* The two versions of the application: one knows only the old name, the other only the new one. */
enum sg_app { SG_APP_OLD, SG_APP_NEW, SG_APPS };

const char *sg_app_name(enum sg_app app); /* "old", "new" */

struct sg_app_metrics {
    struct sg_histogram latency;
    atomic_ullong errors;     /* statements the server or the proxy refused, connections lost without leave */
    atomic_ullong mismatches; /* answers that differ from what this app or its peer wrote */
    atomic_ullong checks;     /* values compared with the model */
    atomic_ullong breaks;     /* connections lost with --reconnect: outcome looked up afterwards */
};

struct sg_stage {
    char name[32];
    double began_s, ended_s; /* since the start of the run; ended_s < 0 while it lasts */
    struct sg_app_metrics app[SG_APPS];
    long long differing; /* rows whose two columns differ, or that are not as the clients left them; -1: not counted */
};

struct sg_second {
    struct sg_histogram latency[SG_APPS];
};

#define SG_STAGES_MAX 16

struct sg_metrics {
    uint64_t start_ns;
    atomic_int stage; /* index of the stage that lasts */
    size_t stages_len;
    struct sg_stage stages[SG_STAGES_MAX];
    size_t seconds_max;
    struct sg_second *seconds; /* untouched pages cost nothing */
};

uint64_t sg_now_ns(void);

struct sg_metrics *sg_metrics_new(size_t seconds_max);
void sg_metrics_free(struct sg_metrics *metrics);

/* Ends the stage that lasts and begins the next. One thread. */
void sg_metrics_stage(struct sg_metrics *metrics, const char *name);
void sg_metrics_finish(struct sg_metrics *metrics);
double sg_metrics_elapsed_s(const struct sg_metrics *metrics);
size_t sg_metrics_seconds(const struct sg_metrics *metrics);

/* One answered statement: counted for the stage and the second in which it ended. */
void sg_metrics_statement(struct sg_metrics *metrics, enum sg_app app, uint64_t began_ns);
struct sg_app_metrics *sg_metrics_now(struct sg_metrics *metrics, enum sg_app app);

struct sg_totals {
    unsigned long long statements, errors, mismatches, checks, breaks;
    long long differing; /* sum of what was counted */
};
void sg_metrics_totals(const struct sg_metrics *metrics, struct sg_totals *ret_totals);

#endif
