/*
 * Invariants
 *   1. The lease row exists, with epoch 0, before the mappings are read for the first time on a connection.
 *   2. The epoch written to the lease is never newer than what every worker serves (sg_hub_oldest_epoch).
 *   3. The hub is granted the lease only up to where this side may count on it, and only after what was read under it
 * has been published. Where the row had gone meanwhile, transactions of older epochs are not vouched for (lease.h, inv.
 * 5).
 */
#include "proxy/log.h"
#include "proxy/migration/engine_parts.h"
#include "proxy/migration/schema.h"
#include "proxy/net/hub.h"

#define ACK_LOOK_MS        20 /* how often the hub is asked while workers have yet to follow */
#define RECONNECT_MS       500
#define LEAST_PATIENCE_MS  5000 /* with a server that stands still; a large catalog takes its time */
#define DIGEST_EVERY_MS    2000
#define USE_EVERY_MS       1000
#define DIGEST_COST_FACTOR 50 /* a digest may take one fiftieth of the time, however large the catalog */

static void set_ready(struct sg_engine *engine, bool ready) {
    if (engine->is_ready != ready) {
        engine->is_ready = ready;
        sg_hub_set_ready(engine->hub, ready);
    }
}

/* Writes down which old names clients have used under this snapshot: what RETIRE wants to know. */
static bool record_use_of(struct sg_engine *engine, struct sg_snapshot *snapshot, struct sg_error *reterr) {
    uint64_t used = snapshot ? sg_snapshot_take_use(snapshot) : 0;
    bool ok = true;
    for (size_t i = 0; ok && i < 64 && used >> i; i++) {
        if (used >> i & 1) {
            ok = sg_db_run(engine->watch_conn,
                           "INSERT INTO segue.reference (migration_id, name, last_seen)"
                           " SELECT id, old_name, clock_timestamp() FROM segue.migration WHERE name = $1"
                           " ON CONFLICT (migration_id, name) DO UPDATE SET last_seen = excluded.last_seen",
                           SG_ARGS(sg_snapshot_mapping(snapshot, i)->migration), reterr);
        }
    }
    return ok;
}

/* Sessions go on using a snapshot for a while after it was replaced: the one before is asked, too. */
static bool record_use(struct sg_engine *engine, struct sg_error *reterr) {
    int64_t now_ms = sg_now_ms();
    if (now_ms < engine->use_due_ms) {
        return true;
    }
    engine->use_due_ms = now_ms + USE_EVERY_MS;
    return record_use_of(engine, engine->replaced, reterr) && record_use_of(engine, engine->published, reterr);
}

static bool publish(struct sg_engine *engine, struct sg_error *reterr) {
    struct sg_snapshot *snapshot = sg_catalog_load(engine->watch_conn, &engine->catalog, reterr);
    if (!snapshot) {
        return false;
    }
    sg_hub_publish(engine->hub, snapshot);
    struct sg_error ignored; /* a use that goes unrecorded comes again; the mappings must be served at once */
    sg_db_exec(engine->watch_conn, sg_sql_note_members, &ignored);
    record_use_of(engine, engine->replaced, &ignored);
    if (engine->replaced) {
        sg_snapshot_unref(engine->replaced);
    }
    engine->replaced = engine->published;
    engine->published = snapshot;
    return true;
}

static void grant(struct sg_engine *engine) {
    int64_t end_ms = sg_lease_end_ms(&engine->lease);
    sg_hub_grant(engine->hub, engine->min_row_epoch << SG_EPOCH_SHIFT, end_ms);
    if (engine->is_lapsed && end_ms > sg_hub_clock_ms()) {
        engine->is_lapsed = false;
        sg_log(SG_LOG_INFO, "the lease is back: statements go on");
    }
}

static bool join(struct sg_engine *engine, struct sg_error *reterr) {
    bool was_held;
    if (!sg_lease_join(engine->watch_conn, &engine->lease, &was_held, reterr) || !publish(engine, reterr)) {
        return false;
    }
    /* On a standby that was promoted without the last change the epoch is a lower one. */
    if (!was_held || engine->catalog.row_epoch < engine->min_row_epoch) {
        engine->min_row_epoch = engine->catalog.row_epoch;
    }
    grant(engine);
    return true;
}

/* In good time before the others pass us by, and once more after every answer. */
static bool renew(struct sg_engine *engine, uint64_t epoch, struct sg_error *reterr) {
    bool is_held;
    if (!sg_lease_renew(engine->watch_conn, &engine->lease, epoch, &is_held, reterr)) {
        return false;
    }
    if (!is_held) {
        sg_log(SG_LOG_WARN, "the lease had run out, and a migration may have moved on: joining anew");
        return join(engine, reterr);
    }
    grant(engine);
    return true;
}

bool sg_watcher_connect(struct sg_engine *engine, struct sg_error *reterr) {
    engine->watch_conn = sg_db_connect(engine->config.control_conninfo, "segue watcher", reterr);
    if (!engine->watch_conn) {
        return false;
    }
    if (!sg_schema_ensure(engine->watch_conn, reterr) || !sg_db_exec(engine->watch_conn, "LISTEN segue", reterr) ||
        !join(engine, reterr)) {
        PQfinish(engine->watch_conn);
        engine->watch_conn = NULL;
        return false;
    }
    set_ready(engine, true);
    return true;
}

