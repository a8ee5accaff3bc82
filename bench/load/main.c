/* segue-load: see README.md beside this file. */
#include "bench/load/complaints.h"
#include "bench/load/database.h"
#include "bench/load/migration.h"
#include "bench/load/report.h"

#include <stdlib.h>
#include <time.h>

#define MIGRATION_SECONDS_MAX 14400

static void stage_done(const struct sg_stage *stage) {
    sg_report_stage(stdout, stage);
}

/* Rows of --init, or rows that are there. */
static bool fill(const struct sg_options *options, PGconn *direct, struct sg_model *model) {
    if (options->init) {
        fprintf(stderr, "filling %s with %lld rows\n", options->names.table, options->rows);
        return sg_database_init(direct, &options->names, options->rows);
    }
    PGconn *conn = sg_database_connect(options->app_conninfo[SG_APP_OLD]);
    bool ok = conn && sg_database_adopt(conn, &options->names, options->names.old_name, model);
    PQfinish(conn);
    return ok;
}

static bool drive(const struct sg_options *options, struct sg_metrics *metrics, struct sg_fleet *fleet,
                  PGconn *direct) {
    struct sg_migration_run run = {options, metrics, fleet, direct, stage_done};
    sg_report_header(stdout);
    if (options->migration)
        return sg_migration_drive(&run);
    sg_metrics_stage(metrics, "load");
    sg_fleet_start(fleet, SG_APP_OLD);
    sg_fleet_start(fleet, SG_APP_NEW);
    nanosleep(&(struct timespec){options->seconds, 0}, NULL);
    return true;
}

/* What the database holds when everybody is at rest, as the last stage's rows that differ. */
static long long audit(const struct sg_options *options, PGconn *direct, struct sg_model *model, struct sg_stage *last,
                       bool is_settled) {
    long long rows = 0;
    if (!direct)
        return -1;
    last->differing = sg_database_audit(direct, &options->names, model, is_settled);
    for (size_t i = 0; i < model->ranges_len; i++)
        for (size_t r = 0; r < model->ranges[i].rows_len; r++)
            rows += model->ranges[i].rows[r].kind != SG_ROW_ABSENT;
    return last->differing < 0 ? -1 : rows;
}

static bool write_reports(const struct sg_options *options, const struct sg_report *report) {
    bool ok = !options->json_path || sg_report_json(options->json_path, report);
    return (!options->html_path || sg_report_html(options->html_path, report)) && ok;
}

static int run(const struct sg_options *options, PGconn *direct, struct sg_model *model) {
    size_t seconds_max = options->migration ? MIGRATION_SECONDS_MAX : (size_t)options->seconds + 60;
    struct sg_metrics *metrics = sg_metrics_new(seconds_max);
    struct sg_fleet *fleet = sg_fleet_new(options, model, metrics);
    bool driven = drive(options, metrics, fleet, direct);
    sg_fleet_stop(fleet);
    sg_metrics_finish(metrics);
    struct sg_stage *last = &metrics->stages[metrics->stages_len - 1];
    long long audited_rows = audit(options, direct, model, last, driven);
    sg_report_stage(stdout, last);
    struct sg_totals totals;
    sg_metrics_totals(metrics, &totals);
    struct sg_report report = {
        .options = options,
        .metrics = metrics,
        .server = direct ? PQparameterStatus(direct, "server_version") : NULL,
        .audited_rows = audited_rows,
        /* Whatever was complained of, is wrong. */
        .ok = driven && totals.statements > 0 && totals.errors == 0 && totals.mismatches == 0 &&
              totals.differing == 0 && sg_complaints() == 0,
    };
    sg_report_summary(stdout, &report);
    bool written = write_reports(options, &report);
    sg_fleet_free(fleet);
    sg_metrics_free(metrics);
    return report.ok && written ? 0 : 1;
}

int main(int argc, char **argv) {
    struct sg_options options;
    int status = sg_options_parse(argc, argv, &options);
    if (status >= 0)
        return status;
    PGconn *direct = NULL;
    if (options.direct_conninfo && !(direct = sg_database_connect(options.direct_conninfo)))
        return 1;
    struct sg_model *model = sg_model_new(options.rows, (size_t)options.clients / 2 * SG_RANGES_PER_PAIR);
    status = fill(&options, direct, model) ? run(&options, direct, model) : 1;
    sg_model_free(model);
    PQfinish(direct);
    return status;
}
