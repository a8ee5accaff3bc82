/*
 * contract — from read_new to new_only, and the end of the old column.
 *
 *   prepare   the guard keeps both columns equal whoever writes which (sg_guard_install CONTRACT)
 *   twins     unique indexes on the new column, CONCURRENTLY
 *   turn      one transaction: fence and NOT NULL of old go, a volatile default moves over, phase new_only
 *   barrier
 *   drop      one transaction: guard and old column go, twins get the names of what they stand for
 */
#ifndef SEGUE_MIGRATION_CONTRACT_H
#define SEGUE_MIGRATION_CONTRACT_H

#include "proxy/migration/task.h"

/* The next of these steps. */
enum sg_turn sg_contract_turn(struct sg_task *task, struct sg_error *reterr);

#endif
