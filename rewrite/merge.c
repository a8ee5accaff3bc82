/* MERGE: its arms are an INSERT of one row, and an UPDATE's assignments. */
#include "assign.h"
#include "column_list.h"
#include "resolve.h"
#include "star.h"
#include "wrap.h"

/* The token INSERT of the next arm that inserts, from token i on. */
static size_t find_insert(const struct sg_context *cx, size_t i) {
    for (; i + 1 < cx->tokens.n; i++)
        if (cx->tokens.v[i].word == SG_WORD_THEN && cx->tokens.v[i + 1].word == SG_WORD_INSERT)
            return i + 1;
    return i;
}

/* The parenthesis after VALUES, from token i on. */
static size_t find_values(const struct sg_context *cx, size_t i) {
    while (i + 1 < cx->tokens.n && cx->tokens.v[i].word != SG_WORD_VALUES)
        i++;
    return i + 1;
}

static void rewrite_insert(struct sg_context *cx, const struct sg_entry *target, const struct sg_merge_arm *arm,
                           size_t insert) {
    struct sg_column_list list = {target->table, &arm->targets, insert + 1, NULL, 0};
    if (arm->values.n == 0) /* DEFAULT VALUES */
        return;
    if (!sg_column_list_read(cx, &list, arm->values.n))
        return;
    struct sg_column_plan plan = sg_plan_columns(cx, list.table, list.written, list.n);
    size_t after_list = list.set->n ? cx->tokens.v[list.at].match : list.at;
    size_t open = find_values(cx, after_list);
    sg_column_list_edit(cx, &list, &plan);
    if (!sg_extend_row(cx, list.table, open, &arm->values, list.written, list.n, &plan))
        sg_refuse(cx, arm->values.v[0]->at, list.table, "Compute the value in the MERGE's source.",
                  "a MERGE that inserts a value which must be computed once");
}

static bool has_row_select(const struct sg_merge_arm *arm) {
    for (size_t i = 0; i < arm->targets.n; i++) {
        const struct sg_node *value = arm->targets.v[i].expr;
        if (value && value->kind == SG_NODE_MULTI && value->kids.v[0]->kind == SG_NODE_SUBLINK)
            return true;
    }
    return false;
}

/* PostgreSQL 15 mixes up the (a, b) = (SELECT ...) of different arms: wrong values, or a crash. One of ours must not
 * come to another. */
static void check_row_selects(struct sg_context *cx, const struct sg_query *query, const struct sg_entry *target,
                              unsigned ours) {
    unsigned all = ours;
    for (size_t i = 0; i < query->arms_len; i++)
        all += has_row_select(&query->arms[i]);
    if (ours && all > 1)
        sg_refuse(cx, query->target->at, target->table, "Compute the values in the MERGE's source.",
                  "a MERGE with several assignments of a value that must be computed once");
}

struct sg_output sg_resolve_merge(struct sg_context *cx, struct sg_query *query, const struct sg_scope *outer,
                                  const struct sg_cte_name *ctes, int flags) {
    struct sg_scope scope = {.outer = outer, .ctes = sg_resolve_with(cx, &query->with, outer, ctes)};
    struct sg_entry *target = sg_target_entry(cx, query->target);
    sg_scope_add(cx, &scope, target);
    sg_resolve_from(cx, &query->from, &scope);
    struct sg_scope source = scope; /* where nothing matched, there is no target row to see */
    source.entries++;
    source.n--;
    sg_resolve_expr(cx, query->where, &scope);
    size_t at = sg_token_at(&cx->tokens, (size_t)query->target->at);
    unsigned row_selects = cx->row_selects;
    for (size_t i = 0; i < query->arms_len && !cx->refused; i++) {
        const struct sg_merge_arm *arm = &query->arms[i];
        sg_resolve_expr(cx, arm->condition, arm->matched ? &scope : &source);
        sg_resolve_nodes(cx, &arm->values, &source);
        if (arm->inserts) {
            at = find_insert(cx, at);
            if (target->table)
                rewrite_insert(cx, target, arm, at);
        } else {
            sg_resolve_assignments(cx, target, &arm->targets, &scope);
        }
    }
    check_row_selects(cx, query, target, cx->row_selects - row_selects);
    sg_replace_entries(cx, &scope);
    (void)flags; /* a MERGE returns nothing (PostgreSQL 15) */
    return (struct sg_output){0};
}
