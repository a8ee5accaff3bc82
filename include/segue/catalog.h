/*
 * What the rewriter must know of a database: relations, their columns, and the mappings in force.
 *
 * A catalog is built once (from pg_catalog by the proxy, from DDL text by `segue rewrite`), then joined with the
 * mappings into a snapshot. A snapshot is immutable and shared by all threads; it is reference-counted (atomically)
 * and carries the epoch it is true for. Names are as stored in pg_class and pg_attribute: folded, unquoted.
 */
#ifndef SEGUE_CATALOG_H
#define SEGUE_CATALOG_H

#include "segue/arena.h"
#include "segue/encoding.h"
#include "segue/error.h"
#include "segue/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sg_phase { SG_PHASE_PLANNED, SG_PHASE_DUAL_WRITE, SG_PHASE_READ_NEW, SG_PHASE_NEW_ONLY, SG_PHASE_RETIRED };

/* "planned", "dual_write", ... and back; the names users type and see. */
const char *sg_phase_name(enum sg_phase phase);
bool sg_phase_from_name(const char *name, enum sg_phase *ret_phase);

struct sg_column {
    const char *name;
    const char *type;        /* without type modifier, as a cast would name it: character varying */
    const char *default_sql; /* pg_get_expr text; NULL when there is no default */
    bool is_generated;       /* GENERATED ALWAYS AS (...) STORED */
    bool is_identity;
};

/* ---- Catalog ---- */

struct sg_catalog; /* under construction until it goes into a snapshot */

struct sg_catalog *sg_catalog_new(void);
void sg_catalog_free(struct sg_catalog *catalog); /* only if it never went into a snapshot */
/* kind is pg_class.relkind: 'r', 'p', 'v', 'm', 'f'. Returns a handle for sg_catalog_add_column. */
size_t sg_catalog_add_relation(struct sg_catalog *catalog, const char *schema, const char *name, char kind);
/* In attnum order; strings are copied. */
void sg_catalog_add_column(struct sg_catalog *catalog, size_t relation, const struct sg_column *column);
/* Functions of the database may change the session's search_path or role; they may make temporary tables of mapped
 * tables' names. Then what a name means can change with any statement that calls one. */
void sg_catalog_set_functions(struct sg_catalog *catalog, bool may_set_path, bool may_hide);
/* CREATE TABLE (also PARTITION OF, INHERITS, LIKE), ALTER TABLE ADD and DROP COLUMN, ATTACH PARTITION, INHERIT; other
 * statements are ignored. For `segue rewrite`. */
bool sg_catalog_add_ddl(struct sg_catalog *catalog, struct sg_span ddl, struct sg_error *reterr);
/* The columns so far, in attnum order: what a mapping made now has as its shape. NULL when there is no such relation.
 * Valid until the catalog changes. */
const struct sg_column *sg_catalog_columns(const struct sg_catalog *catalog, const char *schema, const char *name,
                                           size_t *ret_len);

/*
 * What is needed to read names that clients write in other encodings; without it a client's names must be ASCII or, to
 * a server of UTF8, in UTF8. First the server's encoding; then every character beyond ASCII that occurs in names and
 * defaults, in UTF-8, how long it is to the server, and what the server makes of it in a name without quotes (NULL:
 * nothing else); then its code in each encoding that has it and gives it back.
 */
void sg_catalog_set_encoding(struct sg_catalog *catalog, enum sg_encoding server);
void sg_catalog_add_character(struct sg_catalog *catalog, const char *utf8, unsigned server_bytes, const char *lower);
void sg_catalog_add_code(struct sg_catalog *catalog, enum sg_encoding encoding, const char *utf8, struct sg_span code);

/* ---- Mappings ---- */

/* A table below a mapping's own: a partition or an inheritance child, of any depth, or one that was until it was
 * detached. Its columns may stand in another order, and there may be more of them. */
struct sg_member {
    const char *schema, *table;
    const struct sg_column *shape; /* as in sg_mapping */
    size_t shape_len;
};

struct sg_mapping {
    const char *migration; /* name, for messages */
    const char *schema, *table;
    const char *old_name, *new_name;
    enum sg_phase phase;
    bool is_unguarded; /* no trigger repairs rows that come with one of the columns only */
    /* The table's columns as they were when the mapping was made: `*` and INSERT without a list mean these, in every
     * phase. Includes old_name, not new_name. */
    const struct sg_column *shape;
    size_t shape_len;
    /* The mapping holds for these, too. One that the catalog does not have, or that has neither column, is passed over:
     * somebody has dropped it. */
    const struct sg_member *members;
    size_t members_len;
};

/* Sets shape and members from the tables as the DDL so far has made them: a mapping that is made now. False when there
 * is no such table. Valid until the catalog changes. */
bool sg_catalog_describe(struct sg_catalog *catalog, struct sg_mapping *mapping);

/* ---- Snapshot ---- */

struct sg_snapshot;

/* Takes the catalog over (also on failure). Mappings are copied; those in SG_PHASE_RETIRED are left out. NULL and
 * *reterr when a mapping names a table or column that the catalog does not have, or two mappings clash. */
struct sg_snapshot *sg_snapshot_new(uint64_t epoch, struct sg_catalog *catalog, const struct sg_mapping *mappings,
                                    size_t mappings_len, struct sg_error *reterr);
struct sg_snapshot *sg_snapshot_ref(struct sg_snapshot *snapshot);
void sg_snapshot_unref(struct sg_snapshot *snapshot);
uint64_t sg_snapshot_epoch(const struct sg_snapshot *snapshot);
/* As sg_catalog_set_functions said: either. */
bool sg_snapshot_is_fickle(const struct sg_snapshot *snapshot);
/* Mappings that are in force (not retired). 0: every statement passes. */
size_t sg_snapshot_mappings(const struct sg_snapshot *snapshot);
const struct sg_mapping *sg_snapshot_mapping(const struct sg_snapshot *snapshot, size_t i);

/* Who still uses the old names is noted in the snapshot, as bits of mappings (the first 64): the one thing of it that
 * changes. Any thread; noting what is noted already writes nothing. */
void sg_snapshot_note_use(struct sg_snapshot *snapshot, uint64_t used_old);
/* What was noted since the last call. */
uint64_t sg_snapshot_take_use(struct sg_snapshot *snapshot);

#endif
