#include "proxy/migration/commands.h"
#include "proxy/migration/db.h"
#include "proxy/migration/preflight.h"
#include "proxy/migration/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REFERENCE_DAYS "7" /* RETIRE without FORCE wants the old name unused for this long */

/* The row, locked, and what the rules below ask of it. */
struct subject {
    char id[16], relid[16];
    char old_name[SG_NAME_BYTES], new_name[SG_NAME_BYTES];
    enum sg_phase phase;
    char state[16], verb[16]; /* verb "" when it rests */
    bool guard, made_column, table_exists;
    const char *name; /* as given */
};

static bool is_in(const struct subject *s, enum sg_phase phase, const char *state) {
    return s->phase == phase && strcmp(s->state, state) == 0;
}

static bool is_resting(const struct subject *s) {
    return s->verb[0] == '\0';
}

static bool lock_subject(PGconn *conn, const char *name, struct subject *ret, struct sg_error *reterr) {
    PGresult *row = sg_db_query(conn,
                                "SELECT id, relid, old_name, new_name, phase, state, coalesce(verb, ''), guard,"
                                " made_column, EXISTS (SELECT 1 FROM pg_class c WHERE c.oid = relid)"
                                " FROM segue.migration WHERE name = $1 FOR UPDATE",
                                SG_ARGS(name), reterr);
    if (!row) {
        return false;
    }
    bool found = PQntuples(row) == 1;
    if (found) {
        *ret = (struct subject){.name = name,
                                .guard = *PQgetvalue(row, 0, 7) == 't',
                                .made_column = *PQgetvalue(row, 0, 8) == 't',
                                .table_exists = *PQgetvalue(row, 0, 9) == 't'};
        snprintf(ret->id, sizeof(ret->id), "%s", PQgetvalue(row, 0, 0));
        snprintf(ret->relid, sizeof(ret->relid), "%s", PQgetvalue(row, 0, 1));
        snprintf(ret->old_name, sizeof(ret->old_name), "%s", PQgetvalue(row, 0, 2));
        snprintf(ret->new_name, sizeof(ret->new_name), "%s", PQgetvalue(row, 0, 3));
        sg_phase_from_name(PQgetvalue(row, 0, 4), &ret->phase);
        snprintf(ret->state, sizeof(ret->state), "%s", PQgetvalue(row, 0, 5));
        snprintf(ret->verb, sizeof(ret->verb), "%s", PQgetvalue(row, 0, 6));
    } else {
        sg_error_set(reterr, SG_SQLSTATE_UNDEFINED_OBJECT, "migration \"%s\" does not exist", name);
        sg_error_hint(reterr, "SHOW MIGRATIONS lists them.");
    }
    PQclear(row);
    return found;
}

static bool refuse(const struct subject *s, const char *why, const char *hint, struct sg_error *reterr) {
    sg_error_set(reterr, SG_SQLSTATE_OBJECT_NOT_IN_PREREQUISITE_STATE, "migration \"%s\" %s", s->name, why);
    sg_error_detail(reterr, "It is in phase %s, state %s%s%s.", sg_phase_name(s->phase), s->state,
                    is_resting(s) ? "" : ", carrying out ", s->verb);
    sg_error_hint(reterr, "%s", hint);
    return false;
}

/* ---- What each verb asks for: true when it may begin, with the verb and state to set ---- */

struct move {
    const char *verb, *state;
};

static bool may_start(PGconn *conn, const struct subject *s, struct move *move, struct sg_error *reterr) {
    if (s->phase > SG_PHASE_DUAL_WRITE || is_in(s, SG_PHASE_DUAL_WRITE, "verified")) {
        return refuse(s, "has been started and verified already", "SWITCH or CONTRACT goes on, ROLLBACK back.", reterr);
    }
    if (!is_resting(s)) {
        return refuse(s, "is at work already", "WAIT for it, or ROLLBACK.", reterr);
    }
    if (s->phase == SG_PHASE_DUAL_WRITE) {
        *move = (struct move){"start", "barrier"};
        return true;
    }
    if (s->made_column) {
        return refuse(s, "has a rollback that is not finished", "ROLLBACK finishes it.", reterr);
    }
    struct sg_preflight_subject subject = {
        .relid = s->relid, .old_name = s->old_name, .new_name = s->new_name, .guard = s->guard, .migration_id = s->id};
    *move = (struct move){"start", "expanding"};
    return sg_preflight_passes(conn, &subject, reterr);
}

static bool may_switch(const struct subject *s, struct move *move, struct sg_error *reterr) {
    *move = (struct move){"switch", "barrier"};
    return (is_in(s, SG_PHASE_DUAL_WRITE, "verified") && is_resting(s)) ||
           refuse(s, "cannot switch: its rows are not verified",
                  s->phase > SG_PHASE_DUAL_WRITE ? "It has switched already." : "START it and WAIT FOR verified.",
                  reterr);
}

