/* assign — the assignments of UPDATE ... SET and ON CONFLICT DO UPDATE SET. */
#ifndef SEGUE_REWRITE_ASSIGN_H
#define SEGUE_REWRITE_ASSIGN_H

#include "resolve.h"

/* Resolves the values, then makes every assignment to a mapped column write what the phase wants. */
void sg_resolve_assignments(struct sg_context *cx, struct sg_entry *target, const struct sg_targets *set,
                            const struct sg_scope *scope);

#endif
