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

/* Where one item of a comma-separated list stands. */
struct sg_extent {
    size_t from, to; /* bytes */
};

bool sg_is_dropped(const struct sg_column_plan *plan, size_t index);
/* Takes item i out of a list, with the comma that goes with it; the list's other drops may be next to it. */
void sg_drop_item(struct sg_context *cx, const struct sg_extent *items, const struct sg_column_plan *plan, size_t i);
/* Of two values for one column one goes; its parameters must stay in the text, or the statement's parameters would no
 * longer be those that the client binds. */
void sg_keep_params(struct sg_context *cx, struct sg_extent kept, struct sg_extent dropped, const char *type);

/* Of a column as the client names it; "text" when not known. For casts. */
const char *sg_column_type(struct sg_context *cx, const struct sg_table *table, const char *name);
const struct sg_column *sg_shape_column(const struct sg_table *table, const char *name);

#endif
