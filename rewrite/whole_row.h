/*
 * whole_row — `u` where a row of users is meant: row_to_json(u), RETURNING u, ROW(u.*), (u).nickname.
 *
 * A row has the names of its columns, so it cannot be the table's own: in FROM the table becomes a sub-select that has
 * every name (sg_replace_entries). Where it cannot - its rows are changed, its system columns or its primary key are
 * needed - the row is made at the place of use, unless an outer join could make the row itself NULL.
 */
#ifndef SEGUE_REWRITE_WHOLE_ROW_H
#define SEGUE_REWRITE_WHOLE_ROW_H

#include "scope.h"

/* node, a column reference, means a row of entry. */
void sg_whole_row(struct sg_context *cx, struct sg_entry *entry, const struct sg_node *node);

/* ROW(...): ROW(u.*) counts columns; f(u.*) sees one row. */
void sg_resolve_row(struct sg_context *cx, struct sg_node *row, const struct sg_scope *scope);

/* (u).nickname, when u is a row of a mapped table: another spelling of u.nickname. False: not that. */
bool sg_resolve_row_field(struct sg_context *cx, struct sg_node *field, const struct sg_scope *scope);

/* (u).* of a mapped table, where columns are counted: the table's sub-select has the old shape. */
void sg_expand_row(const struct sg_scope *scope, const struct sg_node *node, bool counted);

/* Marks the arguments that must keep the table's own row type: those of functions that are not PostgreSQL's. */
void sg_keep_row_arguments(const struct sg_context *cx, struct sg_node *call);

#endif
