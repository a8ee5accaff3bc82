#include "proxy/migration/barrier.h"

#include <stdlib.h>
#include <string.h>

#define BARRIER_LOOK_MS 50

/*
 * Takes the lease away from those whose time is over (lease.h, inv. 1). What such a proxy sent in its last moments may
 * stand in a queue before a server process that is busy, and begin much later: those processes of its host that do
 * something are noted. Who may not see what others do notes nobody.
 */
static const char expel_sql[] =
    "WITH gone AS (DELETE FROM segue.proxy WHERE expires_at <= clock_timestamp() AND id <> $1 RETURNING address)"
    " INSERT INTO segue.straggler SELECT DISTINCT a.pid, a.backend_start FROM pg_stat_activity a JOIN gone g"
    "   ON a.client_addr IS NOT DISTINCT FROM g.address WHERE a.datname = current_database()"
    "   AND a.backend_type = 'client backend' AND a.backend_start IS NOT NULL AND a.wait_event IS DISTINCT FROM "
    "'ClientRead'"
    "   AND a.application_name NOT LIKE 'segue %' AND a.pid <> pg_backend_pid() ON CONFLICT DO NOTHING";

/* One that waits for its client has nothing left to begin. */
static const char drop_stragglers_sql[] =
    "DELETE FROM segue.straggler s WHERE NOT EXISTS (SELECT 1 FROM pg_stat_activity a WHERE a.pid = s.pid"
    "   AND a.backend_start = s.started_at AND a.wait_event IS DISTINCT FROM 'ClientRead')";

/* This proxy must be among those that have acknowledged: a barrier without one's own word proves nothing. */
static const char laggards_sql[] =
    "SELECT count(*) FILTER (WHERE epoch < $1) + CASE WHEN bool_or(id = $2 AND epoch >= $1) THEN 0 ELSE 1 END"
    "   + (SELECT count(*) FROM segue.straggler) FROM segue.proxy";

/*
 * Only lock modes that writers hold. A dump reads for hours under ACCESS SHARE and cannot leave a row behind; VACUUM
 * and CREATE INDEX CONCURRENTLY write no values. A prepared transaction keeps its virtual id, without a pid.
 */
static const char writers_sql[] =
    "SELECT coalesce(array_agg(DISTINCT virtualtransaction), '{}')::text FROM pg_locks"
    " WHERE locktype = 'relation' AND granted AND pid IS DISTINCT FROM pg_backend_pid()"
    "   AND relation IN (SELECT relid FROM segue.part WHERE id = $1)"
    "   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    "   AND mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')";

static const char still_open_sql[] =
    "SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND virtualtransaction = ANY ($2::text[])"
    " AND relation IN (SELECT relid FROM segue.part WHERE id = $1)";

static void forget(struct sg_task *task) {
    free(task->lockers);
    task->lockers = NULL;
}

static bool collect_writers(struct sg_task *task, struct sg_error *reterr) {
    struct sg_num id = sg_num_of(task->id);
    PGresult *result = sg_db_query(task->conn, writers_sql, SG_ARGS(id.text), reterr);
    if (!result) {
        return false;
    }
    task->lockers = strdup(PQgetvalue(result, 0, 0));
    task->lockers_epoch = task->phase_epoch;
    PQclear(result);
    return true;
}

enum sg_turn sg_barrier_wait(struct sg_task *task, struct sg_error *reterr) {
    struct sg_num epoch = sg_num_of((int64_t)task->phase_epoch), id = sg_num_of(task->id);
    if (task->lockers && task->lockers_epoch != task->phase_epoch) {
        forget(task);
    }
    int64_t left;
    if (!task->lockers) {
        if (!sg_db_run(task->conn, expel_sql, SG_ARGS(task->proxy_id), reterr) ||
            !sg_db_exec(task->conn, drop_stragglers_sql, reterr) ||
            !sg_db_int(task->conn, laggards_sql, SG_ARGS(epoch.text, task->proxy_id), &left, reterr)) {
            return SG_TURN_ERROR;
        }
        if (left > 0) {
            task->wait_ms = BARRIER_LOOK_MS;
            return SG_TURN_WAIT;
        }
        if (!collect_writers(task, reterr)) {
            return SG_TURN_ERROR;
        }
    }
    if (!sg_db_int(task->conn, still_open_sql, SG_ARGS(id.text, task->lockers), &left, reterr)) {
        return SG_TURN_ERROR;
    }
    if (left > 0) {
        task->wait_ms = BARRIER_LOOK_MS;
        return SG_TURN_WAIT;
    }
    forget(task);
    return SG_TURN_MORE;
}
