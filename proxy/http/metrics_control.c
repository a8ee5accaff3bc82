/* The control side's part of the metrics: readiness, lease, barrier, migrations, backfill. */
#include "proxy/http/metrics.h"

#include "proxy/http/asking.h"
#include "proxy/http/health.h"
#include "proxy/net/hub.h"

#include <stdlib.h>

#define G           SG_METRIC_GAUGE
#define LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})

static double number(const struct sg_result *result, size_t row, const char *column) {
    const char *value = sg_asking_value(result, row, column);
    return value ? strtod(value, NULL) : 0;
}

static const char *text(const struct sg_result *result, size_t row, const char *column) {
    const char *value = sg_asking_value(result, row, column);
    return value ? value : "";
}

static void migrations(struct sg_exposition *to, const struct sg_result *rows) {
    sg_expose(to, "segue_migration_info", G, "Constant 1 for each migration; the labels say where it stands.");
    for (size_t i = 0; i < rows->rows; i++)
        sg_expose_sample(to,
                         LABELS("migration", text(rows, i, "name"), "table", text(rows, i, "table"), "old",
                                text(rows, i, "old"), "new", text(rows, i, "new"), "phase", text(rows, i, "phase"),
                                "state", text(rows, i, "state")),
                         1);
    sg_expose(to, "segue_migration_divergent_rows", G, "Rows whose columns differed when they were last compared.");
    for (size_t i = 0; i < rows->rows; i++)
        if (sg_asking_value(rows, i, "divergent"))
            sg_expose_sample(to, LABELS("migration", text(rows, i, "name")), number(rows, i, "divergent"));
    sg_expose(to, "segue_migration_repaired_writes_total", SG_METRIC_COUNTER,
              "Writes behind the proxy's back, repaired by the guard.");
    for (size_t i = 0; i < rows->rows; i++)
        sg_expose_sample(to, LABELS("migration", text(rows, i, "name")), number(rows, i, "repaired"));
}

static void backfills(struct sg_exposition *to, const struct sg_result *rows) {
    static const struct {
        const char *name, *column, *help;
    } gauges[] = {
        {"segue_backfill_rows_done", "rows_done", "Rows that the backfill has passed."},
        {"segue_backfill_rows_expected", "rows_total", "Rows that there are to pass, as estimated."},
        {"segue_backfill_rows_per_second", "rows_per_second", "Its speed."},
        {"segue_backfill_pass", "pass", "Which walk over the table it is on."},
    };
    for (size_t k = 0; k < sizeof(gauges) / sizeof(gauges[0]); k++) {
        sg_expose(to, gauges[k].name, G, gauges[k].help);
        for (size_t i = 0; i < rows->rows; i++)
            if (sg_asking_value(rows, i, gauges[k].column))
                sg_expose_sample(to, LABELS("migration", text(rows, i, "name")), number(rows, i, gauges[k].column));
    }
}

static void barriers(struct sg_exposition *to, const struct sg_result *rows) {
    sg_expose(to, "segue_barrier_holders", G,
              "What a change of phase waits for, by kind; nothing: it waits for nothing.");
    for (size_t i = 0; i < rows->rows;) {
        size_t n = 0;
        const char *migration = text(rows, i, "name"), *holder = text(rows, i, "holder");
        for (size_t k = 0; k < rows->rows; k++)
            n += strcmp(text(rows, k, "name"), migration) == 0 && strcmp(text(rows, k, "holder"), holder) == 0;
        sg_expose_sample(to, LABELS("migration", migration, "holder", holder), (double)n);
        /* Ordered by both: the next group begins behind this one. */
        i += n;
    }
}

static void hub(struct sg_exposition *to, struct sg_hub *hub) {
    struct sg_snapshot *snapshot = sg_hub_current(hub);
    uint64_t oldest = sg_hub_oldest_epoch(hub);
    sg_expose_one(to, "segue_mappings", G, "Mappings in force.", snapshot ? (double)sg_snapshot_mappings(snapshot) : 0);
    sg_expose_one(to, "segue_snapshot_epoch", G, "Epoch of the newest mappings.",
                  snapshot ? (double)sg_snapshot_epoch(snapshot) : 0);
    sg_expose_one(to, "segue_snapshot_oldest_epoch", G, "The oldest epoch that a session here still sees.",
                  oldest == UINT64_MAX ? 0 : (double)oldest);
    if (snapshot)
        sg_snapshot_unref(snapshot);
}

static void engine(struct sg_exposition *to, const struct sg_engine_status *status) {
    sg_expose_one(to, "segue_control_connected", G, "1: the control connection stands.", status->is_connected);
    sg_expose_one(to, "segue_control_coordinator", G, "1: this process carries the migrations on.",
                  status->is_coordinator);
    sg_expose_one(to, "segue_lease_seconds", G, "How long others wait for this process after its last word.",
                  (double)status->lease_ms / 1e3);
    sg_expose_one(to, "segue_lease_remaining_seconds", G, "Until its lease runs out; negative: it has.",
                  (double)status->lease_left_ms / 1e3);
    sg_expose_one(to, "segue_barrier_epoch", G, "Epoch of the migrations' rows.", (double)status->epoch);
    sg_expose_one(to, "segue_barrier_acknowledged_epoch", G, "The one that every session of this process has reached.",
                  (double)status->acknowledged);
}

/* The rows; what the database does not answer is left out. */
static void rows(struct sg_exposition *to, struct sg_asking *asking) {
    static const struct {
        const char *sql;
        void (*write)(struct sg_exposition *to, const struct sg_result *rows);
    } parts[] = {{"SHOW MIGRATIONS", migrations}, {"SHOW BACKFILL", backfills}, {"SHOW BARRIER", barriers}};
    bool all = true;
    for (size_t i = 0; all && i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct sg_result result;
        struct sg_error err;
        all = sg_asking_show(asking, parts[i].sql, &result, &err);
        if (all)
            parts[i].write(to, &result);
    }
    sg_expose_one(to, "segue_control_rows_read", G, "1: the migrations' rows were read for this page.", all);
}

void sg_metrics_control(struct sg_exposition *to, struct sg_asking *asking, const struct sg_health *health) {
    struct sg_console *console = asking->session.console;
    sg_expose(to, "segue_ready", G, "1: the check is passed; what /readyz looks at.");
    for (int i = 0; i < SG_CHECKS; i++)
        sg_expose_sample(to, LABELS("check", sg_check_name((enum sg_check)i)), health->checks[i]);
    sg_expose_one(to, "segue_control_configured", G, "0: a plain proxy.", console->control_conninfo[0] != '\0');
    if (console->control_conninfo[0] == '\0')
        return;
    hub(to, console->hub);
    engine(to, &health->engine);
    if (health->engine.is_connected)
        rows(to, asking);
}
