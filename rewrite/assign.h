/* assign — the assignments of UPDATE ... SET and ON CONFLICT DO UPDATE SET: single ones in assign.c, (a, b) = ... in
 * assign_group.c. */
#ifndef SEGUE_REWRITE_ASSIGN_H
#define SEGUE_REWRITE_ASSIGN_H

#include "columns.h"
#include "resolve.h"

/* Resolves the values, then makes every assignment to a mapped column write what the phase wants. */
void sg_resolve_assignments(struct sg_context *cx, struct sg_entry *target, const struct sg_targets *set,
                            const struct sg_scope *scope);

/* The token of the name that is assigned. */
static inline size_t sg_assigned_name(const struct sg_context *cx, const struct sg_target *target) {
    return sg_token_at(&cx->tokens, (size_t)target->at);
}

/* set->v[index] is part of (a, b) = ...: extends the whole group by all copies the plan wants of it. Does its work when
 * called for the first of them. */
void sg_extend_group(struct sg_context *cx, const struct sg_entry *entry, const struct sg_targets *set,
                     const struct sg_column_plan *plan, size_t index);

#endif
