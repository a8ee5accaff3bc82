/* SHOW STATS and its kin: what was carried, by database. */
#include "proxy/admin/show.h"

/* A sum as these commands have it: its name in the totals, in the averages of STATS, and without either (STATS_TOTALS
 * and STATS_AVERAGES); the last differs in the averages where PgBouncer's does. */
struct column {
    const char *total, *average, *bare, *bare_average, *in_totals;
    enum { COUNT, TIME } kind;
    size_t at;  /* of struct sg_tally_sums */
    size_t per; /* TIME: what the average is an average over */
};

#define AT(sum) offsetof(struct sg_tally_sums, sum)
static const struct column columns[] = {
    {"total_server_assignment_count", "avg_server_assignment_count", "server_assignment_count",
     "server_assignment_count", "server_assignment_count", COUNT, AT(server_assignment_count), 0},
    {"total_xact_count", "avg_xact_count", "xact_count", "xact_count", "xact_count", COUNT, AT(xact_count), 0},
    {"total_query_count", "avg_query_count", "query_count", "query_count", "query_count", COUNT, AT(query_count), 0},
    {"total_received", "avg_recv", "bytes_received", "bytes_received", "client_bytes", COUNT, AT(client_bytes), 0},
    {"total_sent", "avg_sent", "bytes_sent", "bytes_sent", "server_bytes", COUNT, AT(server_bytes), 0},
    {"total_xact_time", "avg_xact_time", "xact_time", "xact_time", "xact_time", TIME, AT(xact_time), AT(xact_count)},
    {"total_query_time", "avg_query_time", "query_time", "query_time", "query_time", TIME, AT(query_time),
     AT(query_count)},
    {"total_wait_time", "avg_wait_time", "wait_time", "wait_time", "wait_time", TIME, AT(wait_time),
     AT(server_assignment_count)},
    {"total_client_parse_count", "avg_client_parse_count", "client_parse_count", "avg_client_parse_count",
     "ps_client_parse_count", COUNT, AT(client_parse_count), 0},
    {"total_server_parse_count", "avg_server_parse_count", "server_parse_count", "avg_server_parse_count",
     "ps_server_parse_count", COUNT, AT(server_parse_count), 0},
    {"total_bind_count", "avg_bind_count", "bind_count", "avg_bind_count", "ps_bind_count", COUNT, AT(bind_count), 0},
};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

static uint64_t sum_at(const struct sg_tally_sums *sums, size_t at) {
    return *(const uint64_t *)((const char *)sums + at);
}

/* Times in microseconds, as PgBouncer's. */
static const char *total(struct sg_result *result, const struct sg_tally_row *row, const struct column *column) {
    uint64_t sum = sum_at(&row->sums, column->at);
    return sg_show_number(result, column->kind == TIME ? sum * 1000 : sum);
}

/* Counts a second; times for one of what they were spent on. */
static const char *average(struct sg_result *result, const struct sg_tally_row *row, const struct column *column) {
    uint64_t sum = sum_at(&row->recent, column->at) * 1000;
    uint64_t over = column->kind == TIME ? sum_at(&row->recent, column->per) : row->recent_ms;
    return sg_show_number(result, over ? sum / over : 0);
}

static void add_database(struct sg_result *result, const struct sg_tally_row *row, enum sg_command_id id) {
    const char *cells[1 + 2 * COLUMNS];
    size_t n = 0;
    cells[n++] = row->name.database;
    if (id != SG_COMMAND_SHOW_STATS_AVERAGES)
        for (size_t i = 0; i < COLUMNS; i++)
            cells[n++] = total(result, row, &columns[i]);
    if (id != SG_COMMAND_SHOW_STATS_TOTALS)
        for (size_t i = 0; i < COLUMNS; i++)
            cells[n++] = average(result, row, &columns[i]);
    sg_result_row(result, cells);
}

static void name_columns(struct sg_result *result, enum sg_command_id id) {
    const char **names = sg_arena_array(result->arena, const char *, 1 + 2 * COLUMNS);
    uint16_t n = 0;
    names[n++] = "database";
    if (id != SG_COMMAND_SHOW_STATS_AVERAGES)
        for (size_t i = 0; i < COLUMNS; i++)
            names[n++] = id == SG_COMMAND_SHOW_STATS ? columns[i].total : columns[i].bare;
    if (id != SG_COMMAND_SHOW_STATS_TOTALS)
        for (size_t i = 0; i < COLUMNS; i++)
            names[n++] = id == SG_COMMAND_SHOW_STATS ? columns[i].average : columns[i].bare_average;
    sg_result_columns(result, names, n);
    result->kinds = "snnnnnnnnnnnnnnnnnnnnnn"; /* of which the first n */
}

/* All databases in one: a row a sum. */
static void show_totals(struct sg_result *result, struct sg_tally_rows *rows) {
    static const char *const names[] = {"name", "value"};
    struct sg_tally_row none = {0};
    for (size_t i = 0; i < rows->n; i++)
        rows->v[i].name = none.name;
    sg_tally_rows_settle(rows);
    const struct sg_tally_row *all = rows->n ? &rows->v[0] : &none;
    sg_result_columns(result, names, 2);
    result->kinds = "sn";
    for (size_t i = 0; i < COLUMNS; i++)
        sg_result_row(result, (const char *const[]){sg_arena_printf(result->arena, "total_%s", columns[i].in_totals),
                                                    total(result, all, &columns[i])});
    for (size_t i = 0; i < COLUMNS; i++)
        sg_result_row(result, (const char *const[]){sg_arena_printf(result->arena, "avg_%s", columns[i].in_totals),
                                                    average(result, all, &columns[i])});
}

bool sg_show_stats(struct sg_console *console, enum sg_command_id id, struct sg_result *result,
                   struct sg_error *reterr) {
    struct sg_findings findings;
    if (!sg_show_survey(console, SG_ASK_TALLIES, SG_JOURNAL_REFUSED, &findings, reterr))
        return false;
    if (id == SG_COMMAND_SHOW_TOTALS) {
        show_totals(result, &findings.tallies);
    } else {
        sg_tally_rows_by_database(&findings.tallies);
        name_columns(result, id);
        for (size_t i = 0; i < findings.tallies.n; i++)
            add_database(result, &findings.tallies.v[i], id);
    }
    sg_findings_free(&findings);
    return true;
}
