/*
 * The runner holds the coordinator's advisory lock on the very connection it works with: when the connection is gone
 * the lock is, too, and nothing more can be done through it. Migrations take turns, so one that backfills for hours
 * holds up no other; only statements that cannot be cut into turns (index builds, validations) do.
 */
#include "proxy/log.h"
#include "proxy/migration/engine_parts.h"
#include "proxy/migration/machine.h"

#include <stdlib.h>
#include <string.h>

#define RETRY_MS 500

static struct sg_task *task_of(struct sg_engine *engine, int64_t id) {
    for (struct sg_task *task = engine->tasks; task; task = task->next) {
        if (task->id == id) {
            return task;
        }
    }
    struct sg_task *task = calloc(1, sizeof(*task));
    if (!task) {
        abort();
    }
    task->id = id;
    task->next = engine->tasks;
    engine->tasks = task;
    return task;
}

static void forget_tasks(struct sg_engine *engine) {
    while (engine->tasks) {
        struct sg_task *next = engine->tasks->next;
        sg_task_free(engine->tasks);
        engine->tasks = next;
    }
}

static void set_busy(struct sg_engine *engine, const struct sg_task *task) {
    pthread_mutex_lock(&engine->busy_lock);
    if (engine->busy_cancel) {
        PQfreeCancel(engine->busy_cancel);
    }
    engine->busy_cancel = task ? PQgetCancel(engine->run_conn) : NULL;
    engine->busy_id = task ? task->id : 0;
    engine->busy_verb = task ? task->verb : SG_VERB_NONE;
    pthread_mutex_unlock(&engine->busy_lock);
}

/* Runs in the watcher, on its connection. A cancel that comes too late hits a later statement, which is done again. */
static bool is_overtaken(struct sg_engine *engine, int64_t id) {
    struct sg_num id_text = sg_num_of(id);
    struct sg_error ignored;
    int64_t overtaken = 0;
    return engine->watch_conn &&
           sg_db_int(engine->watch_conn, "SELECT count(*) FROM segue.migration WHERE id = $1 AND verb = 'rollback'",
                     SG_ARGS(id_text.text), &overtaken, &ignored) &&
           overtaken > 0;
}

void sg_runner_interrupt(struct sg_engine *engine, bool only_if_overtaken) {
    pthread_mutex_lock(&engine->busy_lock);
    int64_t id = engine->busy_id;
    bool wanted = engine->busy_cancel && (!only_if_overtaken || engine->busy_verb != SG_VERB_ROLLBACK);
    pthread_mutex_unlock(&engine->busy_lock);
    if (!wanted || (only_if_overtaken && !is_overtaken(engine, id))) {
        return;
    }
    char reason[256];
    pthread_mutex_lock(&engine->busy_lock);
    if (engine->busy_cancel && engine->busy_id == id) {
        PQcancel(engine->busy_cancel, reason, sizeof(reason));
    }
    pthread_mutex_unlock(&engine->busy_lock);
}

/* A proxy that does not coordinate keeps its connection and asks again: the lock is free when its holder is gone. */
static bool coordinates(struct sg_engine *engine) {
    struct sg_num cls = sg_num_of(SG_LOCK_CLASS), lock = sg_num_of(SG_LOCK_COORDINATOR);
    struct sg_error err;
    int64_t got = 0;
    if (!engine->run_conn) {
        engine->run_conn = sg_db_connect(engine->config.control_conninfo, "segue runner", &err);
        engine->is_coordinator = false;
        atomic_store(&engine->seen.is_coordinator, false);
    }
    if (!engine->run_conn || engine->is_coordinator) {
        return engine->run_conn != NULL;
    }
    bool ok = sg_db_int(engine->run_conn, "SELECT pg_try_advisory_lock($1, $2)::int", SG_ARGS(cls.text, lock.text),
                        &got, &err);
    engine->is_coordinator = ok && got;
    atomic_store(&engine->seen.is_coordinator, engine->is_coordinator);
    if (engine->is_coordinator) {
        sg_log(SG_LOG_INFO, "this proxy coordinates the migrations of its database");
    } else if (sg_db_is_lost(engine->run_conn)) {
        PQfinish(engine->run_conn);
        engine->run_conn = NULL;
    }
    return engine->is_coordinator;
}

