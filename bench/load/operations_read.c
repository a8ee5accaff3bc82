#include "bench/load/answers.h"
#include "bench/load/operations.h"

#include <stdio.h>
#include <string.h>

#define SPAN_MAX 8 /* rows a range read covers */

static bool is_present(const struct sg_client *client, size_t row) {
    return client->range->rows[row].kind != SG_ROW_ABSENT;
}

/* Neighbouring rows by key are neighbours in the model, except where initial rows end and fresh ones begin. */
static size_t span_end(const struct sg_client *client, size_t first) {
    const struct sg_range *range = client->range;
    size_t limit = first < range->initial_len ? range->initial_len : range->rows_len;
    return first + SPAN_MAX < limit ? first + SPAN_MAX : limit;
}

static bool read_star(struct sg_client *client, size_t row) {
    struct sg_args args = {0};
    sg_args_key(&args, client, row);
    PGresult *res = sg_session_run(&client->session, SG_STMT_READ_STAR, args.values);
    if (!res)
        return false;
    int name = PQfnumber(res, client->session.dialect->name), version = PQfnumber(res, "version");
    if (name < 0 || version < 0 || PQntuples(res) != is_present(client, row)) {
        sg_session_mismatch(&client->session, SG_STMT_READ_STAR, args.values, "%d rows, or a column is missing",
                            PQntuples(res));
    } else if (is_present(client, row)) {
        char buf[SG_TEXT_BYTES], number[24];
        const struct sg_row *model = &client->range->rows[row];
        snprintf(number, sizeof(number), "%u", model->version);
        sg_answer_text(client, SG_STMT_READ_STAR, &args, res, 0, name,
                       sg_row_text(model, sg_range_key(client->range, row), buf));
        sg_answer_text(client, SG_STMT_READ_STAR, &args, res, 0, version, number);
    }
    PQclear(res);
    return true;
}

static bool read_span(struct sg_client *client, size_t first) {
    size_t rows[SPAN_MAX], rows_len = 0, end = span_end(client, first);
    for (size_t row = first; row < end; row++)
        if (is_present(client, row))
            rows[rows_len++] = row;
    struct sg_args args = {0};
    sg_args_key(&args, client, first);
    sg_args_key(&args, client, end - 1);
    return sg_answer_rows(client, SG_STMT_READ_CTE, &args, rows, rows_len);
}

static bool read_count(struct sg_client *client, size_t first) {
    size_t named = 0, every = 0, end = span_end(client, first);
    for (size_t row = first; row < end; row++) {
        every += is_present(client, row);
        named += is_present(client, row) && client->range->rows[row].kind != SG_ROW_NULL;
    }
    struct sg_args args = {0};
    sg_args_key(&args, client, first);
    sg_args_key(&args, client, end - 1);
    PGresult *res = sg_session_run(&client->session, SG_STMT_READ_COUNT, args.values);
    if (!res)
        return false;
    char number[24];
    snprintf(number, sizeof(number), "%zu", named);
    sg_answer_text(client, SG_STMT_READ_COUNT, &args, res, 0, 0, number);
    snprintf(number, sizeof(number), "%zu", every);
    sg_answer_text(client, SG_STMT_READ_COUNT, &args, res, 0, 1, number);
    PQclear(res);
    return true;
}

static bool read_in(struct sg_client *client) {
    size_t rows[3], rows_len = 0, wanted[3];
    struct sg_args args = {0};
    for (int i = 0; i < 3; i++)
        wanted[i] = sg_session_random(&client->session, client->range->rows_len);
    for (int i = 0; i < 3; i++)
        sg_args_key(&args, client, wanted[i]);
    /* The answer comes in key order, which is model order, and names each row once. */
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 2; j++) {
            if (wanted[j] > wanted[j + 1]) {
                size_t swap = wanted[j];
                wanted[j] = wanted[j + 1];
                wanted[j + 1] = swap;
            }
        }
    }
    for (int i = 0; i < 3; i++)
        if (is_present(client, wanted[i]) && (i == 0 || wanted[i] != wanted[i - 1]))
            rows[rows_len++] = wanted[i];
    return sg_answer_rows(client, SG_STMT_READ_IN, &args, rows, rows_len);
}

/* By key, or by name where the name is this row's alone. */
static bool read_one(struct sg_client *client, enum sg_statement statement, size_t row) {
    struct sg_args args = {0};
    if (statement == SG_STMT_READ_NAME && (!is_present(client, row) || !sg_row_unique(&client->range->rows[row])))
        statement = SG_STMT_READ_PK;
    if (statement == SG_STMT_READ_NAME)
        sg_args_name(&args, client, row);
    else
        sg_args_key(&args, client, row);
    return sg_answer_rows(client, statement, &args, &row, is_present(client, row));
}

bool sg_operation_read_back(struct sg_client *client, size_t row) {
    static const enum sg_statement ways[] = {SG_STMT_READ_PK,      SG_STMT_READ_PK,   SG_STMT_READ_PK,
                                             SG_STMT_READ_NAME,    SG_STMT_READ_NAME, SG_STMT_READ_JOIN,
                                             SG_STMT_READ_SUBQUERY};
    size_t ways_len = sizeof(ways) / sizeof(ways[0]);
    size_t way = sg_session_random(&client->session, ways_len + 1);
    return way == ways_len ? read_star(client, row) : read_one(client, ways[way], row);
}

bool sg_operation_read(struct sg_client *client) {
    size_t row = sg_session_random(&client->session, client->range->rows_len);
    switch (sg_session_random(&client->session, 8)) {
    case 0:
        return read_span(client, row);
    case 1:
        return read_count(client, row);
    case 2:
        return read_in(client);
    default:
        return sg_operation_read_back(client, row);
    }
}
