/*
 * engine — drives migrations: owns the schema `segue` in the migrated database, loads catalog and mappings from it,
 * publishes snapshots to the hub, and carries each migration from step to step. All state is rows in the database;
 * a process that is killed at any instant and started again goes on where it was.
 *
 * One thread of its own with blocking libpq; the data path meets it only in the hub.
 */
#ifndef SEGUE_MIGRATION_ENGINE_H
#define SEGUE_MIGRATION_ENGINE_H

#include "segue/error.h"

#include <stdbool.h>

struct sg_hub;
struct sg_engine;

struct sg_engine_config {
    const char *control_conninfo;
    int backfill_batch_rows;    /* default 5000 */
    double backfill_max_p99_ratio;
    int lock_timeout_ms;        /* of DDL; default 200 */
    int poll_ms;                /* how often the rows are looked at; default 200 */
};

/* Connects, makes or upgrades schema `segue`, publishes the first snapshot, starts the thread. Returns NULL and the
 * reason when the control database cannot be reached or the role lacks a privilege. */
struct sg_engine *sg_engine_start(const struct sg_engine_config *config, struct sg_hub *hub, struct sg_error *reterr);
void sg_engine_stop(struct sg_engine *engine);

/* Look at the rows now rather than at the next poll. Any thread. */
void sg_engine_wake(struct sg_engine *engine);

#endif
