#include "bench/load/answers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sg_args_int(struct sg_args *args, long long value) {
    snprintf(args->numbers[args->len], sizeof(args->numbers[0]), "%lld", value);
    args->values[args->len] = args->numbers[args->len];
    args->len++;
}

void sg_args_text(struct sg_args *args, const char *value) {
    if (value)
        snprintf(args->texts[args->len], SG_TEXT_BYTES, "%s", value);
    args->values[args->len] = value ? args->texts[args->len] : NULL;
    args->len++;
}

void sg_args_key(struct sg_args *args, const struct sg_client *client, size_t row) {
    sg_args_int(args, sg_range_key(client->range, row));
}

void sg_args_name(struct sg_args *args, const struct sg_client *client, size_t row) {
    char buf[SG_TEXT_BYTES];
    sg_args_text(args, sg_row_text(&client->range->rows[row], sg_range_key(client->range, row), buf));
}

void sg_args_version(struct sg_args *args, const struct sg_client *client, size_t row) {
    sg_args_int(args, client->range->rows[row].version);
}

void sg_args_whole_row(struct sg_args *args, const struct sg_client *client, size_t row) {
    sg_args_key(args, client, row);
    sg_args_name(args, client, row);
    sg_args_int(args, sg_range_key(client->range, row) % 16 + 1);
    sg_args_version(args, client, row);
}

void sg_answer_text(struct sg_client *client, enum sg_statement statement, const struct sg_args *args,
                    const PGresult *res, int tuple, int column, const char *want) {
    const char *got = PQgetisnull(res, tuple, column) ? NULL : PQgetvalue(res, tuple, column);
    sg_session_checked(&client->session, 1);
    if ((!got && !want) || (got && want && strcmp(got, want) == 0))
        return;
    sg_session_mismatch(&client->session, statement, args->values, "row %d, column %s: is %s%s%s, must be %s%s%s",
                        tuple, PQfname(res, column) ? PQfname(res, column) : "(missing)", got ? "'" : "",
                        got ? got : "NULL", got ? "'" : "", want ? "'" : "", want ? want : "NULL", want ? "'" : "");
}

static void check_row(struct sg_client *client, enum sg_statement statement, const struct sg_args *args,
                      const PGresult *res, int tuple, size_t row) {
    char buf[SG_TEXT_BYTES], number[24];
    const struct sg_row *model = &client->range->rows[row];
    int64_t key = sg_range_key(client->range, row);
    snprintf(number, sizeof(number), "%lld", (long long)key);
    sg_answer_text(client, statement, args, res, tuple, 0, number);
    sg_answer_text(client, statement, args, res, tuple, 1, sg_row_text(model, key, buf));
    snprintf(number, sizeof(number), "%u", model->version);
    sg_answer_text(client, statement, args, res, tuple, 2, number);
}

bool sg_answer_rows(struct sg_client *client, enum sg_statement statement, const struct sg_args *args,
                    const size_t *rows, size_t rows_len) {
    PGresult *res = sg_session_run(&client->session, statement, args->values);
    if (!res)
        return false;
    if ((size_t)PQntuples(res) != rows_len || (rows_len > 0 && PQnfields(res) < 3)) {
        sg_session_mismatch(&client->session, statement, args->values, "%d rows of %d columns, must be %zu of 3",
                            PQntuples(res), PQnfields(res), rows_len);
    } else {
        for (size_t i = 0; i < rows_len; i++)
            check_row(client, statement, args, res, (int)i, rows[i]);
        sg_session_checked(&client->session, rows_len == 0);
    }
    PQclear(res);
    return true;
}

bool sg_answer_made_up(struct sg_client *client, enum sg_statement statement, const struct sg_args *args, size_t row) {
    PGresult *res = sg_session_run(&client->session, statement, args->values);
    if (!res)
        return false;
    const char *made_up = PQntuples(res) == 1 && PQnfields(res) == 3 ? PQgetvalue(res, 0, 1) : "";
    if (strspn(made_up, "0123456789abcdef") != 32 || made_up[32]) {
        sg_session_mismatch(&client->session, statement, args->values, "%d rows, name '%s', must be one with an md5",
                            PQntuples(res), made_up);
    } else {
        struct sg_row *model = &client->range->rows[row];
        sg_row_set(model, SG_ROW_STORED, model->version, made_up);
        check_row(client, statement, args, res, 0, row);
    }
    PQclear(res);
    return true;
}

bool sg_answer_count(struct sg_client *client, enum sg_statement statement, const struct sg_args *args, size_t count) {
    PGresult *res = sg_session_run(&client->session, statement, args->values);
    if (!res)
        return false;
    if (strtoul(PQcmdTuples(res), NULL, 10) != count)
        sg_session_mismatch(&client->session, statement, args->values, "command tag %s, must count %zu",
                            PQcmdStatus(res), count);
    sg_session_checked(&client->session, 1);
    PQclear(res);
    return true;
}
