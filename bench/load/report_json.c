#include "bench/load/report.h"

#include "bench/load/complaints.h"

#include <stdlib.h>
#include <string.h>

static void put_string(FILE *out, const char *text) {
    fputc('"', out);
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(out, "\\%c", *c);
        else if ((unsigned char)*c < 0x20)
            fprintf(out, "\\u%04x", (unsigned char)*c);
        else
            fputc(*c, out);
    }
    fputc('"', out);
}

static void put_figures(FILE *out, const char *name, const struct sg_stage *stage, enum sg_app app) {
    struct sg_figures f;
    sg_figures_of(stage, app, &f);
    fprintf(out,
            "\"%s\": {\"statements\": %llu, \"per_second\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
            "\"max_ms\": %.3f, \"errors\": %llu, \"breaks\": %llu}",
            name, f.statements, f.per_second, f.p50_ms, f.p99_ms, f.max_ms, f.errors, f.breaks);
}

static void put_stage(FILE *out, const struct sg_stage *stage) {
    fputs("    {\"phase\": ", out);
    put_string(out, stage->name);
    fprintf(out, ", \"began_s\": %.3f, \"ended_s\": %.3f, ", stage->began_s, stage->ended_s);
    if (stage->differing >= 0)
        fprintf(out, "\"differing\": %lld,\n     ", stage->differing);
    else
        fputs("\"differing\": null,\n     ", out);
    put_figures(out, "both", stage, SG_APPS);
    fputs(",\n     ", out);
    put_figures(out, "old", stage, SG_APP_OLD);
    fputs(",\n     ", out);
    put_figures(out, "new", stage, SG_APP_NEW);
    fputs("}", out);
}

static void put_second(FILE *out, size_t second, const struct sg_second *counts) {
    fprintf(out, "    {\"second\": %zu", second);
    for (int app = 0; app < SG_APPS; app++)
        fprintf(out, ", \"%s\": {\"statements\": %llu, \"p50_ms\": %.3f, \"p99_ms\": %.3f}", sg_app_name(app),
                (unsigned long long)sg_histogram_count(&counts->latency[app]),
                sg_histogram_quantile_us(&counts->latency[app], 0.5) / 1000,
                sg_histogram_quantile_us(&counts->latency[app], 0.99) / 1000);
    fputs("}", out);
}

bool sg_report_json(const char *path, const struct sg_report *report) {
    const struct sg_metrics *metrics = report->metrics;
    struct sg_totals totals;
    FILE *out = fopen(path, "w");
    if (!out) {
        sg_complain("error: cannot write %s", path);
        return false;
    }
    sg_metrics_totals(metrics, &totals);
    fprintf(out,
            "{\"ok\": %s, \"clients\": %d, \"rows\": %lld, \"statements\": %llu, \"checks\": %llu, \"errors\": %llu,\n"
            " \"mismatches\": %llu, \"breaks\": %llu, \"differing\": %lld, \"audited_rows\": %lld,\n \"stages\": [\n",
            report->ok ? "true" : "false", report->options->clients, report->options->rows, totals.statements,
            totals.checks, totals.errors, totals.mismatches, totals.breaks, totals.differing, report->audited_rows);
    for (size_t i = 0; i < metrics->stages_len; i++) {
        put_stage(out, &metrics->stages[i]);
        fputs(i + 1 < metrics->stages_len ? ",\n" : "\n", out);
    }
    fputs(" ],\n \"seconds\": [\n", out);
    for (size_t i = 0; i < sg_metrics_seconds(metrics); i++) {
        put_second(out, i, &metrics->seconds[i]);
        fputs(i + 1 < sg_metrics_seconds(metrics) ? ",\n" : "\n", out);
    }
    fputs(" ],\n \"complaints\": [", out);
    for (size_t i = 0; sg_complaint(i); i++) {
        fputs(i ? ", " : "", out);
        put_string(out, sg_complaint(i));
    }
    fputs("]}\n", out);
    return fclose(out) == 0;
}
