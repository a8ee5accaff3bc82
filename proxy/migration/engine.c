#include "proxy/migration/engine_parts.h"
#include "proxy/migration/schema.h"
#include "proxy/net/hub.h"

#include <stdlib.h>
#include <string.h>

static void set_defaults(struct sg_engine_config *config) {
    config->backfill_batch_rows = config->backfill_batch_rows > 0 ? config->backfill_batch_rows : 5000;
    config->backfill_max_p99_ratio = config->backfill_max_p99_ratio >= 1 ? config->backfill_max_p99_ratio : 1.5;
    config->lock_timeout_ms = config->lock_timeout_ms > 0 ? config->lock_timeout_ms : 200;
    config->poll_ms = config->poll_ms > 0 ? config->poll_ms : 200;
    config->lease_ms = config->lease_ms > 0 ? config->lease_ms : 10000;
}

static void engine_free(struct sg_engine *engine) {
    PQfinish(engine->watch_conn);
    PQfinish(engine->run_conn);
    if (engine->replaced) {
        sg_snapshot_unref(engine->replaced);
    }
    if (engine->published) {
        sg_snapshot_unref(engine->published);
    }
    sg_bell_free(&engine->watcher_bell);
    sg_bell_free(&engine->runner_bell);
    pthread_mutex_destroy(&engine->busy_lock);
    free((char *)engine->config.control_conninfo);
    free(engine);
}

struct sg_engine *sg_engine_start(const struct sg_engine_config *config, struct sg_hub *hub, struct sg_error *reterr) {
    struct sg_engine *engine = calloc(1, sizeof(*engine));
    if (!engine) {
        abort();
    }
    engine->config = *config;
    engine->config.control_conninfo = strdup(config->control_conninfo ? config->control_conninfo : "");
    set_defaults(&engine->config);
    engine->hub = hub;
    engine->lease.lease_ms = engine->config.lease_ms;
    sg_bell_init(&engine->watcher_bell);
    sg_bell_init(&engine->runner_bell);
    pthread_mutex_init(&engine->busy_lock, NULL);
    if (!sg_watcher_connect(engine, reterr)) {
        engine_free(engine);
        return NULL;
    }
    if (pthread_create(&engine->watcher_thread, NULL, sg_watcher_main, engine) != 0 ||
        pthread_create(&engine->runner_thread, NULL, sg_runner_main, engine) != 0) {
        abort();
    }
    return engine;
}

void sg_engine_stop(struct sg_engine *engine) {
    if (!engine) {
        return;
    }
    atomic_store(&engine->stopping, true);
    sg_engine_wake(engine);
    sg_runner_interrupt(engine, false);
    pthread_join(engine->runner_thread, NULL);
    pthread_join(engine->watcher_thread, NULL);
    engine_free(engine);
}

void sg_engine_retire(struct sg_engine *engine) {
    atomic_store(&engine->is_retired, true);
    sg_bell_ring(&engine->runner_bell);
}

void sg_engine_wake(struct sg_engine *engine) {
    sg_bell_ring(&engine->watcher_bell);
    sg_bell_ring(&engine->runner_bell);
}

void sg_engine_status(const struct sg_engine *engine, struct sg_engine_status *ret_status) {
    *ret_status = (struct sg_engine_status){
        .is_connected = atomic_load(&engine->seen.is_connected),
        .is_coordinator = atomic_load(&engine->seen.is_coordinator),
        .lease_ms = engine->config.lease_ms,
        .lease_left_ms = atomic_load(&engine->seen.lease_until_ms) - sg_now_ms(),
        .epoch = atomic_load(&engine->seen.epoch),
        .acknowledged = atomic_load(&engine->seen.acknowledged),
    };
}
