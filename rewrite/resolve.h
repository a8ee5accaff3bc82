/*
 * resolve — walks a query, decides what every column name means, and edits those that mean a mapped column.
 */
#ifndef SEGUE_REWRITE_RESOLVE_H
#define SEGUE_REWRITE_RESOLVE_H

#include "scope.h"

enum {
    SG_LABELS = 1,  /* the output's column names can be seen by somebody */
    SG_COUNTED = 2, /* the output's number of columns matters */
    SG_IGNORED = 4, /* EXISTS: the output does not matter at all */
};

/* Any query. Returns what it outputs; for INSERT, UPDATE, DELETE: what RETURNING gives. */
struct sg_output sg_resolve_query(struct sg_context *cx, struct sg_query *query, const struct sg_scope *outer,
                                  const struct sg_cte_name *ctes, int flags);

const struct sg_cte_name *sg_resolve_with(struct sg_context *cx, const struct sg_with *with,
                                          const struct sg_scope *outer, const struct sg_cte_name *ctes);
void sg_resolve_expr(struct sg_context *cx, struct sg_node *node, const struct sg_scope *scope);
void sg_resolve_nodes(struct sg_context *cx, const struct sg_nodes *nodes, const struct sg_scope *scope);
void sg_resolve_from(struct sg_context *cx, const struct sg_froms *froms, struct sg_scope *scope);
/* The columns that a star takes from one item of scope->items, in PostgreSQL's order. */
void sg_from_output(struct sg_context *cx, const struct sg_scope *scope, const struct sg_from *from, bool counted,
                    struct sg_output *output);
/* What begins at byte `at` is named by the column reference source: the name the client wrote stays as a label. */
void sg_keep_label(struct sg_context *cx, int at, const char *label, const struct sg_node *source);
/* A select list or RETURNING: names, stars, labels. */
struct sg_output sg_resolve_targets(struct sg_context *cx, const struct sg_targets *targets, struct sg_scope *scope,
                                    int flags);
/* RETURNING of INSERT, UPDATE or DELETE. PostgreSQL 18 knows the row before and after the change there, as `old` and
 * `new` unless something in the statement has that name; a server that does not know them fails on them as it always
 * has. */
struct sg_output sg_resolve_returning(struct sg_context *cx, const struct sg_query *query, struct sg_scope *scope,
                                      const struct sg_entry *target, int flags);

/* A table or view is made: a temporary one of a mapped table's name would hide that for the rest of the session. */
void sg_check_new_table(struct sg_context *cx, const struct sg_from *into);

/* An entry for the table that a statement changes. NULL table in it: not mapped. */
struct sg_entry *sg_target_entry(struct sg_context *cx, const struct sg_from *target);

/* A sub-select has no schema: public.users.nickname loses it where the table becomes one. qualifiers: how many names
 * stand before the column's or the star. */
void sg_drop_schema(struct sg_context *cx, struct sg_entry *entry, int at, size_t qualifiers);

/* The name PostgreSQL gives an output column without a label (FigureColname). *ret_source: the column reference it
 * comes from, or NULL. */
const char *sg_figure_label(const struct sg_node *node, const struct sg_node **ret_source);

/* insert.c, update.c */
struct sg_output sg_resolve_insert(struct sg_context *cx, struct sg_query *query, const struct sg_scope *outer,
                                   const struct sg_cte_name *ctes, int flags);
struct sg_output sg_resolve_update(struct sg_context *cx, struct sg_query *query, const struct sg_scope *outer,
                                   const struct sg_cte_name *ctes, int flags);
struct sg_output sg_resolve_delete(struct sg_context *cx, struct sg_query *query, const struct sg_scope *outer,
                                   const struct sg_cte_name *ctes, int flags);
struct sg_output sg_resolve_merge(struct sg_context *cx, struct sg_query *query, const struct sg_scope *outer,
                                  const struct sg_cte_name *ctes, int flags);

#endif
