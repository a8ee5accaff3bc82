/*
 * barrier — waiting until an epoch is complete: every proxy whose lease runs has acknowledged it (no session of it is
 * served by, or pinned to, an older one), and then no transaction that held a write lock on the table at that moment
 * is still open, prepared ones included. Those whose lease is over are expelled first (lease.h).
 */
#ifndef SEGUE_MIGRATION_BARRIER_H
#define SEGUE_MIGRATION_BARRIER_H

#include "proxy/migration/task.h"

/* MORE: the migration's phase_epoch is complete. WAIT: not yet. */
enum sg_turn sg_barrier_wait(struct sg_task *task, struct sg_error *reterr);

#endif
