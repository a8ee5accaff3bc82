/* schema — the tables of schema `segue` in the migrated database, made and upgraded in place. */
#ifndef SEGUE_MIGRATION_SCHEMA_H
#define SEGUE_MIGRATION_SCHEMA_H

#include "segue/error.h"

#include <libpq-fe.h>
#include <stdbool.h>

/* Idempotent, and safe when several proxies start at once (an advisory lock). 42501 with a hint when the role may not
 * create the schema; 55000 when the schema was made by a newer segue. */
bool sg_schema_ensure(PGconn *conn, struct sg_error *reterr);

#endif
