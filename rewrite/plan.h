/* plan — a plan with what owns it. The public part is its first member, so that one pointer serves both. */
#ifndef SEGUE_REWRITE_PLAN_H
#define SEGUE_REWRITE_PLAN_H

#include "segue/arena.h"
#include "segue/rewrite.h"

struct sg_full_plan {
    struct sg_plan plan;
    size_t refs;
    struct sg_arena arena; /* all that follows, and plan's pointers, live here */
    struct sg_request key; /* with its own copies of text and search_path */
    uint64_t serial;       /* of the snapshot it was made for */
    size_t bytes;
};

/* A plan of its own, copied out of scratch memory; one reference is the caller's. */
struct sg_full_plan *sg_plan_make(const struct sg_plan *scratch, const struct sg_request *key, uint64_t serial);

#endif
