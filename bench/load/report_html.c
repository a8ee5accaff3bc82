#include "bench/load/report.h"

#include "bench/load/chart.h"
#include "bench/load/complaints.h"

#include <stdlib.h>
#include <string.h>

static const char style[] =
    ":root{color-scheme:light dark;--ground:#f6f7f9;--card:#fff;--ink:#16202c;--soft:#64748b;--rule:#e2e8f0;"
    "--band:#f3f6fa;--band2:#e9eef5;--old:#d97706;--new:#2563eb;--good:#15803d;--bad:#c2261c}\n"
    "@media(prefers-color-scheme:dark){:root{--ground:#0e141b;--card:#161e28;--ink:#e6edf3;--soft:#8b9bb0;"
    "--rule:#273241;--band:#19222d;--band2:#1f2a37;--old:#f5a524;--new:#6ea8fe;--good:#4ade80;--bad:#ff7b72}}\n"
    "*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);"
    "font:15px/1.5 system-ui,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans',sans-serif}\n"
    "main{max-width:1160px;margin:0 auto;padding:36px 20px 56px}h1{font-size:27px;line-height:1.25;margin:0 0 4px;"
    "letter-spacing:-.01em}h1 code{font-size:.92em}h2{font-size:16px;margin:0}small,.soft{color:var(--soft);"
    "font-weight:400}code{font-family:ui-monospace,'DejaVu Sans Mono',Menlo,monospace}\n"
    ".cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:14px;margin:26px 0 18px}\n"
    ".card,figure,.sheet{background:var(--card);border:1px solid var(--rule);border-radius:12px}\n"
    ".card{padding:14px 18px}.card b{display:block;font-size:25px;line-height:1.25;font-variant-numeric:tabular-nums;"
    "letter-spacing:-.01em}.card span{color:var(--soft);font-size:13px}.good b{color:var(--good)}.bad "
    "b{color:var(--bad)}\n"
    "figure{margin:0 0 18px;padding:16px 18px 10px}figcaption{display:flex;justify-content:space-between;"
    "align-items:baseline}.key{color:var(--soft);font-size:13px}.key i{display:inline-block;width:18px;height:3px;"
    "border-radius:2px;margin:0 7px 3px "
    "18px;vertical-align:middle}i.old{background:var(--old)}i.new{background:var(--new)}\n"
    "svg{display:block;width:100%;height:auto;margin-top:2px}.band0{fill:var(--band)}.band1{fill:var(--band2)}"
    ".grid{stroke:var(--rule);stroke-width:1}.cut{stroke:var(--soft);stroke-width:1;stroke-dasharray:2 3;opacity:.75}"
    ".label,.stage{font-size:12px;fill:var(--soft)}.stage{fill:var(--ink);font-weight:600}.end{text-anchor:end}"
    ".middle{text-anchor:middle}.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}"
    ".line.old{stroke:var(--old)}.line.new{stroke:var(--new)}.tip{fill:transparent}.tip:hover{fill:var(--soft);"
    "opacity:.18}\n"
    ".sheet{overflow-x:auto;padding:6px "
    "4px}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
    "th,td{padding:9px 14px;text-align:right;white-space:nowrap}th{color:var(--soft);font-weight:500;font-size:13px}"
    "tbody tr{border-top:1px solid var(--rule)}th:first-child,td:first-child{text-align:left;white-space:normal;"
    "min-width:250px}td small{display:block;font-size:13px}td.bad{color:var(--bad);font-weight:600}"
    "td.good{color:var(--good)}\n"
    "pre{white-space:pre-wrap;margin:12px "
    "18px;font-size:13px}footer{color:var(--soft);font-size:13px;margin-top:22px}\n";