/* Views or triggers may have come since CREATE: better told now than when the old column cannot be dropped. */
static bool may_contract(PGconn *conn, const struct subject *s, struct move *move, struct sg_error *reterr) {
    *move = (struct move){"contract", "contracting"};
    bool is_next = is_resting(s) && (is_in(s, SG_PHASE_READ_NEW, "verified") || is_in(s, SG_PHASE_READ_NEW, "failed") ||
                                     is_in(s, SG_PHASE_NEW_ONLY, "failed"));
    if (!is_next) {
        return refuse(s, "cannot contract now",
                      s->phase == SG_PHASE_NEW_ONLY ? "It has contracted already." : "SWITCH it first.", reterr);
    }
    struct sg_preflight_subject subject = {
        .relid = s->relid, .old_name = s->old_name, .new_name = s->new_name, .migration_id = s->id};
    return sg_preflight_lets_go(conn, &subject, reterr);
}

static bool may_verify(const struct subject *s, struct move *move, struct sg_error *reterr) {
    *move = (struct move){"verify", "verifying"};
    bool both = s->phase == SG_PHASE_DUAL_WRITE || s->phase == SG_PHASE_READ_NEW;
    return (both && is_resting(s) && (strcmp(s->state, "verified") == 0 || is_in(s, SG_PHASE_READ_NEW, "failed"))) ||
           refuse(s, "cannot be verified now", "There must be two columns and nothing under way.", reterr);
}

static bool may_roll_back(const struct subject *s, struct move *move, struct sg_error *reterr) {
    *move = (struct move){"rollback", "barrier"};
    if (s->phase >= SG_PHASE_NEW_ONLY) {
        return refuse(s, "cannot be rolled back: applications write the new column only",
                      "The way back is a new migration from the new name to the old one.", reterr);
    }
    if (strcmp(s->verb, "rollback") == 0) {
        return refuse(s, "is being rolled back already", "SHOW MIGRATIONS tells how far it is.", reterr);
    }
    bool is_begun = s->phase != SG_PHASE_PLANNED || !is_resting(s) || s->made_column;
    return is_begun || refuse(s, "has nothing to roll back", "DROP MIGRATION removes the mapping.", reterr);
}

static bool record(PGconn *conn, const struct subject *s, const struct move *move, const char *by,
                   struct sg_error *reterr) {
    return sg_db_run(conn,
                     "UPDATE segue.migration SET verb = $2, state = $3, detail = NULL, changed_by = $4 WHERE id = $1",
                     SG_ARGS(s->id, move->verb, move->state, by), reterr);
}

/* ---- What is done at once, because it is rows only ---- */

static bool retire(PGconn *conn, const struct subject *s, bool force, const char *by, struct sg_error *reterr) {
    int64_t used = 0;
    if (!is_in(s, SG_PHASE_NEW_ONLY, "idle")) {
        return refuse(s, "cannot be retired before the old column is gone", "CONTRACT it first.", reterr);
    }
    if (!force && !sg_db_int(conn,
                             "SELECT count(*) FROM segue.reference WHERE migration_id = $1 AND name = $2"
                             " AND last_seen > now() - interval '" REFERENCE_DAYS " days'",
                             SG_ARGS(s->id, s->old_name), &used, reterr)) {
        return false;
    }
    if (used) {
        return refuse(s, "is still needed: the old name was used in the last " REFERENCE_DAYS " days",
                      "Statements that name it would fail; RETIRE ... FORCE retires it all the same.", reterr);
    }
    return sg_db_run(conn,
                     "WITH grown AS (UPDATE segue.epoch SET value = value + 1 RETURNING value) UPDATE segue.migration"
                     " SET phase = 'retired', phase_epoch = grown.value, changed_by = $2 FROM grown WHERE id = $1",
                     SG_ARGS(s->id, by), reterr);
}

static bool drop(PGconn *conn, const struct subject *s, const char *by, struct sg_error *reterr) {
    bool is_clean = s->phase == SG_PHASE_RETIRED || !s->table_exists ||
                    (s->phase == SG_PHASE_PLANNED && is_resting(s) && !s->made_column);
    if (!is_clean) {
        return refuse(s, "cannot be dropped now", "ROLLBACK it first, or CONTRACT and RETIRE it.", reterr);
    }
    char drop_counter[80];
    snprintf(drop_counter, sizeof(drop_counter), "DROP SEQUENCE IF EXISTS segue.guard_%s_repaired", s->id);
    return sg_db_exec(conn, drop_counter, reterr) &&
           sg_db_run(conn,
                     "WITH gone AS (DELETE FROM segue.migration WHERE id = $1 RETURNING id, name, phase, state),"
                     " refs AS (DELETE FROM segue.reference WHERE migration_id = $1),"
                     " origins AS (DELETE FROM segue.guard_origin WHERE migration_id = $1),"
                     " told AS (INSERT INTO segue.history (migration_id, name, who, phase, state, why)"
                     "   SELECT id, name, $2, phase, state, 'dropped' FROM gone)"
                     " UPDATE segue.epoch SET value = value + 1",
                     SG_ARGS(s->id, by), reterr) &&
           sg_db_exec(conn, "NOTIFY segue", reterr);
}

