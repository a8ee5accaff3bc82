/* result — what a command answers: columns and rows of text, and a command tag. Everything lives in the arena. */
#ifndef SEGUE_ADMIN_RESULT_H
#define SEGUE_ADMIN_RESULT_H

#include "segue/arena.h"
#include "segue/protocol.h"

#include <libpq-fe.h>

struct sg_result {
    struct sg_arena *arena;
    const char *tag;
    const char *const *names; /* NULL: no rows can come */
    uint16_t columns;
    const char *kinds;  /* a letter a column: s text, n number, b truth; NULL: all are text. The wire has all as text */
    const char **cells; /* rows * columns; NULL is SQL NULL */
    size_t rows, rows_cap;
    const char *warning; /* NULL, or a notice to send along */
};

void sg_result_init(struct sg_result *result, struct sg_arena *arena);
/* names must outlive the result. */
void sg_result_columns(struct sg_result *result, const char *const *names, uint16_t columns);
/* The values are copied. */
void sg_result_row(struct sg_result *result, const char *const *values);
void sg_result_from_pg(struct sg_result *result, const PGresult *pg);

/* RowDescription or NoData. */
void sg_result_describe(const struct sg_result *result, struct sg_buf *out);
void sg_result_put_row(const struct sg_result *result, size_t row, struct sg_buf *out);

#endif
