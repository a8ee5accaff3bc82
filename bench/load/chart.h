/*
 * chart — one plot over time as inline SVG: a line for each app version, the stages of the run as bands behind them,
 * and the figures of each second as the tooltip of an invisible strip. No script. Colours come from the page's CSS
 * classes: old, new, band, grid, axis, label.
 */
#ifndef SEGUE_BENCH_CHART_H
#define SEGUE_BENCH_CHART_H

#include "bench/load/metrics.h"

#include <stdbool.h>
#include <stdio.h>

struct sg_chart {
    const char *title, *unit;
    bool logarithmic;
    size_t points;                 /* seconds */
    const double *values[SG_APPS]; /* of each second; negative: nothing was measured */
    const struct sg_stage *stages; /* all ended */
    size_t stages_len;
};

void sg_chart_write(FILE *out, const struct sg_chart *chart);

#endif
