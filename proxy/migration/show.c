#include "proxy/migration/commands.h"
#include "proxy/migration/db.h"
#include "segue/catalog.h"

#include <stdio.h>
#include <string.h>

/* Names are qualified throughout: these run on connections with whatever search_path. */
#define REPAIRED                                                                                         \
    "coalesce((SELECT pg_catalog.pg_sequence_last_value(s.oid) FROM pg_catalog.pg_class s WHERE s.oid =" \
    " pg_catalog.to_regclass('segue.guard_' || m.id || '_repaired')), 0)"

const char sg_sql_show_migrations[] =
    "SELECT m.name, pg_catalog.current_database() AS database, coalesce(n.nspname || '.' || c.relname,"
    "   m.schema_name || '.' || m.table_name) AS \"table\", m.kind, m.old_name AS old, m.new_name AS new, m.strategy,"
    "   m.phase, m.state, coalesce(b.rows_done, 0) AS rows_done, coalesce(b.rows_total, 0) AS rows_total, m.divergent,"
    "   greatest(m.updated_at, b.updated_at) AS updated_at, " REPAIRED " AS repaired, m.phase_epoch AS epoch, m.detail"
    " FROM segue.migration m LEFT JOIN segue.backfill b ON b.migration_id = m.id"
    " LEFT JOIN pg_catalog.pg_class c ON c.oid = m.relid LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " ORDER BY m.id";

const char sg_sql_show_migration[] =
    "WITH m AS (SELECT * FROM segue.migration m WHERE m.name = $1)"
    " SELECT item, value FROM ("
    "   SELECT 1 AS part, i.n, i.item, i.value FROM m LEFT JOIN segue.backfill b ON b.migration_id = m.id, LATERAL "
    "(VALUES"
    "     (1, 'name', m.name), (2, 'table', m.schema_name || '.' || m.table_name),"
    "     (3, 'change', 'rename column ' || m.old_name || ' to ' || m.new_name), (4, 'strategy', m.strategy),"
    "     (5, 'phase', m.phase), (6, 'state', m.state), (7, 'carrying out', m.verb), (8, 'detail', m.detail),"
    "     (9, 'guard', CASE WHEN m.guard THEN 'on' ELSE 'off' END), (10, 'repaired by the guard', (" REPAIRED
    ")::text),"
    "     (11, 'rows', b.rows_done || ' of ' || b.rows_total), (12, 'divergent', m.divergent::text),"
    "     (13, 'created', m.created_at::text)) AS i(n, item, value)"
    "   UNION ALL SELECT 2, h.id, 'history', pg_catalog.concat_ws(' ', h.at, h.phase || '/' || h.state, 'by ' || h.who,"
    "     '(' || h.why || ')') FROM m JOIN segue.history h ON h.migration_id = m.id"
    "   UNION ALL SELECT 3, pg_catalog.row_number() OVER (ORDER BY o.last DESC), 'repaired writes of',"
    "     pg_catalog.concat_ws(' ', o.role, o.application_name, o.last, o.query) FROM m, LATERAL (SELECT g.role,"
    "       g.application_name, max(g.at) AS last, min(g.query) AS query FROM segue.guard_origin g"
    "       WHERE g.migration_id = m.id GROUP BY g.role, g.application_name) o"
    " ) AS lines ORDER BY part, n";

const char sg_sql_show_backfill[] =
    "SELECT m.name, m.state, b.pass, b.rows_done, b.rows_total, CASE WHEN b.rows_total > 0 THEN"
    "   pg_catalog.round(100.0 * b.rows_done / b.rows_total, 1) END AS percent, pg_catalog.round(b.rate::numeric) AS"
    "   rows_per_second, CASE WHEN m.state = 'backfilling' AND b.rate > 0 THEN"
    "   pg_catalog.ceil((b.rows_total - b.rows_done) / b.rate) END AS eta_seconds, b.copied, b.throttled, m.batch_rows,"
    "   m.max_p99_ratio, b.started_at, b.updated_at"
    " FROM segue.migration m JOIN segue.backfill b ON b.migration_id = m.id ORDER BY m.id";