static bool pause_backfill(PGconn *conn, const struct subject *s, bool pause, const char *by, struct sg_error *reterr) {
    bool is_ahead = strcmp(s->verb, "start") == 0 || strcmp(s->verb, "verify") == 0;
    if (!is_ahead || strcmp(s->state, "mirroring") == 0 || strcmp(s->state, "verifying") == 0) {
        return refuse(s, "has no backfill under way", "SHOW BACKFILL lists those that run.", reterr);
    }
    return sg_db_run(conn,
                     "UPDATE segue.migration SET paused = $2::boolean, changed_by = $3,"
                     " state = CASE WHEN state = 'backfilling' AND $2::boolean THEN 'paused'"
                     "   WHEN state = 'paused' AND NOT $2::boolean THEN 'backfilling' ELSE state END WHERE id = $1",
                     SG_ARGS(s->id, pause ? "t" : "f", by), reterr);
}

static bool carry_out(PGconn *conn, enum sg_migration_verb verb, const struct subject *s, const char *by,
                      struct sg_error *reterr) {
    struct move move;
    switch (verb) {
    case SG_MIGRATION_START:
        return may_start(conn, s, &move, reterr) && record(conn, s, &move, by, reterr);
    case SG_MIGRATION_SWITCH:
        return may_switch(s, &move, reterr) && record(conn, s, &move, by, reterr);
    case SG_MIGRATION_CONTRACT:
        return may_contract(conn, s, &move, reterr) && record(conn, s, &move, by, reterr);
    case SG_MIGRATION_VERIFY:
        return may_verify(s, &move, reterr) && record(conn, s, &move, by, reterr);
    case SG_MIGRATION_ROLLBACK:
        return may_roll_back(s, &move, reterr) && record(conn, s, &move, by, reterr);
    case SG_MIGRATION_RETIRE:
    case SG_MIGRATION_RETIRE_FORCE:
        return retire(conn, s, verb == SG_MIGRATION_RETIRE_FORCE, by, reterr);
    case SG_MIGRATION_DROP:
        return drop(conn, s, by, reterr);
    case SG_MIGRATION_PAUSE_BACKFILL:
    case SG_MIGRATION_RESUME_BACKFILL:
        return pause_backfill(conn, s, verb == SG_MIGRATION_PAUSE_BACKFILL, by, reterr);
    }
    return false;
}

bool sg_migration_request(PGconn *conn, enum sg_migration_verb verb, const char *name, const char *by,
                          struct sg_error *reterr) {
    struct subject subject;
    bool ok = sg_db_exec(conn, "BEGIN", reterr) &&
              sg_db_exec(conn, "SET LOCAL search_path = pg_catalog, pg_temp", reterr) &&
              lock_subject(conn, name, &subject, reterr) && carry_out(conn, verb, &subject, by ? by : "", reterr) &&
              sg_db_exec(conn, "COMMIT", reterr);
    if (!ok) {
        sg_db_rollback(conn);
    }
    return ok;
}

bool sg_migration_set_backfill(PGconn *conn, const char *name, const struct sg_migration_option *options,
                               size_t options_len, struct sg_error *reterr) {
    const char *batch_rows = NULL, *max_p99_ratio = NULL;
    for (size_t i = 0; i < options_len; i++) {
        if (!sg_backfill_option(&options[i], &batch_rows, &max_p99_ratio, reterr)) {
            return false;
        }
    }
    PGresult *result = sg_db_query(conn,
                                   "UPDATE segue.migration SET batch_rows = coalesce($2::int, batch_rows),"
                                   " max_p99_ratio = coalesce($3::float8, max_p99_ratio) WHERE name = $1",
                                   SG_ARGS(name, batch_rows, max_p99_ratio), reterr);
    bool found = result && strcmp(PQcmdTuples(result), "1") == 0;
    if (result && !found) {
        sg_error_set(reterr, SG_SQLSTATE_UNDEFINED_OBJECT, "migration \"%s\" does not exist", name);
    }
    PQclear(result);
    return found;
}

PGresult *sg_migration_preflight(PGconn *conn, const char *name, struct sg_error *reterr) {
    struct subject s;
    PGresult *rows = NULL;
    if (sg_db_exec(conn, "BEGIN", reterr) && sg_db_exec(conn, "SET LOCAL search_path = pg_catalog, pg_temp", reterr) &&
        lock_subject(conn, name, &s, reterr)) {
        if (s.phase != SG_PHASE_PLANNED || s.made_column) {
            refuse(&s, "is past its preflight", "PREFLIGHT is for migrations that have not begun.", reterr);
        } else {
            struct sg_preflight_subject subject = {.relid = s.relid,
                                                   .old_name = s.old_name,
                                                   .new_name = s.new_name,
                                                   .guard = s.guard,
                                                   .migration_id = s.id};
            rows = sg_preflight(conn, &subject, reterr);
        }
    }
    sg_db_rollback(conn);
    return rows;
}
