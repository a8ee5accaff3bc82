/* UPDATE and DELETE. */
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
    struct sg_output output = sg_resolve_returning(cx, query, &scope, target, flags);
    sg_replace_entries(cx, &scope);
    return output;
}

struct sg_output sg_resolve_delete(struct sg_context *cx, struct sg_query *query, const struct sg_scope *outer,
                                   const struct sg_cte_name *ctes, int flags) {
    struct sg_scope scope = {.outer = outer, .ctes = sg_resolve_with(cx, &query->with, outer, ctes)};
    struct sg_entry *target = sg_target_entry(cx, query->target);
    sg_scope_add(cx, &scope, target);
    sg_resolve_from(cx, &query->from, &scope);
    sg_resolve_expr(cx, query->where, &scope);
    struct sg_output output = sg_resolve_returning(cx, query, &scope, target, flags);
    sg_replace_entries(cx, &scope);
    return output;
}
