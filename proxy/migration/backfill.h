/*
 * backfill — copies old into new where they differ, table by table (partitions, children), in each window by window in
 * the order of the primary key (or of heap blocks where there is none), in passes, until a pass has left nothing
 * behind.
 *
 *   One window is one transaction: rows that differ are locked FOR NO KEY UPDATE SKIP LOCKED, so a batch never waits
 *   for a row while it holds others and cannot deadlock with an application; what was skipped is for the next pass.
 *   Progress is written in the same transaction, so a restart goes on at the last committed window.
 */
#ifndef SEGUE_MIGRATION_BACKFILL_H
#define SEGUE_MIGRATION_BACKFILL_H

#include "proxy/migration/task.h"

/* One window. MORE after a window or when the last pass has ended (state mirroring); WAIT to give way to the clients.
 */
enum sg_turn sg_backfill_turn(struct sg_task *task, struct sg_error *reterr);

#endif
