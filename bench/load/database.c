#include "bench/load/database.h"

#include "bench/load/complaints.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void ignore_notice(void *arg, const PGresult *res) {
    (void)arg;
    (void)res;
}

PGconn *sg_database_connect(const char *conninfo) {
    PGconn *conn = PQconnectdb(conninfo);
    if (PQstatus(conn) == CONNECTION_OK) {
        PQsetNoticeReceiver(conn, ignore_notice, NULL);
        return conn;
    }
    sg_complain("error: cannot connect: %s", PQerrorMessage(conn));
    PQfinish(conn);
    return NULL;
}

/* The result, or NULL and a complaint. */
static PGresult *run(PGconn *conn, const struct sg_names *names, const char *text, const char *const *params,
                     int params_len) {
    char *sql = sg_statement_render(text, names, names->new_name);
    PGresult *res = PQexecParams(conn, sql, params_len, NULL, params, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(res);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        sg_complain("error: %s    %s", PQerrorMessage(conn), sql);
        PQclear(res);
        res = NULL;
    }
    free(sql);
    return res;
}

static const char create_sql[] =
    "CREATE TABLE {t} (user_id bigint PRIMARY KEY, {o} varchar(100) DEFAULT '" SG_DEFAULT_NAME
    "', city_id integer NOT NULL DEFAULT 1, version bigint NOT NULL DEFAULT 0, "
    "updated_at timestamptz NOT NULL DEFAULT now())";

bool sg_database_init(PGconn *conn, const struct sg_names *names, long long rows) {
    /* A column of the cities has the old name, too: no business of the migration. */
    static const char *const steps[] = {
        "DROP TABLE IF EXISTS {t}, {c}",
        "CREATE TABLE {c} (city_id integer PRIMARY KEY, {o} text NOT NULL)",
        "INSERT INTO {c} SELECT i, 'city ' || i FROM generate_series(1, 16) AS i",
        create_sql,
        "INSERT INTO {t} SELECT i, 'nick-' || i, i % 16 + 1 FROM generate_series(1::bigint, $1::bigint) AS i",
        "INSERT INTO {t} SELECT -i, 'hot.0', 1 FROM generate_series(1, $1::integer) AS i",
        "CREATE INDEX ON {t} ({o})",
        "VACUUM ANALYZE {t}, {c}",
    };
    char rows_text[24], hot_text[24];
    snprintf(rows_text, sizeof(rows_text), "%lld", rows);
    snprintf(hot_text, sizeof(hot_text), "%d", SG_HOT_ROWS);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        const char *param = strstr(steps[i], "-i,") ? hot_text : rows_text;
        PGresult *res = run(conn, names, steps[i], &param, strstr(steps[i], "$1") ? 1 : 0);
        if (!res)
            return false;
        PQclear(res);
    }
    return true;
}

bool sg_database_columns(PGconn *conn, const struct sg_names *names, bool *ret_old, bool *ret_new) {
    char *table = sg_statement_render("{t}", names, "");
    const char *params[] = {table, names->old_name, names->new_name};
    PGresult *res = run(conn, names,
                        "SELECT count(*) FILTER (WHERE attname = $2), count(*) FILTER (WHERE attname = $3) "
                        "FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped",
                        params, 3);
    free(table);
    if (!res)
        return false;
    *ret_old = strcmp(PQgetvalue(res, 0, 0), "0") != 0;
    *ret_new = strcmp(PQgetvalue(res, 0, 1), "0") != 0;
    PQclear(res);
    return true;
}

long long sg_database_split_rows(PGconn *conn, const struct sg_names *names) {
    bool has_old, has_new;
    if (!sg_database_columns(conn, names, &has_old, &has_new) || !has_old || !has_new)
        return -1;
    PGresult *res = run(conn, names, "SELECT count(*) FROM {t} WHERE {n} IS DISTINCT FROM {o}", NULL, 0);
    if (!res)
        return -1;
    long long count = strtoll(PQgetvalue(res, 0, 0), NULL, 10);
    PQclear(res);
    if (count > 0)
        sg_complain("%lld rows whose two columns differ", count);
    return count;
}

/* ---- Scan ---- */

/* Called for each row as (user_id, version, name...). Returns rows found wrong. */
typedef long long (*row_fn)(struct sg_model *model, int64_t key, const PGresult *res);

