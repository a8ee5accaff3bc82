/* rollback — back through the neighbouring phases: read_new -> dual_write -> planned, a barrier after each. */
#ifndef SEGUE_MIGRATION_ROLLBACK_H
#define SEGUE_MIGRATION_ROLLBACK_H

#include "proxy/migration/task.h"

/* The next step back. Nothing that the applications wrote is lost: the old column has had every value all along. */
enum sg_turn sg_rollback_turn(struct sg_task *task, struct sg_error *reterr);

#endif
