/* catalog — how relations are kept inside a snapshot, and how the rewriter finds them. */
#ifndef SEGUE_REWRITE_CATALOG_H
#define SEGUE_REWRITE_CATALOG_H

#include "charset.h"
#include "segue/catalog.h"

#include <stdatomic.h>

struct sg_needles;
struct sg_table; /* a relation with mappings */

struct sg_relation {
    const char *schema, *name;
    char kind;
    struct sg_column *columns;
    size_t columns_len, columns_cap;
    const struct sg_table *mapped; /* NULL for most */
};

/* Indexes of relations. */
struct sg_catalog_link {
    size_t child, parent;
};

struct sg_catalog {
    struct sg_arena arena;
    struct sg_charset charset;
    struct sg_relation *relations;
    size_t relations_len, relations_cap;
    struct sg_catalog_link *links; /* as far as DDL told; who asks the server brings members along */
    size_t links_len, links_cap;
    bool functions_may_set_path, functions_may_hide;
};

bool sg_catalog_find(const struct sg_catalog *catalog, const char *schema, const char *name, size_t *ret_index);
/* Room for one more element of a malloc'd array. */
void *sg_catalog_grow(void *array, size_t len, size_t *cap, size_t element_bytes);

/* A mapping, resolved for one of its tables, and where it stands in the snapshot. */
struct sg_table_mapping {
    const struct sg_mapping *mapping;
    size_t index;
    const struct sg_column *shape; /* of this table: the mapping's, or the member's */
    size_t shape_len;
};

/* A relation with at least one mapping in force. */
struct sg_table {
    const struct sg_relation *relation;
    struct sg_table_mapping *mappings;
    size_t mappings_len;
    /* The columns clients see, in the order they have always seen them: what `*` and INSERT without a list mean. New
     * names are not among them. */
    const struct sg_column *shape;
    size_t shape_len;
    bool unique_name; /* no other relation of this name in any schema: a bare name can mean nothing else */
};

struct sg_snapshot {
    atomic_size_t refs;
    _Atomic uint64_t used_old;
    uint64_t epoch;
    uint64_t serial; /* no other snapshot of this process has it: epochs of different databases may be equal */
    struct sg_catalog *catalog;
    struct sg_relation **by_name; /* sorted by name, then schema */
    struct sg_mapping *mappings;
    size_t mappings_len;
    struct sg_table *tables;
    size_t tables_len;
    const struct sg_needles *needles[SG_ENCODINGS_LEN]; /* of the pre-filter, by the client's encoding */
};

/* The relations called name: a range of snapshot->by_name. */
struct sg_relation *const *sg_snapshot_find(const struct sg_snapshot *snapshot, const char *name, size_t *ret_len);

const struct sg_column *sg_relation_column(const struct sg_relation *relation, const char *name);

/* The mapping of which name is the old or the new name; NULL if there is none. */
const struct sg_table_mapping *sg_table_mapping(const struct sg_table *table, const char *name);
/* The mapped table as its clients see it: has it a column of this name? */
bool sg_table_has_column(const struct sg_table *table, const char *name);

static inline bool sg_phase_writes_both(enum sg_phase phase) {
    return phase == SG_PHASE_DUAL_WRITE || phase == SG_PHASE_READ_NEW;
}

/* The physical column that reads of this mapping go to. */
static inline const char *sg_mapping_read_name(const struct sg_mapping *m) {
    return m->phase == SG_PHASE_PLANNED || m->phase == SG_PHASE_DUAL_WRITE ? m->old_name : m->new_name;
}

#endif