static long long scan(PGconn *conn, const char *sql, struct sg_model *model, row_fn row) {
    long long wrong = 0;
    bool ok = PQsendQuery(conn, sql) && PQsetSingleRowMode(conn);
    PGresult *res;
    while (ok && (res = PQgetResult(conn)) != NULL) {
        ExecStatusType status = PQresultStatus(res);
        if (status == PGRES_SINGLE_TUPLE)
            wrong += row(model, strtoll(PQgetvalue(res, 0, 0), NULL, 10), res);
        else if (status != PGRES_TUPLES_OK)
            ok = false;
        PQclear(res);
    }
    if (ok)
        return wrong;
    sg_complain("error: %s    %s", PQerrorMessage(conn), sql);
    return -1;
}

static const char *value(const PGresult *res, int column) {
    return PQgetisnull(res, 0, column) ? NULL : PQgetvalue(res, 0, column);
}

static bool same(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static long long adopt_row(struct sg_model *model, int64_t key, const PGresult *res) {
    size_t range, at;
    char buf[SG_TEXT_BYTES];
    if (!sg_model_find(model, key, &range, &at))
        return 0;
    while (at >= model->ranges[range].rows_len)
        sg_range_append(&model->ranges[range]);
    struct sg_row *row = &model->ranges[range].rows[at];
    const char *text = value(res, 2);
    uint32_t version = (uint32_t)strtoul(PQgetvalue(res, 0, 1), NULL, 10);
    row->seen = 1;
    if (row->kind != SG_ROW_INITIAL || version != 0 || !same(text, sg_row_text(row, key, buf)))
        sg_row_set(row, text ? SG_ROW_STORED : SG_ROW_NULL, version, text);
    return 0;
}

static long long audit_row(struct sg_model *model, int64_t key, const PGresult *res) {
    size_t range, at;
    char buf[SG_TEXT_BYTES];
    const char *want, *version = PQgetvalue(res, 0, 1);
    if (key < 0 && key >= -SG_HOT_ROWS) {
        snprintf(buf, sizeof(buf), "hot.%s", version);
        want = buf;
    } else if (!sg_model_find(model, key, &range, &at)) {
        return 0; /* nobody's */
    } else {
        struct sg_row *row = at < model->ranges[range].rows_len ? &model->ranges[range].rows[at] : NULL;
        if (!row || row->kind == SG_ROW_ABSENT) {
            sg_complain("row %lld is there, and must not be", (long long)key);
            return 1;
        }
        row->seen = 1;
        want = sg_row_text(row, key, buf);
        if (strtoul(version, NULL, 10) != row->version) {
            sg_complain("row %lld: version is %s, must be %u", (long long)key, version, row->version);
            return 1;
        }
    }
    for (int i = 2; i < PQnfields(res); i++) {
        if (same(value(res, i), want))
            continue;
        sg_complain("row %lld: %s is %s, must be %s", (long long)key, PQfname(res, i),
                    value(res, i) ? value(res, i) : "NULL", want ? want : "NULL");
        return 1;
    }
    return 0;
}

static void forget_seen(struct sg_model *model) {
    for (size_t i = 0; i < model->ranges_len; i++)
        for (size_t r = 0; r < model->ranges[i].rows_len; r++)
            model->ranges[i].rows[r].seen = 0;
}

bool sg_database_adopt(PGconn *conn, const struct sg_names *names, const char *name, struct sg_model *model) {
    forget_seen(model);
    char *sql = sg_statement_render("SELECT user_id, version, {n} FROM {t}", names, name);
    bool ok = scan(conn, sql, model, adopt_row) >= 0;
    free(sql);
    for (size_t i = 0; i < model->ranges_len; i++)
        for (size_t r = 0; r < model->ranges[i].rows_len; r++)
            if (!model->ranges[i].rows[r].seen)
                sg_row_set(&model->ranges[i].rows[r], SG_ROW_ABSENT, 0, NULL);
    return ok;
}

long long sg_database_audit(PGconn *conn, const struct sg_names *names, struct sg_model *model, bool is_settled) {
    bool has_old, has_new;
    if (!sg_database_columns(conn, names, &has_old, &has_new))
        return -1;
    forget_seen(model);
    const char *text = has_old && has_new && is_settled ? "SELECT user_id, version, {o}, {n} FROM {t}"
                       : has_old                        ? "SELECT user_id, version, {o} FROM {t}"
                                                        : "SELECT user_id, version, {n} FROM {t}";
    char *sql = sg_statement_render(text, names, names->new_name);
    long long wrong = scan(conn, sql, model, audit_row);
    free(sql);
    for (size_t i = 0; i < model->ranges_len && wrong >= 0; i++) {
        for (size_t r = 0; r < model->ranges[i].rows_len; r++) {
            const struct sg_row *row = &model->ranges[i].rows[r];
            if (row->seen || row->kind == SG_ROW_ABSENT)
                continue;
            sg_complain("row %lld is missing", (long long)sg_range_key(&model->ranges[i], r));
            wrong++;
        }
    }
    return wrong;
}
