#include "proxy/admin/result.h"

#include <string.h>

void sg_result_init(struct sg_result *result, struct sg_arena *arena) {
    *result = (struct sg_result){.arena = arena, .tag = ""};
}

void sg_result_columns(struct sg_result *result, const char *const *names, uint16_t columns) {
    result->names = names;
    result->columns = columns;
}

void sg_result_row(struct sg_result *result, const char *const *values) {
    if (result->rows == result->rows_cap) {
        size_t cap = result->rows_cap ? result->rows_cap * 2 : 16;
        const char **cells = sg_arena_array(result->arena, const char *, cap * result->columns);
        if (result->rows)
            memcpy(cells, result->cells, result->rows * result->columns * sizeof(*cells));
        result->cells = cells;
        result->rows_cap = cap;
    }
    const char **row = result->cells + result->rows++ * result->columns;
    for (uint16_t i = 0; i < result->columns; i++)
        row[i] = values[i] ? sg_arena_strdup(result->arena, values[i]) : NULL;
}

static char kind_of(Oid type) {
    enum { BOOL = 16, INT8 = 20, INT2 = 21, INT4 = 23, OID = 26, FLOAT4 = 700, FLOAT8 = 701, NUMERIC = 1700 };
    switch (type) {
    case BOOL:
        return 'b';
    case INT8:
    case INT2:
    case INT4:
    case OID:
    case FLOAT4:
    case FLOAT8:
    case NUMERIC:
        return 'n';
    default:
        return 's';
    }
}

void sg_result_from_pg(struct sg_result *result, const PGresult *pg) {
    int columns = PQnfields(pg);
    char *kinds = sg_arena_alloc(result->arena, (size_t)columns + 1);
    const char **names = sg_arena_array(result->arena, const char *, columns);
    const char **values = sg_arena_array(result->arena, const char *, columns);
    for (int c = 0; c < columns; c++)
        names[c] = sg_arena_strdup(result->arena, PQfname(pg, c));
    for (int c = 0; c < columns; c++)
        kinds[c] = kind_of(PQftype(pg, c));
    sg_result_columns(result, names, (uint16_t)columns);
    result->kinds = kinds;
    for (int r = 0; r < PQntuples(pg); r++) {
        for (int c = 0; c < columns; c++)
            values[c] = PQgetisnull(pg, r, c) ? NULL : PQgetvalue(pg, r, c);
        sg_result_row(result, values);
    }
}

void sg_result_describe(const struct sg_result *result, struct sg_buf *out) {
    if (result->names) {
        sg_msg_text_row_description(out, result->names, result->columns);
        return;
    }
    sg_msg_begin(out, 'n');
    sg_msg_end(out);
}

void sg_result_put_row(const struct sg_result *result, size_t row, struct sg_buf *out) {
    sg_msg_text_row(out, result->cells + row * result->columns, result->columns);
}
