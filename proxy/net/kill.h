/* kill — ends sessions in the middle of whatever they do, because an administrator says so. */
#ifndef SEGUE_NET_KILL_H
#define SEGUE_NET_KILL_H

#include "worker.h"

/* The sessions of a database (NULL: of every one), or, id not 0, the one with it. Any thread but the workers'; blocks
 * until each worker has done it. How many there were. */
uint64_t sg_kill_run(struct sg_worker *const *workers, int len, const char *database, uint64_t id);

#endif