/*
 * Who holds up a migration that waits: proxies that have not acknowledged its epoch; prepared transactions and sessions
 * that have written to the table since before; and, while a proxy lags, every transaction that is older than the
 * change, because one of them is what the proxy waits for.
 */
const char sg_sql_show_barrier[] =
    "WITH waiting AS (SELECT m.* FROM segue.migration m WHERE m.verb IS NOT NULL AND (m.state IN ('barrier', "
    "'expanding')"
    "     OR (m.state = 'contracting' AND m.phase = 'new_only'))),"
    " lagging AS (SELECT w.name, w.updated_at, p.* FROM waiting w JOIN segue.proxy p ON p.epoch < w.phase_epoch"
    "   AND p.expires_at > pg_catalog.clock_timestamp()),"
    " writers AS (SELECT DISTINCT w.name, w.updated_at, l.pid, l.virtualtransaction FROM waiting w"
    "   JOIN pg_catalog.pg_locks l ON l.locktype = 'relation' AND l.granted"
    "   AND l.relation IN (SELECT p.relid FROM segue.part p WHERE p.id = w.id)"
    "   AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))"
    " SELECT w.name, 'transaction' AS holder, a.pid, a.application_name, a.usename AS role, a.state,"
    "   pg_catalog.date_trunc('milliseconds', pg_catalog.clock_timestamp() - a.xact_start) AS xact_age, a.query"
    " FROM writers w JOIN pg_catalog.pg_stat_activity a USING (pid) WHERE a.pid <> pg_catalog.pg_backend_pid()"
    "   AND a.application_name NOT LIKE 'segue %'"
    " UNION SELECT w.name, 'prepared transaction', NULL, NULL, x.owner, 'prepared', "
    "pg_catalog.date_trunc('milliseconds',"
    "   pg_catalog.clock_timestamp() - x.prepared), x.gid FROM writers w JOIN pg_catalog.pg_locks k ON w.pid IS NULL"
    "   AND k.virtualtransaction = w.virtualtransaction AND k.pid IS NULL AND k.locktype = 'transactionid'"
    "   JOIN pg_catalog.pg_prepared_xacts x ON x.transaction = k.transactionid"
    " UNION SELECT l.name, 'proxy', NULL, l.host, NULL, 'has acknowledged epoch ' || l.epoch, NULL, l.id::text FROM "
    "lagging l"
    " UNION SELECT l.name, 'open transaction', a.pid, a.application_name, a.usename, a.state, pg_catalog.date_trunc("
    "   'milliseconds', pg_catalog.clock_timestamp() - a.xact_start), a.query FROM lagging l"
    "   JOIN pg_catalog.pg_stat_activity a ON a.datname = pg_catalog.current_database() AND a.xact_start < l.updated_at"
    "   AND a.backend_type = 'client backend' AND a.pid <> pg_catalog.pg_backend_pid()"
    "   AND a.application_name NOT LIKE 'segue %'"
    " UNION SELECT w.name, 'statement of a proxy that is gone', a.pid, a.application_name, a.usename, a.state,"
    "   pg_catalog.date_trunc('milliseconds', pg_catalog.clock_timestamp() - a.xact_start), a.query FROM waiting w,"
    "   segue.straggler s JOIN pg_catalog.pg_stat_activity a ON a.pid = s.pid AND a.backend_start = s.started_at"
    " UNION SELECT w.name, 'standby', r.pid, r.application_name, r.usename, r.state, r.replay_lag, 'has replayed '"
    "   || r.replay_lsn FROM waiting w JOIN pg_catalog.pg_stat_replication r ON w.verb = 'switch'"
    "   AND w.phase = 'dual_write' AND r.replay_lsn < pg_catalog.pg_current_wal_lsn()"
    " ORDER BY 1, 2, 3";

struct standing {
    enum sg_phase phase;
    char state[16], verb[16], detail[256];
    bool rolled_back;
};

static bool is_verb(const struct standing *at, const char *verb) {
    return strcmp(at->verb, verb) == 0;
}

static bool is_state(const struct standing *at, const char *state) {
    return strcmp(at->state, state) == 0;
}

