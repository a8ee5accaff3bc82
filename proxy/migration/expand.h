/* expand — one transaction that adds the new column and begins dual_write. */
#ifndef SEGUE_MIGRATION_EXPAND_H
#define SEGUE_MIGRATION_EXPAND_H

#include "proxy/migration/task.h"

/* planned -> dual_write, state barrier. */
enum sg_turn sg_expand(struct sg_task *task, struct sg_error *reterr);

#endif
