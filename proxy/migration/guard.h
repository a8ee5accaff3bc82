/*
 * guard — the trigger that keeps the two columns equal when somebody writes only one of them.
 *
 *   BEFORE INSERT OR UPDATE, FOR EACH ROW, WHEN the columns differ: a row that was dual-written costs one comparison.
 *   Its name starts with '~', so it fires after every trigger with an ordinary name; ENABLE ALWAYS, so that it also
 *   fires in logical replication's apply.
 *
 * Who wins when they differ:
 *   the column that was set (INSERT: is not its default; UPDATE: changed) over the one that was not;
 *   both or neither: the column that is read in this phase - old in dual_write, new in read_new and while contracting.
 */
#ifndef SEGUE_MIGRATION_GUARD_H
#define SEGUE_MIGRATION_GUARD_H

#include "proxy/migration/task.h"

enum sg_guard_mode {
    SG_GUARD_DUAL_WRITE,
    SG_GUARD_READ_NEW,
    SG_GUARD_CONTRACT, /* also takes a lock per upserted key while both columns carry a unique index; see guard.c */
};

/* Inside sg_task_begin(lock_table = true). Creates or replaces function, counter and trigger. */
bool sg_guard_install(struct sg_task *task, enum sg_guard_mode mode, struct sg_error *reterr);
/* Only the function's body, which needs no lock on the table. Nothing happens where there is no guard. */
bool sg_guard_change(struct sg_task *task, enum sg_guard_mode mode, struct sg_error *reterr);
bool sg_guard_drop(struct sg_task *task, struct sg_error *reterr);

#endif
