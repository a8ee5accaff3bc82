/*
 * wrap — a source of rows put into a derived table, so that a value can be named, and thus used twice, while it is
 * computed once:
 *
 *     INSERT INTO t (a, b, c) SELECT segue.c1, segue.c2, segue.c2 FROM (SELECT x, random() FROM s OFFSET 0) AS
 * segue(c1, c2)
 *
 * OFFSET 0 keeps the planner from merging the derived table into the outer query, which would evaluate a sub-query
 * twice.
 */
#ifndef SEGUE_REWRITE_WRAP_H
#define SEGUE_REWRITE_WRAP_H

#include "columns.h"

/* Where a row source stands: tokens [first, end). */
struct sg_source {
    struct sg_query *query;
    size_t first, end;
};

/*
 * Makes the source give, after (or less) its own columns, what the column plan needs: copies of a column's value at the
 * end, dropped columns gone. written: the names the source's columns are for, n of them. Repeats expressions in place
 * where that is safe; wraps otherwise.
 */
void sg_extend_source(struct sg_context *cx, const struct sg_table *table, const struct sg_source *source,
                      const char *const *written, size_t n, const struct sg_column_plan *plan);

/* The same for one parenthesised row of values that opens at token open; false when a value must be computed once. */
bool sg_extend_row(struct sg_context *cx, const struct sg_table *table, size_t open, const struct sg_nodes *row,
                   const char *const *written, size_t n, const struct sg_column_plan *plan);

#endif