static const struct {
    const char *stage, *meaning;
} meanings[] = {
    {"before", "the old app alone; no migration yet"},
    {"planned", "one column, both names work"},
    {"dual_write", "every write goes to both columns, old rows are copied, PostgreSQL proves each"},
    {"verified", "both columns equal, reads from the old one"},
    {"read_new", "reads from the new column; going back is still free"},
    {"contract", "the old column is being dropped"},
    {"new_only", "the old column is gone, the old app still runs"},
    {"load", "both apps"},
};

static void put_text(FILE *out, const char *text) {
    for (const char *c = text; *c; c++) {
        if (*c == '<')
            fputs("&lt;", out);
        else if (*c == '>')
            fputs("&gt;", out);
        else if (*c == '&')
            fputs("&amp;", out);
        else
            fputc(*c, out);
    }
}

/* 1234567 as 1 234 567, with spaces that do not break. */
static void put_count(FILE *out, unsigned long long count) {
    char digits[32];
    int len = snprintf(digits, sizeof(digits), "%llu", count);
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            fputs("&#8239;", out);
        fputc(digits[i], out);
    }
}

static void put_card(FILE *out, const char *kind, unsigned long long count, const char *text) {
    fprintf(out, "<div class=\"card %s\"><b>", kind);
    put_count(out, count);
    fprintf(out, "</b><span>%s</span></div>\n", text);
}

static void put_head(FILE *out, const struct sg_report *report) {
    const struct sg_names *names = &report->options->names;
    fprintf(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<title>segue: renamed under load</title>"
        "\n<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<style>%s</style></head>"
        "<body><main>\n<h1><code>",
        style);
    put_text(out, names->table);
    fputs(".", out);
    put_text(out, names->old_name);
    fputs(" → ", out);
    put_text(out, names->new_name);
    fputs("</code>, under load</h1>\n<div class=\"soft\">", out);
    fprintf(out, "%d clients of the old app and %d of the new one, %.0f seconds", report->options->clients / 2,
            report->options->clients / 2, report->metrics->stages[report->metrics->stages_len - 1].ended_s);
    if (report->options->rate > 0)
        fprintf(out, ", paced at %lld statements a second", report->options->rate);
    if (report->options->init) {
        fputs(", ", out);
        put_count(out, (unsigned long long)report->options->rows);
        fputs(" rows at the start", out);
    }
    if (report->server) {
        /* Without the packager's addition in parentheses. */
        fprintf(out, ", PostgreSQL %.*s", (int)strcspn(report->server, " <&"), report->server);
    }
    fputs("</div>\n", out);
}

static void put_cards(FILE *out, const struct sg_report *report) {
    struct sg_totals totals;
    sg_metrics_totals(report->metrics, &totals);
    unsigned long long wrong = totals.errors + totals.mismatches;
    fputs("<div class=\"cards\">\n", out);
    put_card(out, wrong ? "bad" : "good", wrong, "failed requests and wrong answers");
    if (report->audited_rows >= 0)
        put_card(out, totals.differing ? "bad" : "good", (unsigned long long)totals.differing, "rows that differ");
    put_card(out, "", totals.statements, "statements");
    put_card(out, "", totals.checks, "values read back and compared");
    if (report->audited_rows >= 0)
        put_card(out, "", (unsigned long long)report->audited_rows, "rows compared at the end");
    if (totals.breaks > 0)
        put_card(out, "", totals.breaks, "connections lost on purpose");
    fputs("</div>\n", out);
}

/* The last second is cut off: it is not a whole one. */
static size_t whole_seconds(const struct sg_metrics *metrics) {
    size_t seconds = sg_metrics_seconds(metrics);
    return seconds > 1 ? seconds - 1 : seconds;
}

