/* column_list — the column list of an INSERT, written or implied, and how it is edited. */
#ifndef SEGUE_REWRITE_COLUMN_LIST_H
#define SEGUE_REWRITE_COLUMN_LIST_H

#include "columns.h"

#include <stdint.h>

struct sg_column_list {
    const struct sg_table *table;
    const struct sg_targets *set; /* the names written; none: the columns as they stood when the mapping was made */
    size_t at;                    /* token: the list's parenthesis, or what stands in its place */
    const char **written;         /* by sg_column_list_read: the columns that the values are for */
    size_t n;
};

#define SG_VALUES_UNKNOWN SIZE_MAX

/* values: how many the statement gives, where there is no list. False: refused, or nothing is to be done because the
 * table still is as it was. */
bool sg_column_list_read(struct sg_context *cx, struct sg_column_list *list, size_t values);
void sg_column_list_edit(struct sg_context *cx, const struct sg_column_list *list, const struct sg_column_plan *plan);

#endif
