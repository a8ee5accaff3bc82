/*
 * database — what segue-load does on the database itself, past every proxy: make and fill the table, and compare what
 * is there with what the clients believe.
 */
#ifndef SEGUE_BENCH_DATABASE_H
#define SEGUE_BENCH_DATABASE_H

#include "bench/load/model.h"
#include "bench/load/statements.h"

#include <libpq-fe.h>
#include <stdbool.h>

/* NULL (complained) when there is no connection to be had. */
PGconn *sg_database_connect(const char *conninfo);

/* Drops, makes and fills the table and the table of cities. */
bool sg_database_init(PGconn *conn, const struct sg_names *names, long long rows);

/* Without --init: the model takes over the rows that are there. name: the column that has the value. */
bool sg_database_adopt(PGconn *conn, const struct sg_names *names, const char *name, struct sg_model *model);

/* Which of the two columns the table has now. */
bool sg_database_columns(PGconn *conn, const struct sg_names *names, bool *ret_old, bool *ret_new);

/* Rows whose two columns differ; -1 when one of the columns is not there (or on failure, complained). */
long long sg_database_split_rows(PGconn *conn, const struct sg_names *names);

/* Every row of the table against the model: rows that differ, are missing, or should not be. The first few are
 * complained of. Clients must be at rest. is_settled: each of the two columns that is there must have the value;
 * otherwise a migration stopped half-way, and only the old one must, where it is still there. -1 on failure. */
long long sg_database_audit(PGconn *conn, const struct sg_names *names, struct sg_model *model, bool is_settled);

#endif