/* A phase counts as reached when its barrier is over. */
static bool has_reached(const struct standing *at, const char *what) {
    enum sg_phase phase;
    bool copied = is_verb(at, "switch") || is_state(at, "verified");
    if (strcmp(what, "verified") == 0) {
        return at->phase > SG_PHASE_DUAL_WRITE || (at->phase == SG_PHASE_DUAL_WRITE && copied);
    }
    if (strcmp(what, "backfilled") == 0) {
        return at->phase > SG_PHASE_DUAL_WRITE ||
               (at->phase == SG_PHASE_DUAL_WRITE && (copied || is_state(at, "mirroring") || is_state(at, "verifying")));
    }
    if (!sg_phase_from_name(what, &phase) || at->phase != phase) {
        return at->phase > phase;
    }
    switch (phase) {
    case SG_PHASE_DUAL_WRITE:
        return !is_state(at, "barrier") || is_verb(at, "switch");
    case SG_PHASE_READ_NEW:
        return !is_state(at, "barrier");
    case SG_PHASE_NEW_ONLY:
        return is_state(at, "idle");
    default:
        return true;
    }
}

static bool is_known(const char *what) {
    static const char *const known[] = {"backfilled", "verified", "dual_write", "read_new", "new_only", "retired"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(what, known[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool read_standing(PGconn *conn, const char *name, struct standing *ret, struct sg_error *reterr) {
    PGresult *row = sg_db_query(conn,
                                "SELECT phase, state, coalesce(verb, ''), coalesce(detail, ''), rolled_back"
                                " FROM segue.migration WHERE name = $1",
                                SG_ARGS(name), reterr);
    if (!row) {
        return false;
    }
    bool found = PQntuples(row) == 1;
    if (found) {
        sg_phase_from_name(PQgetvalue(row, 0, 0), &ret->phase);
        snprintf(ret->state, sizeof(ret->state), "%s", PQgetvalue(row, 0, 1));
        snprintf(ret->verb, sizeof(ret->verb), "%s", PQgetvalue(row, 0, 2));
        snprintf(ret->detail, sizeof(ret->detail), "%s", PQgetvalue(row, 0, 3));
        ret->rolled_back = *PQgetvalue(row, 0, 4) == 't';
    } else {
        sg_error_set(reterr, SG_SQLSTATE_UNDEFINED_OBJECT, "migration \"%s\" does not exist", name);
    }
    PQclear(row);
    return found;
}

enum sg_wait sg_migration_wait_check(PGconn *conn, const char *name, const char *what, struct sg_error *reterr) {
    struct standing at;
    if (!is_known(what)) {
        sg_error_set(reterr, SG_SQLSTATE_INVALID_PARAMETER_VALUE, "cannot wait for \"%s\"", what);
        sg_error_hint(reterr, "Known are backfilled, verified, dual_write, read_new, new_only, retired.");
        return SG_WAIT_FAILED;
    }
    if (!read_standing(conn, name, &at, reterr)) {
        return SG_WAIT_FAILED;
    }
    bool goes_back = is_verb(&at, "rollback") || (at.rolled_back && at.verb[0] == '\0');
    if (is_state(&at, "failed") || goes_back) {
        sg_error_set(reterr, SG_SQLSTATE_OBJECT_NOT_IN_PREREQUISITE_STATE, "migration \"%s\" %s", name,
                     goes_back ? "was rolled back" : "failed");
        sg_error_detail(reterr, "%s", at.detail);
        return SG_WAIT_FAILED;
    }
    return has_reached(&at, what) ? SG_WAIT_DONE : SG_WAIT_NOT_YET;
}

bool sg_migration_is_served(PGconn *conn, bool *ret_served, struct sg_error *reterr) {
    int64_t behind;
    if (!sg_db_int(conn,
                   "SELECT count(*) FROM segue.proxy WHERE expires_at > clock_timestamp()"
                   " AND epoch < (SELECT value FROM segue.epoch)",
                   0, NULL, &behind, reterr)) {
        return false;
    }
    *ret_served = behind == 0;
    return true;
}
