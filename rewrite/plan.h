/* plan — a plan with what owns it. The public part is its first member, so that one pointer serves both. */
#ifndef SEGUE_REWRITE_PLAN_H
#define SEGUE_REWRITE_PLAN_H

#include "segue/arena.h"
#include "segue/rewrite.h"
#include "splice.h"

struct sg_full_plan {
    struct sg_plan plan;
    size_t refs;
    size_t bytes;           /* of all of it */
    struct sg_arena arena;  /* of the error and of what becomes of COPY's data */
    struct sg_edit edits[]; /* and behind them the text */
};

/* A plan like scratch, with room for an SG_REWRITE's text and edits; one reference is the caller's. */
struct sg_full_plan *sg_plan_new(const struct sg_plan *scratch, size_t max_sql_bytes, size_t edits_len);
/* Fills the room. */
void sg_plan_splice(struct sg_full_plan *full, const struct sg_splice *splice, struct sg_span text,
                    const struct sg_shape *shape);

#endif
