/*
 * migration — drives one migration over segue's console while the fleets run, and cuts the run into stages:
 *
 *      before -> planned -> dual_write -> verified -> read_new -> contract -> new_only
 *        old app    both       START ... verified    SWITCH      CONTRACT    old column gone
 *        alone
 */
#ifndef SEGUE_BENCH_MIGRATION_H
#define SEGUE_BENCH_MIGRATION_H

#include "bench/load/fleet.h"

#include <libpq-fe.h>

struct sg_migration_run {
    const struct sg_options *options;
    struct sg_metrics *metrics;
    struct sg_fleet *fleet;
    PGconn *direct; /* NULL: no rows are counted */
    /* Called when a stage ended and its rows are counted. */
    void (*stage_done)(const struct sg_stage *stage);
};

/* Runs the stages; the last one still lasts when it returns. False (complained) when a step failed or took too long. */
bool sg_migration_drive(struct sg_migration_run *run);

#endif
