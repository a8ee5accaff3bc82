/*
 * verify — PostgreSQL itself proves that no row differs: the fence, CHECK (new IS NOT DISTINCT FROM old), is added
 * NOT VALID (from then on no write can make a difference) and validated (so no row has one).
 */
#ifndef SEGUE_MIGRATION_VERIFY_H
#define SEGUE_MIGRATION_VERIFY_H

#include "proxy/migration/task.h"

/* From state verifying: to verified, or, when rows differ, back to backfilling with their count in `divergent`. */
enum sg_turn sg_verify_turn(struct sg_task *task, struct sg_error *reterr);

/* Adds the fence if it is missing and validates it. 23514 when a row differs. Not in a transaction. */
bool sg_verify_fence(struct sg_task *task, struct sg_error *reterr);

#endif
