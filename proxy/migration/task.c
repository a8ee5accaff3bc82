#include "proxy/migration/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_FIRST_MS 50
#define BACKOFF_MAX_MS   2000
#define RENAME_TRIES     3

static const char *const state_names[] = {
#define X(name, text) text,
    SG_STATES(X)
#undef X
};
static const char *const verb_names[] = {
#define X(name, text) text,
    SG_VERBS(X)
#undef X
};

const char *sg_state_name(enum sg_state state) {
    return state_names[state];
}

const char *sg_verb_name(enum sg_verb verb) {
    return verb_names[verb];
}

static int index_of(const char *const *names, size_t len, const char *text) {
    for (size_t i = 0; i < len; i++) {
        if (strcmp(names[i], text) == 0) {
            return (int)i;
        }
    }
    abort(); /* the tables' CHECK constraints allow no other text */
}

static enum sg_state state_of(const char *text) {
    return (enum sg_state)index_of(state_names, sizeof(state_names) / sizeof(state_names[0]), text);
}

static enum sg_verb verb_of(const char *text) {
    return (enum sg_verb)index_of(verb_names, sizeof(verb_names) / sizeof(verb_names[0]), text);
}

bool sg_task_load(struct sg_task *task, struct sg_error *reterr) {
    struct sg_num id = sg_num_of(task->id);
    PGresult *row =
        sg_db_query(task->conn,
                    "SELECT name, phase, state, coalesce(verb, ''), guard, paused, batch_rows,"
                    " max_p99_ratio, phase_epoch, made_column,"
                    " EXISTS (SELECT 1 FROM pg_class c WHERE c.oid = relid) FROM segue.migration WHERE id = $1",
                    SG_ARGS(id.text), reterr);
    if (!row) {
        return false;
    }
    if (PQntuples(row) == 0) {
        sg_error_set(reterr, SG_SQLSTATE_UNDEFINED_OBJECT, "migration %s has been dropped", id.text);
        PQclear(row);
        return false;
    }
    snprintf(task->name, sizeof(task->name), "%s", PQgetvalue(row, 0, 0));
    sg_phase_from_name(PQgetvalue(row, 0, 1), &task->phase);
    task->state = state_of(PQgetvalue(row, 0, 2));
    task->verb = verb_of(PQgetvalue(row, 0, 3));
    task->guard = *PQgetvalue(row, 0, 4) == 't';
    task->paused = *PQgetvalue(row, 0, 5) == 't';
    task->batch_rows = PQgetisnull(row, 0, 6) ? task->config->backfill_batch_rows : atoi(PQgetvalue(row, 0, 6));
    task->max_p99_ratio =
        PQgetisnull(row, 0, 7) ? task->config->backfill_max_p99_ratio : strtod(PQgetvalue(row, 0, 7), NULL);
    task->phase_epoch = strtoull(PQgetvalue(row, 0, 8), NULL, 10);
    task->made_column = *PQgetvalue(row, 0, 9) == 't';
    task->table_exists = *PQgetvalue(row, 0, 10) == 't';
    PQclear(row);
    return true;
}

void sg_task_free(struct sg_task *task) {
    free(task->lockers);
    free(task);
}

static bool lock_row(struct sg_task *task, struct sg_error *reterr) {
    struct sg_num id = sg_num_of(task->id);
    PGresult *row = sg_db_query(
        task->conn, "SELECT phase, state, coalesce(verb, ''), paused FROM segue.migration WHERE id = $1 FOR UPDATE",
        SG_ARGS(id.text), reterr);
    if (!row) {
        return false;
    }
    bool same = PQntuples(row) == 1 && strcmp(PQgetvalue(row, 0, 0), sg_phase_name(task->phase)) == 0 &&
                state_of(PQgetvalue(row, 0, 1)) == task->state && verb_of(PQgetvalue(row, 0, 2)) == task->verb &&
                (*PQgetvalue(row, 0, 3) == 't') == task->paused;
    PQclear(row);
    if (!same) {
        sg_error_set(reterr, SG_SQLSTATE_INTERNAL_ERROR, "the migration was changed meanwhile");
        memcpy(reterr->sqlstate, "40001", 6);
    }
    return same;
}

static bool lock_the_table(struct sg_task *task, struct sg_error *reterr) {
    struct sg_num id = sg_num_of(task->id);
    PGresult *plan = sg_db_query(task->conn,
                                 "SELECT format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', tab)"
                                 " FROM segue.part WHERE id = $1 AND is_top ORDER BY is_root DESC, relid",
                                 SG_ARGS(id.text), reterr);
    bool ok = plan && sg_task_table_is_there(plan, reterr);
    for (int i = 0; ok && i < PQntuples(plan); i++) {
        ok = sg_db_exec(task->conn, PQgetvalue(plan, i, 0), reterr);
    }
    PQclear(plan);
    return ok;
}

