/* threads — one cache for all workers, or one each? */
#ifndef SEGUE_MICRO_THREADS_H
#define SEGUE_MICRO_THREADS_H

#include "segue/rewrite.h"

/* Prints what a statement costs each of several threads: with a rewriter of its own, and with one for all behind a
 * lock. */
void micro_threads(struct sg_snapshot *snapshot);

#endif
