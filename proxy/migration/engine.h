/*
 * engine — drives migrations: owns the schema `segue` in the migrated database, loads catalog and mappings from it,
 * publishes snapshots to the hub, and carries each migration from step to step. All state is rows in the database;
 * a process that is killed at any instant and started again goes on where it was.
 *
 * Two threads with blocking libpq, each with a connection of its own; the data path meets them only in the hub.
 *   watcher  reads the epoch, loads and publishes snapshots, renews this proxy's lease
 *   runner   carries migrations from step to step while it holds the coordinator's advisory lock
 * so that an index build of an hour holds up neither. The control connection must lead to the primary, and to one
 * server session for its whole life: advisory locks and LISTEN do not survive a transaction pooler.
 */
#ifndef SEGUE_MIGRATION_ENGINE_H
#define SEGUE_MIGRATION_ENGINE_H

#include "segue/error.h"

#include <stdbool.h>
#include <stdint.h>

struct sg_hub;
struct sg_engine;

/* 0 means the default everywhere. */
struct sg_engine_config {
    const char *control_conninfo;
    int backfill_batch_rows; /* default 5000 */
    double backfill_max_p99_ratio;
    int lock_timeout_ms; /* of DDL; default 200 */
    int poll_ms;         /* how often the rows are looked at; default 200 */
    int lease_ms;        /* how long other proxies wait for this one after its last word; default 10000 */
};

/* Connects, makes or upgrades schema `segue`, publishes the first snapshot, starts the thread. Returns NULL and the
 * reason when the control database cannot be reached or the role lacks a privilege. */
struct sg_engine *sg_engine_start(const struct sg_engine_config *config, struct sg_hub *hub, struct sg_error *reterr);
/* Ends both threads and gives the lease back: only when no worker serves any more. */
void sg_engine_stop(struct sg_engine *engine);

/* Carries no more migrations on, and gives the coordinator's lock up once the turn at hand is over; mappings are served
 * as before. Any thread. */
void sg_engine_retire(struct sg_engine *engine);
/* How the engine stands to its database, as of the watcher's last turn. Any thread. */
struct sg_engine_status {
    bool is_connected;
    bool is_coordinator;             /* this process carries the migrations on */
    int64_t lease_ms, lease_left_ms; /* left: may be negative, then it has run out */
    uint64_t epoch, acknowledged;    /* of the rows as they were read; that every session here has reached */
};
void sg_engine_status(const struct sg_engine *engine, struct sg_engine_status *ret_status);

/* Look at the rows now rather than at the next poll. Any thread. */
void sg_engine_wake(struct sg_engine *engine);

#endif