static bool catalog_has_changed(struct sg_engine *engine, bool *ret_changed, struct sg_error *reterr) {
    int64_t now_ms = sg_now_ms();
    *ret_changed = false;
    if (now_ms < engine->digest_due_ms) {
        return true;
    }
    struct sg_catalog_digest digest;
    if (!sg_catalog_digest(engine->watch_conn, &digest, reterr)) {
        return false;
    }
    int64_t rest_ms = (sg_now_ms() - now_ms) * DIGEST_COST_FACTOR;
    engine->digest_due_ms = sg_now_ms() + (rest_ms > DIGEST_EVERY_MS ? rest_ms : DIGEST_EVERY_MS);
    *ret_changed = strcmp(digest.text, engine->catalog.digest.text) != 0;
    return true;
}

/* The newest row epoch that every worker has installed and no session lags behind. */
static uint64_t acknowledged(const struct sg_engine *engine) {
    uint64_t oldest = sg_hub_oldest_epoch(engine->hub) >> SG_EPOCH_SHIFT;
    return oldest < engine->catalog.row_epoch ? oldest : engine->catalog.row_epoch;
}

static void show_state(struct sg_engine *engine) {
    atomic_store(&engine->seen.is_connected, engine->watch_conn != NULL);
    atomic_store(&engine->seen.lease_until_ms, engine->lease.renewed_ms + engine->lease.lease_ms);
    atomic_store(&engine->seen.epoch, engine->catalog.row_epoch);
    atomic_store(&engine->seen.acknowledged, acknowledged(engine));
}

static bool look(struct sg_engine *engine, struct sg_error *reterr) {
    uint64_t row_epoch;
    bool changed;
    engine->looked_ms = sg_now_ms();
    if (!sg_catalog_row_epoch(engine->watch_conn, &row_epoch, reterr) ||
        !catalog_has_changed(engine, &changed, reterr)) {
        return false;
    }
    return (row_epoch == engine->catalog.row_epoch && !changed) || publish(engine, reterr);
}

/* Notifications only say: look now. */
static bool take_notifications(struct sg_engine *engine) {
    bool any = false;
    PGnotify *notify;
    PQconsumeInput(engine->watch_conn);
    while ((notify = PQnotifies(engine->watch_conn)) != NULL) {
        PQfreemem(notify);
        any = true;
    }
    return any;
}

/* The workers know by themselves; the operator should, too. */
static void tell_lapse(struct sg_engine *engine) {
    if (!engine->is_lapsed && sg_lease_end_ms(&engine->lease) <= sg_hub_clock_ms()) {
        engine->is_lapsed = true;
        sg_log(SG_LOG_ERROR, "the lease has run out: no statement is sent until the control database answers");
    }
}

static void watch_once(struct sg_engine *engine, bool look_now) {
    struct sg_error err;
    bool is_due = look_now || sg_now_ms() - engine->looked_ms >= engine->config.poll_ms;
    bool ok = renew(engine, engine->lease.epoch, &err) && (!is_due || look(engine, &err)) &&
              renew(engine, acknowledged(engine), &err) && record_use(engine, &err);
    if (ok) {
        return;
    }
    tell_lapse(engine);
    sg_log_error(SG_LOG_WARN, &err, "the control connection does not answer as it should");
    sg_db_rollback(engine->watch_conn);
    if (sg_db_is_lost(engine->watch_conn)) {
        PQfinish(engine->watch_conn);
        engine->watch_conn = NULL;
    } else {
        sg_bell_wait(&engine->watcher_bell, -1, RECONNECT_MS);
    }
}

static void reconnect(struct sg_engine *engine) {
    struct sg_error err;
    tell_lapse(engine);
    if (sg_watcher_connect(engine, &err)) {
        sg_log(SG_LOG_INFO, "control connection is back");
        sg_bell_ring(&engine->runner_bell);
        return;
    }
    static struct sg_log_limit limit = SG_LOG_LIMIT(1);
    sg_log_limited(&limit, SG_LOG_WARN, "no control connection: %s", err.message);
    sg_bell_wait(&engine->watcher_bell, -1, RECONNECT_MS);
}

void *sg_watcher_main(void *arg) {
    struct sg_engine *engine = arg;
    int patience_ms = engine->config.lease_ms * 3;
    sg_db_set_patience(patience_ms > LEAST_PATIENCE_MS ? patience_ms : LEAST_PATIENCE_MS);
    while (!atomic_load(&engine->stopping)) {
        show_state(engine);
        if (!engine->watch_conn) {
            reconnect(engine);
            continue;
        }
        bool behind = acknowledged(engine) < engine->catalog.row_epoch;
        sg_bell_wait(&engine->watcher_bell, PQsocket(engine->watch_conn),
                     behind ? ACK_LOOK_MS : engine->config.poll_ms);
        bool notified = take_notifications(engine);
        watch_once(engine, notified);
        if (notified) {
            sg_bell_ring(&engine->runner_bell);
        }
        sg_runner_interrupt(engine, true);
    }
    if (engine->watch_conn) {
        sg_lease_leave(engine->watch_conn, &engine->lease);
    }
    return NULL;
}
