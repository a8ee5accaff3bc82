/* answers — parameters of a statement, and its answer compared with the model. */
#ifndef SEGUE_BENCH_ANSWERS_H
#define SEGUE_BENCH_ANSWERS_H

#include "bench/load/client.h"

/* Parameters with the memory they stand in. */
struct sg_args {
    size_t len;
    const char *values[SG_PARAMS_MAX];
    char numbers[SG_PARAMS_MAX][24];
    char texts[SG_PARAMS_MAX][SG_TEXT_BYTES];
};

void sg_args_int(struct sg_args *args, long long value);
/* NULL is SQL NULL. */
void sg_args_text(struct sg_args *args, const char *value);
void sg_args_key(struct sg_args *args, const struct sg_client *client, size_t row);
void sg_args_name(struct sg_args *args, const struct sg_client *client, size_t row);
void sg_args_version(struct sg_args *args, const struct sg_client *client, size_t row);
/* user_id, name, city_id, version: as the table has them. */
void sg_args_whole_row(struct sg_args *args, const struct sg_client *client, size_t row);

/* Runs it; the answer must be these rows, in this order, as (user_id, name, version). */
bool sg_answer_rows(struct sg_client *client, enum sg_statement statement, const struct sg_args *args,
                    const size_t *rows, size_t rows_len);
/* The same for one row whose name the server makes up: 32 hexadecimal digits, which the model takes over. */
bool sg_answer_made_up(struct sg_client *client, enum sg_statement statement, const struct sg_args *args, size_t row);
/* Runs it; the command tag must count so many rows. */
bool sg_answer_count(struct sg_client *client, enum sg_statement statement, const struct sg_args *args, size_t count);

/* Compares a value of an answer; NULLs are equal. want may be NULL. */
void sg_answer_text(struct sg_client *client, enum sg_statement statement, const struct sg_args *args,
                    const PGresult *res, int tuple, int column, const char *want);

#endif
