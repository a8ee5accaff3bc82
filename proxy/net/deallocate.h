/*
 * deallocate — SQL that makes, runs and ends prepared statements by name: PREPARE, EXECUTE, DEALLOCATE, DISCARD ALL.
 *
 * Drivers that close statements by SQL (PDO, psycopg) would otherwise leave what is remembered of each behind. Only a
 * text that is this one statement and nothing else is known; pure.
 */
#ifndef SEGUE_NET_DEALLOCATE_H
#define SEGUE_NET_DEALLOCATE_H

#include "segue/limits.h"
#include "segue/span.h"

#include <stdbool.h>

enum sg_deallocation { SG_DEALLOCATE_NONE, SG_DEALLOCATE_ONE, SG_DEALLOCATE_ALL };

/* PREPARE name [(types)] AS inner, EXECUTE name ... */
enum sg_sql_prepared { SG_SQL_OTHER, SG_SQL_PREPARE, SG_SQL_EXECUTE };

struct sg_sql_statement {
    enum sg_sql_prepared kind;
    char name[SG_NAME_BYTES]; /* as the server stores it */
    struct sg_span inner;     /* PREPARE: the statement, without a closing semicolon */
    bool has_types;           /* PREPARE: parameter types are declared */
};

/* Only a text that is this one statement; a semicolon anywhere but at its end makes it OTHER. */
struct sg_sql_statement sg_sql_statement_of(struct sg_span sql);

/* ONE: name as the server stores it, NUL-terminated and cut to 63 bytes. */
enum sg_deallocation sg_deallocation_of(struct sg_span sql, char ret_name[SG_NAME_BYTES]);

#endif
