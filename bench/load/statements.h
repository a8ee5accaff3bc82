/*
 * statements — the SQL that the two app versions send. One list for both: only the column's name differs.
 *   {t} the table   {n} the name this app version knows   {c} the table of cities, not mapped
 *   {o} the old name, which the table of cities has a column of too: it must be left alone
 * The letters after the text say what each parameter is: i a number, t a text.
 */
#ifndef SEGUE_BENCH_STATEMENTS_H
#define SEGUE_BENCH_STATEMENTS_H

#include "bench/load/metrics.h"

#include <stddef.h>

#define SG_PARAMS_MAX 12

#define SG_INSERT     "INSERT INTO {t} (user_id, {n}, city_id, version) VALUES ($1, $2, $3, $4)"
#define SG_ROW_OF     "user_id, {n}, version"
#define SG_RETURN_ROW " RETURNING " SG_ROW_OF

#define SG_STATEMENTS(X)                                                                                              \
    X(READ_PK, "SELECT " SG_ROW_OF " FROM {t} WHERE user_id = $1", "i")                                               \
    X(READ_NAME, "SELECT " SG_ROW_OF " FROM {t} WHERE {n} = $1", "t")                                                 \
    X(READ_STAR, "SELECT * FROM {t} WHERE user_id = $1", "i")                                                         \
    X(READ_JOIN,                                                                                                      \
      "SELECT u.user_id, u.{n}, u.version, c.{o} AS city FROM {t} AS u JOIN {c} AS c ON c.city_id = u.city_id "       \
      "WHERE u.user_id = $1",                                                                                         \
      "i")                                                                                                            \
    X(READ_CTE,                                                                                                       \
      "WITH mine AS (SELECT " SG_ROW_OF " FROM {t} WHERE user_id BETWEEN $1 AND $2) "                                 \
      "SELECT " SG_ROW_OF " FROM mine ORDER BY user_id",                                                              \
      "ii")                                                                                                           \
    X(READ_SUBQUERY,                                                                                                  \
      "SELECT s.user_id, s.name, s.version FROM (SELECT user_id, {n} AS name, version FROM {t} WHERE user_id = $1) "  \
      "AS s WHERE EXISTS (SELECT 1 FROM {t} x WHERE x.user_id = s.user_id AND x.{n} IS NOT DISTINCT FROM s.name)",    \
      "i")                                                                                                            \
    X(READ_IN, "SELECT " SG_ROW_OF " FROM {t} WHERE user_id IN ($1, $2, $3) ORDER BY user_id", "iii")                 \
    X(READ_COUNT, "SELECT count({n}) AS named, count(*) AS every FROM {t} WHERE user_id BETWEEN $1 AND $2", "ii")     \
    X(READ_LOCKED, "SELECT " SG_ROW_OF " FROM {t} WHERE user_id = $1 FOR UPDATE", "i")                                \
    X(INSERT_ONE, SG_INSERT, "itii")                                                                                  \
    X(INSERT_RETURNING, SG_INSERT SG_RETURN_ROW, "itii")                                                              \
    X(INSERT_BARE, "INSERT INTO {t} VALUES ($1, $2, $3, $4)", "itii")                                                 \
    X(INSERT_MANY, "INSERT INTO {t} (version, {n}, user_id) VALUES ($1, $2, $3), ($4, $5, $6), ($7, $8, $9)",         \
      "itiitiiti")                                                                                                    \
    X(INSERT_MANY_BARE,                                                                                               \
      "INSERT INTO {t} VALUES ($1, $2, $3, $4), ($5, $6, $7, $8), ($9, $10, $11, $12)" SG_RETURN_ROW, "itiiitiiitii") \
    X(INSERT_DEFAULT, "INSERT INTO {t} (user_id, version) VALUES ($1, $2)" SG_RETURN_ROW, "ii")                       \
    X(INSERT_RANDOM, "INSERT INTO {t} (user_id, {n}, version) VALUES ($1, md5(random()::text), $2)" SG_RETURN_ROW,    \
      "ii")                                                                                                           \
    X(INSERT_SELECT,                                                                                                  \
      "INSERT INTO {t} (user_id, {n}, city_id, version) "                                                             \
      "SELECT $1::bigint, {n} || '+', city_id, $2::bigint FROM {t} WHERE user_id = $3",                               \
      "iii")                                                                                                          \
    X(INSERT_NOTHING, "INSERT INTO {t} (user_id, {n}, version) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", "iti")    \
    X(UPSERT,                                                                                                         \
      "INSERT INTO {t} AS u (user_id, {n}, city_id, version) VALUES ($1, $2, $3, $4) ON CONFLICT (user_id) DO "       \
      "UPDATE SET {n} = EXCLUDED.{n}, city_id = EXCLUDED.city_id, version = EXCLUDED.version "                        \
      "RETURNING u.user_id, u.{n}, u.version",                                                                        \
      "itii")                                                                                                         \
    X(UPDATE_PK, "UPDATE {t} SET {n} = $1, version = $2, updated_at = now() WHERE user_id = $3", "tii")               \
    X(UPDATE_NAME, "UPDATE {t} SET version = $1, {n} = $2 WHERE {n} = $3", "itt")                                     \
    X(UPDATE_APPEND,                                                                                                  \
      "UPDATE {t} AS u SET {n} = u.{n} || '~', version = $1 WHERE u.user_id = $2 "                                    \
      "RETURNING u.user_id, u.{n}, u.version",                                                                        \
      "ii")                                                                                                           \
    X(UPDATE_PAIR, "UPDATE {t} SET ({n}, version) = ($1, $2) WHERE user_id = $3", "tii")                              \
    X(UPDATE_RANDOM, "UPDATE {t} SET {n} = md5(random()::text), version = $1 WHERE user_id = $2" SG_RETURN_ROW, "ii") \
    X(UPDATE_RANGE, "UPDATE {t} SET {n} = $1::text || user_id, version = $2 WHERE user_id BETWEEN $3 AND $4", "tiii") \
    X(UPDATE_NULL, "UPDATE {t} SET {n} = NULL, version = $1 WHERE user_id = $2", "ii")                                \
    X(DELETE_PK, "DELETE FROM {t} WHERE user_id = $1", "i")                                                           \
    X(DELETE_NAME, "DELETE FROM {t} WHERE {n} = $1" SG_RETURN_ROW, "t")                                               \
    X(BEGIN, "BEGIN", "")                                                                                             \
    X(COMMIT, "COMMIT", "")                                                                                           \
    X(ROLLBACK, "ROLLBACK", "")

enum sg_statement {
#define X(name, sql, params) SG_STMT_##name,
    SG_STATEMENTS(X)
#undef X
        SG_STMTS
};

/* The list as one app version spells it. Immutable once made; shared by its clients. */
struct sg_dialect {
    const char *name; /* the column's name in this version */
    char *sql[SG_STMTS];
};

struct sg_names {
    const char *schema, *table; /* unquoted */
    const char *old_name, *new_name;
};

void sg_dialect_init(struct sg_dialect *dialect, const struct sg_names *names, enum sg_app app);
void sg_dialect_free(struct sg_dialect *dialect);

const char *sg_statement_name(enum sg_statement statement); /* "read_pk", static */
const char *sg_statement_params(enum sg_statement statement);

/* Replaces {t}, {n}, {c}, {o} in a template; malloc'd. */
char *sg_statement_render(const char *text, const struct sg_names *names, const char *name);

#endif