static void disconnect_runner(struct sg_engine *engine) {
    PQfinish(engine->run_conn);
    engine->run_conn = NULL;
    forget_tasks(engine);
}

static void log_moves(struct sg_task *task, enum sg_phase phase, enum sg_state state) {
    if (task->phase != phase || task->state != state) {
        sg_log(SG_LOG_INFO, "migration \"%s\": phase %s, state %s", task->name, sg_phase_name(task->phase),
               sg_state_name(task->state));
    }
}

/* One turn. false: the connection is gone. */
static bool run_task(struct sg_engine *engine, struct sg_task *task) {
    struct sg_error err;
    task->conn = engine->run_conn;
    task->config = &engine->config;
    task->hub = engine->hub;
    task->proxy_id = engine->lease.id;
    if (!sg_task_load(task, &err)) {
        return !sg_db_is_lost(engine->run_conn);
    }
    enum sg_phase phase = task->phase;
    enum sg_state state = task->state;
    set_busy(engine, task);
    enum sg_turn turn = sg_machine_turn(task, &err);
    set_busy(engine, NULL);
    task->due_ms = sg_now_ms() + (turn == SG_TURN_WAIT ? task->wait_ms : 0);
    if (sg_db_is_lost(engine->run_conn)) {
        sg_log(SG_LOG_WARN, "migration \"%s\": the coordinator's connection is gone", task->name);
        return false;
    }
    if (turn == SG_TURN_ERROR && !atomic_load(&engine->stopping)) {
        sg_log_error(SG_LOG_ERROR, &err, "migration \"%s\" failed", task->name);
        sg_task_fail(task, &err);
    }
    if (sg_task_load(task, &err)) {
        log_moves(task, phase, state);
    }
    return true;
}

static bool goes_on(struct sg_engine *engine) {
    return !atomic_load(&engine->stopping) && !atomic_load(&engine->is_retired);
}

/* Answers how long there is nothing to do; -1 when the connection is gone. */
static int run_round(struct sg_engine *engine) {
    struct sg_error err;
    PGresult *rows = sg_db_query(engine->run_conn, "SELECT id FROM segue.migration WHERE verb IS NOT NULL ORDER BY id",
                                 0, NULL, &err);
    if (!rows) {
        return sg_db_is_lost(engine->run_conn) ? -1 : RETRY_MS;
    }
    int64_t rest_ms = engine->config.poll_ms;
    for (int i = 0; i < PQntuples(rows) && rest_ms >= 0 && goes_on(engine); i++) {
        struct sg_task *task = task_of(engine, strtoll(PQgetvalue(rows, i, 0), NULL, 10));
        if (task->due_ms <= sg_now_ms() && !run_task(engine, task)) {
            rest_ms = -1;
            break;
        }
        int64_t left_ms = task->due_ms - sg_now_ms();
        left_ms = left_ms > 0 ? left_ms : 0;
        rest_ms = left_ms < rest_ms ? left_ms : rest_ms;
    }
    PQclear(rows);
    return (int)rest_ms;
}

void *sg_runner_main(void *arg) {
    struct sg_engine *engine = arg;
    while (goes_on(engine)) {
        if (!coordinates(engine)) {
            sg_bell_wait(&engine->runner_bell, -1, RETRY_MS);
            continue;
        }
        int rest_ms = run_round(engine);
        if (rest_ms < 0) {
            disconnect_runner(engine);
            rest_ms = RETRY_MS;
        }
        if (rest_ms > 0) {
            sg_bell_wait(&engine->runner_bell, -1, rest_ms);
        }
    }
    disconnect_runner(engine); /* the lock goes with the connection */
    return NULL;
}
