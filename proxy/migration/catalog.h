/*
 * catalog — reads pg_catalog and the mappings in one repeatable-read transaction and makes a snapshot of them.
 *
 * The epoch of a published snapshot is (row epoch << SG_EPOCH_SHIFT) + reloads. The row epoch is the one in
 * segue.epoch, which grows with every change of a mapping. `reloads` grows with every snapshot, so that no epoch is
 * published twice within a process: not when only the catalog changed behind our back, nor when a standby was promoted
 * that lacks the last change of a mapping. Proxies compare row epochs with each other.
 */
#ifndef SEGUE_MIGRATION_CATALOG_H
#define SEGUE_MIGRATION_CATALOG_H

#include "proxy/migration/db.h"
#include "segue/catalog.h"

#define SG_EPOCH_SHIFT 24 /* a reload every two seconds for a year */

/* Enough of a digest to see that a relation or column came, went or changed; or a function, a schema, the server's
 * configuration, on which it may depend what a name means. */
struct sg_catalog_digest {
    char text[192];
};

struct sg_catalog_state {
    uint64_t row_epoch;
    uint64_t reloads;
    struct sg_catalog_digest digest;
};

/* Loads and answers a snapshot newer than *state, which is brought up to date. The caller holds one reference. */
struct sg_snapshot *sg_catalog_load(PGconn *conn, struct sg_catalog_state *state, struct sg_error *reterr);

/* Writes down the tables that have come below a mapped one, and their columns: run on its own, or in a transaction. */
extern const char sg_sql_note_members[];

bool sg_catalog_row_epoch(PGconn *conn, uint64_t *ret_epoch, struct sg_error *reterr);
bool sg_catalog_digest(PGconn *conn, struct sg_catalog_digest *ret_digest, struct sg_error *reterr);

#endif
