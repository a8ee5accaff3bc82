/*
 * columns — which physical columns a statement must write, given the names it wrote.
 *
 * For each mapping of the table: nothing (neither name written, or both in a phase that has both), rename the name,
 * write the other column too, or drop one of two names that are one column.
 */
#ifndef SEGUE_REWRITE_COLUMNS_H
#define SEGUE_REWRITE_COLUMNS_H

#include "context.h"

struct sg_column_plan {
    const char **physical; /* per written name: the column to write instead, or NULL when the name stays */
    struct sg_column_copy {
        size_t from;      /* index of the written name whose value is repeated */
        const char *name; /* the other column */
    } * copies;
    size_t copies_len;
    struct sg_column_drop {
        size_t kept, dropped; /* indexes of two written names of one column */
    } * drops;
    size_t drops_len;
};

struct sg_column_plan sg_plan_columns(struct sg_context *cx, const struct sg_table *table, const char *const *written,
                                      size_t n);

/* Of a column as the client names it; "text" when not known. For casts. */
const char *sg_column_type(struct sg_context *cx, const struct sg_table *table, const char *name);
const struct sg_column *sg_shape_column(const struct sg_table *table, const char *name);

#endif
