/* star — what `*` stands for on a mapped table (contract, section 5). */
#ifndef SEGUE_REWRITE_STAR_H
#define SEGUE_REWRITE_STAR_H

#include "scope.h"

/* The columns `*` gives, by the request's star setting; counted: the number of columns matters, so no extra ones. */
void sg_star_output(struct sg_context *cx, const struct sg_table *table, bool counted, struct sg_output *output);

/* The same as a select list: q.user_id, q.nickname, q.nickname AS username. qualifier may be NULL. */
const char *sg_star_text(struct sg_context *cx, const struct sg_table *table, const char *qualifier, bool counted);

/* The values alone, their number counted: for ROW(...). replaced: of the sub-select in the table's place. */
const char *sg_star_values(struct sg_context *cx, const struct sg_table *table, const char *qualifier, bool replaced);

/* Expands a `*` or `q.*` of a select list or RETURNING, if a mapped table is concerned, and tells what it outputs. */
void sg_star_target(struct sg_context *cx, struct sg_scope *scope, const struct sg_target *target, bool counted,
                    bool ignored, struct sg_output *output);

/* What a `*` outputs, without changing anything. */
void sg_star_target_output(struct sg_context *cx, const struct sg_scope *scope, const struct sg_target *target,
                           bool counted, struct sg_output *output);

/* Turns entries marked as replaced into sub-selects. */
void sg_replace_entries(struct sg_context *cx, struct sg_scope *scope);

#endif
