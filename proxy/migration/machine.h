/* machine — which step comes next; machine.c has the diagram. */
#ifndef SEGUE_MIGRATION_MACHINE_H
#define SEGUE_MIGRATION_MACHINE_H

#include "proxy/migration/task.h"

/* One turn of a migration that has a verb. task is freshly loaded. */
enum sg_turn sg_machine_turn(struct sg_task *task, struct sg_error *reterr);

#endif