static void put_charts(FILE *out, const struct sg_metrics *metrics) {
    size_t points = whole_seconds(metrics);
    double *rate[SG_APPS], *p99[SG_APPS];
    for (int app = 0; app < SG_APPS; app++) {
        rate[app] = calloc(points + 1, sizeof(double));
        p99[app] = calloc(points + 1, sizeof(double));
        if (!rate[app] || !p99[app])
            abort();
        bool began = false;
        for (size_t i = 0; i < points; i++) {
            const struct sg_histogram *latency = &metrics->seconds[i].latency[app];
            uint64_t count = sg_histogram_count(latency);
            began = began || count > 0;
            rate[app][i] = began ? (double)count : -1; /* a second without an answer is a 0, once the app runs */
            p99[app][i] = count > 0 ? sg_histogram_quantile_us(latency, 0.99) / 1000 : -1;
        }
    }
    struct sg_chart chart = {.title = "Throughput",
                             .unit = "statements a second",
                             .points = points,
                             .values = {rate[0], rate[1]},
                             .stages = metrics->stages,
                             .stages_len = metrics->stages_len};
    sg_chart_write(out, &chart);
    chart.title = "Latency, 99th percentile";
    chart.unit = "ms";
    chart.logarithmic = true;
    for (int app = 0; app < SG_APPS; app++)
        chart.values[app] = p99[app];
    sg_chart_write(out, &chart);
    for (int app = 0; app < SG_APPS; app++) {
        free(rate[app]);
        free(p99[app]);
    }
}

static void put_row(FILE *out, const struct sg_stage *stage) {
    struct sg_figures both, one;
    sg_figures_of(stage, SG_APPS, &both);
    fprintf(out, "<tr><td><b>%s</b>", stage->name);
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
        if (strcmp(meanings[i].stage, stage->name) == 0)
            fprintf(out, "<small>%s</small>", meanings[i].meaning);
    fprintf(out, "</td><td>%.1f</td>", both.seconds);
    for (int app = 0; app < SG_APPS; app++) {
        sg_figures_of(stage, app, &one);
        fputs("<td>", out);
        put_count(out, one.statements);
        fputs("</td>", out);
    }
    fputs("<td>", out);
    put_count(out, (unsigned long long)both.per_second);
    fprintf(out, "</td><td>%.2f</td><td>%.2f</td><td>%.1f</td><td class=\"%s\">%llu</td>", both.p50_ms, both.p99_ms,
            both.max_ms, both.errors ? "bad" : "good", both.errors);
    if (stage->differing >= 0)
        fprintf(out, "<td class=\"%s\">%lld</td></tr>\n", stage->differing ? "bad" : "good", stage->differing);
    else
        fputs("<td class=\"soft\">&ndash;</td></tr>\n", out);
}

static void put_complaints(FILE *out) {
    if (!sg_complaint(0))
        return;
    fputs("<h2 style=\"margin:24px 0 8px\">What went wrong first</h2><div class=\"sheet\">", out);
    for (size_t i = 0; sg_complaint(i); i++) {
        fputs("<pre>", out);
        put_text(out, sg_complaint(i));
        fputs("</pre>", out);
    }
    fputs("</div>\n", out);
}

bool sg_report_html(const char *path, const struct sg_report *report) {
    FILE *out = fopen(path, "w");
    if (!out) {
        sg_complain("error: cannot write %s", path);
        return false;
    }
    put_head(out, report);
    put_cards(out, report);
    put_charts(out, report->metrics);
    fputs("<div class=\"sheet\"><table><thead><tr><th>phase</th><th>seconds</th><th>old app</th><th>new app</th>"
          "<th>per second</th><th>p50 ms</th><th>p99 ms</th><th>max ms</th><th>errors</th><th>rows that differ</th>"
          "</tr></thead><tbody>\n",
          out);
    for (size_t i = 0; i < report->metrics->stages_len; i++)
        put_row(out, &report->metrics->stages[i]);
    fputs("</tbody></table></div>\n", out);
    put_complaints(out);
    fputs("<footer>Old app and new app: statements answered. Each write is read back by the app that made it and then "
          "by the other version, under the name that one knows. Rows that differ are counted in the database itself: "
          "the two columns against each other while both are there, and at the end every row against what the clients "
          "wrote.</footer>\n</main></body></html>\n",
          out);
    return fclose(out) == 0;
}
