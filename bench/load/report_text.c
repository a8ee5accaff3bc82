#include "bench/load/report.h"

#include <string.h>

void sg_figures_of(const struct sg_stage *stage, enum sg_app app, struct sg_figures *ret_figures) {
    struct sg_histogram both = {0};
    struct sg_figures figures = {.seconds = stage->ended_s - stage->began_s};
    for (int i = 0; i < SG_APPS; i++) {
        if (app != SG_APPS && app != (enum sg_app)i)
            continue;
        sg_histogram_add(&both, &stage->app[i].latency);
        figures.errors += stage->app[i].errors + stage->app[i].mismatches;
        figures.breaks += stage->app[i].breaks;
    }
    figures.statements = sg_histogram_count(&both);
    figures.per_second = figures.seconds > 0 ? (double)figures.statements / figures.seconds : 0;
    figures.p50_ms = sg_histogram_quantile_us(&both, 0.5) / 1000;
    figures.p99_ms = sg_histogram_quantile_us(&both, 0.99) / 1000;
    figures.max_ms = sg_histogram_quantile_us(&both, 1) / 1000;
    *ret_figures = figures;
}

void sg_report_header(FILE *out) {
    fprintf(out, "%-10s %8s %10s %10s %9s %8s %8s %8s %7s %7s\n", "phase", "seconds", "old app", "new app", "per s",
            "p50 ms", "p99 ms", "max ms", "errors", "differ");
    fflush(out);
}

void sg_report_stage(FILE *out, const struct sg_stage *stage) {
    struct sg_figures both, old_app, new_app;
    char differing[24] = "-";
    sg_figures_of(stage, SG_APPS, &both);
    sg_figures_of(stage, SG_APP_OLD, &old_app);
    sg_figures_of(stage, SG_APP_NEW, &new_app);
    if (stage->differing >= 0)
        snprintf(differing, sizeof(differing), "%lld", stage->differing);
    fprintf(out, "%-10s %8.1f %10llu %10llu %9.0f %8.2f %8.2f %8.1f %7llu %7s\n", stage->name, both.seconds,
            old_app.statements, new_app.statements, both.per_second, both.p50_ms, both.p99_ms, both.max_ms, both.errors,
            differing);
    fflush(out);
}

void sg_report_summary(FILE *out, const struct sg_report *report) {
    struct sg_totals totals;
    sg_metrics_totals(report->metrics, &totals);
    fprintf(out, "\n%llu statements, %llu values compared, %llu errors, %llu wrong answers", totals.statements,
            totals.checks, totals.errors, totals.mismatches);
    if (totals.breaks > 0)
        fprintf(out, ", %llu connections lost and made again", totals.breaks);
    if (report->audited_rows >= 0)
        fprintf(out, "\n%lld rows compared with what the clients wrote, %lld differ", report->audited_rows,
                totals.differing);
    fprintf(out, "\n%s\n", report->ok ? "fine: nobody noticed" : "FAILED");
    fflush(out);
}
