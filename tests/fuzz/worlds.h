/* The databases that fuzz_rewrite plays in: DDL and mappings, joined to a snapshot for each phase. */
#ifndef SEGUE_FUZZ_WORLDS_H
#define SEGUE_FUZZ_WORLDS_H

#include "segue/catalog.h"

enum { WORLDS = 4 };

/* Built at the first call; they stay. */
struct sg_snapshot *world_snapshot(size_t world, enum sg_phase phase);
/* The first world's tables with no mapping in force. */
struct sg_snapshot *world_unmapped(void);

#endif
