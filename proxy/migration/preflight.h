/*
 * preflight — everything that stands in the way of a migration, all at once, before anything is done.
 *
 * A blocker is something segue cannot carry through correctly (or not yet); a warning is something to know.
 */
#ifndef SEGUE_MIGRATION_PREFLIGHT_H
#define SEGUE_MIGRATION_PREFLIGHT_H

#include "segue/error.h"

#include <libpq-fe.h>
#include <stdbool.h>

struct sg_preflight_subject {
    const char *relid; /* pg_class.oid as text */
    const char *old_name, *new_name;
    bool guard;
    const char *migration_id; /* its own row is no clash; NULL before it exists */
};

/* Rows (level, what, detail, hint, sqlstate), blockers first. search_path must be pg_catalog. */
PGresult *sg_preflight(PGconn *conn, const struct sg_preflight_subject *subject, struct sg_error *reterr);

/* False, with every blocker in *reterr, if there is one. A single blocker gives its own SQLSTATE, several 55000. */
bool sg_preflight_passes(PGconn *conn, const struct sg_preflight_subject *subject, struct sg_error *reterr);

/* The part of it that may have changed since: what stands on the old column and would not let it go. */
bool sg_preflight_lets_go(PGconn *conn, const struct sg_preflight_subject *subject, struct sg_error *reterr);

#endif
