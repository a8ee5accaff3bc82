/* UPDATE, DELETE and MERGE. */
#include "assign.h"
#include "resolve.h"
#include "star.h"

struct sg_output sg_resolve_update(struct sg_context *cx, struct sg_query *query, const struct sg_scope *outer,
                                   const struct sg_cte_name *ctes, int flags) {
    struct sg_scope scope = {.outer = outer, .ctes = sg_resolve_with(cx, &query->with, outer, ctes)};
    struct sg_entry *target = sg_target_entry(cx, query->target);
    sg_scope_add(cx, &scope, target);
    sg_resolve_from(cx, &query->from, &scope);
    sg_resolve_assignments(cx, target, &query->set, &scope);
    sg_resolve_expr(cx, query->where, &scope);
    struct sg_output output = sg_resolve_targets(cx, &query->targets, &scope, flags);
    sg_replace_entries(cx, &scope);
    return output;
}

struct sg_output sg_resolve_delete(struct sg_context *cx, struct sg_query *query, const struct sg_scope *outer,
                                   const struct sg_cte_name *ctes, int flags) {
    struct sg_scope scope = {.outer = outer, .ctes = sg_resolve_with(cx, &query->with, outer, ctes)};
    sg_scope_add(cx, &scope, sg_target_entry(cx, query->target));
    sg_resolve_from(cx, &query->from, &scope);
    sg_resolve_expr(cx, query->where, &scope);
    struct sg_output output = sg_resolve_targets(cx, &query->targets, &scope, flags);
    sg_replace_entries(cx, &scope);
    return output;
}

struct sg_output sg_resolve_merge(struct sg_context *cx, struct sg_query *query, const struct sg_scope *outer,
                                  const struct sg_cte_name *ctes, int flags) {
    struct sg_scope scope = {.outer = outer, .ctes = sg_resolve_with(cx, &query->with, outer, ctes)};
    struct sg_entry *target = sg_target_entry(cx, query->target);
    sg_scope_add(cx, &scope, target);
    sg_resolve_from(cx, &query->from, &scope);
    sg_resolve_expr(cx, query->where, &scope);
    for (size_t i = 0; i < query->arms_len; i++) {
        const struct sg_merge_arm *arm = &query->arms[i];
        if (target->table && (arm->inserts || arm->updates))
            sg_refuse(cx, query->target->at, target->table, "Use INSERT ... ON CONFLICT DO UPDATE.",
                      "a MERGE that inserts into or updates this table");
        sg_resolve_expr(cx, arm->condition, &scope);
        sg_resolve_nodes(cx, &arm->values, &scope);
        for (size_t k = 0; k < arm->targets.n; k++)
            sg_resolve_expr(cx, arm->targets.v[k].expr, &scope);
    }
    sg_replace_entries(cx, &scope);
    return (struct sg_output){0};
}