bool sg_task_table_is_there(const PGresult *plan, struct sg_error *reterr) {
    if (PQntuples(plan) == 0) {
        sg_error_set(reterr, SG_SQLSTATE_UNDEFINED_TABLE, "the table has been dropped; DROP MIGRATION is what is left");
    }
    return PQntuples(plan) > 0;
}

bool sg_task_begin(struct sg_task *task, bool lock_table, struct sg_error *reterr) {
    struct sg_num timeout = sg_num_of(task->config->lock_timeout_ms > 0 ? task->config->lock_timeout_ms : 200);
    if (!sg_db_exec(task->conn, "BEGIN", reterr) ||
        !sg_db_run(task->conn, "SELECT set_config('lock_timeout', $1, true)", SG_ARGS(timeout.text), reterr) ||
        !lock_row(task, reterr)) {
        return false;
    }
    return !lock_table || lock_the_table(task, reterr);
}

bool sg_task_compose(struct sg_task *task, const char *plan_sql, const char *arg, struct sg_error *reterr) {
    struct sg_num id = sg_num_of(task->id);
    const char *const params[] = {id.text, arg};
    PGresult *plan = sg_db_query(task->conn, plan_sql, arg ? 2 : 1, params, reterr);
    if (!plan) {
        return false;
    }
    bool ok = true;
    for (int i = 0; ok && i < PQntuples(plan); i++) {
        ok = PQgetisnull(plan, i, 0) || sg_db_exec(task->conn, PQgetvalue(plan, i, 0), reterr);
    }
    PQclear(plan);
    return ok;
}

bool sg_task_move(struct sg_task *task, enum sg_phase phase, enum sg_state state, enum sg_verb verb, const char *detail,
                  struct sg_error *reterr) {
    struct sg_num id = sg_num_of(task->id);
    const char *verb_text = verb == SG_VERB_NONE ? NULL : sg_verb_name(verb);
    const char *update = phase == task->phase
                             ? "UPDATE segue.migration SET phase = $2, state = $3, verb = $4, detail = $5,"
                               " changed_by = 'segue' WHERE id = $1"
                             : "WITH grown AS (UPDATE segue.epoch SET value = value + 1 RETURNING value)"
                               " UPDATE segue.migration SET phase = $2, state = $3, verb = $4, detail = $5,"
                               " changed_by = 'segue', phase_epoch = grown.value FROM grown WHERE id = $1";
    return sg_db_run(task->conn, update,
                     SG_ARGS(id.text, sg_phase_name(phase), sg_state_name(state), verb_text, detail), reterr);
}

bool sg_task_commit(struct sg_task *task, struct sg_error *reterr) {
    task->tries = 0;
    return sg_db_exec(task->conn, "COMMIT", reterr);
}

enum sg_turn sg_task_go(struct sg_task *task, enum sg_state state, enum sg_verb verb, const char *detail,
                        struct sg_error *reterr) {
    struct sg_error err;
    if (!sg_task_begin(task, false, &err) || !sg_task_move(task, task->phase, state, verb, detail, &err) ||
        !sg_task_commit(task, &err)) {
        return sg_task_give_way(task, &err, reterr);
    }
    return SG_TURN_MORE;
}

enum sg_turn sg_task_give_way(struct sg_task *task, const struct sg_error *err, struct sg_error *reterr) {
    sg_db_rollback(task->conn);
    /* The table may have been renamed between composing a statement and running it. */
    bool is_renamed = task->tries < RENAME_TRIES && (sg_db_is(err, "42P01") || sg_db_is(err, "3F000"));
    if (!(sg_db_is_transient(err) || is_renamed) || sg_db_is_lost(task->conn)) {
        task->tries = 0;
        *reterr = *err;
        return SG_TURN_ERROR;
    }
    int shift = task->tries < 6 ? task->tries : 6;
    int base = BACKOFF_FIRST_MS << shift;
    base = base < BACKOFF_MAX_MS ? base : BACKOFF_MAX_MS;
    /* Jitter, so that two proxies or a proxy and a cron job do not keep meeting. */
    task->wait_ms = base / 2 + (int)(random() % (base + 1));
    task->tries++;
    return SG_TURN_WAIT;
}

void sg_task_fail(struct sg_task *task, const struct sg_error *err) {
    char *detail = NULL;
    struct sg_error ignored;
    struct sg_num id = sg_num_of(task->id);
    const char *verb = sg_verb_name(task->verb);
    if (asprintf(&detail, "%s (%s, while %s)%s%s", err->message, err->sqlstate, sg_state_name(task->state),
                 err->detail[0] ? ": " : "", err->detail) < 0) {
        abort();
    }
    sg_db_rollback(task->conn);
    /* Not over a request that came in meanwhile: a rollback may be the cure for what failed. */
    sg_db_run(task->conn,
              "UPDATE segue.migration SET state = 'failed', verb = NULL, detail = $2, changed_by = 'segue'"
              " WHERE id = $1 AND verb IS NOT DISTINCT FROM $3",
              SG_ARGS(id.text, detail, verb), &ignored);
    free(detail);
}
