/* engine_parts — what the engine's two threads share. Private to engine.c, watcher.c and runner.c. */
#ifndef SEGUE_MIGRATION_ENGINE_PARTS_H
#define SEGUE_MIGRATION_ENGINE_PARTS_H

#include "proxy/migration/bell.h"
#include "proxy/migration/catalog.h"
#include "proxy/migration/engine.h"
#include "proxy/migration/lease.h"
#include "proxy/migration/task.h"

#include <pthread.h>
#include <stdatomic.h>

struct sg_engine {
    struct sg_engine_config config; /* conninfo is our own copy */
    struct sg_hub *hub;
    atomic_bool stopping, is_retired;
    pthread_t watcher_thread, runner_thread;
    struct sg_bell watcher_bell, runner_bell;

    /* For whoever looks on: written by the watcher at the end of each turn, is_coordinator by the runner. */
    struct {
        atomic_bool is_connected, is_coordinator;
        _Atomic int64_t lease_until_ms;
        _Atomic uint64_t epoch, acknowledged;
    } seen;

    /* The watcher's. */
    PGconn *watch_conn;
    struct sg_catalog_state catalog;
    struct sg_lease lease; /* lease.id is written before the runner starts */
    int64_t looked_ms;     /* at the rows */
    int64_t digest_due_ms;
    struct sg_snapshot *published, *replaced; /* the newest and the one before; references of our own */
    int64_t use_due_ms;                       /* when to write down which names are used */
    uint64_t min_row_epoch;                   /* lease.h, inv. 5 */
    bool is_ready, is_lapsed;

    /* The runner's, except that the watcher may cancel what it is busy with. */
    PGconn *run_conn;
    bool is_coordinator; /* run_conn holds the advisory lock */
    struct sg_task *tasks;
    pthread_mutex_t busy_lock;
    PGcancel *busy_cancel; /* NULL while nothing runs */
    int64_t busy_id;
    enum sg_verb busy_verb;
};

/* Takes the lease, loads, publishes. Used for the first snapshot and after every loss of the connection. */
bool sg_watcher_connect(struct sg_engine *engine, struct sg_error *reterr);
void *sg_watcher_main(void *engine);
void *sg_runner_main(void *engine);
/* Cancels the runner's statement. only_if_overtaken: only when the operator has asked for a rollback since. */
void sg_runner_interrupt(struct sg_engine *engine, bool only_if_overtaken);

#endif
