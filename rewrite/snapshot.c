#include "catalog.h"
#include "prefilter.h"

#include <stdlib.h>

static int compare_relations(const void *a, const void *b) {
    const struct sg_relation *x = *(struct sg_relation *const *)a, *y = *(struct sg_relation *const *)b;
    int order = strcmp(x->name, y->name);
    return order ? order : strcmp(x->schema, y->schema);
}

static void index_by_name(struct sg_snapshot *s) {
    struct sg_catalog *catalog = s->catalog;
    s->by_name = sg_arena_array(&catalog->arena, struct sg_relation *, catalog->relations_len);
    for (size_t i = 0; i < catalog->relations_len; i++)
        s->by_name[i] = &catalog->relations[i];
    if (catalog->relations_len)
        qsort(s->by_name, catalog->relations_len, sizeof(struct sg_relation *), compare_relations);
}

struct sg_relation *const *sg_snapshot_find(const struct sg_snapshot *s, const char *name, size_t *ret_len) {
    size_t lo = 0, hi = s->catalog->relations_len;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (strcmp(s->by_name[mid]->name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    size_t end = lo;
    while (end < s->catalog->relations_len && strcmp(s->by_name[end]->name, name) == 0)
        end++;
    *ret_len = end - lo;
    return &s->by_name[lo];
}

const struct sg_table_mapping *sg_table_mapping(const struct sg_table *table, const char *name) {
    for (size_t i = 0; i < table->mappings_len; i++) {
        const struct sg_mapping *m = table->mappings[i].mapping;
        if (strcmp(m->old_name, name) == 0 || strcmp(m->new_name, name) == 0)
            return &table->mappings[i];
    }
    return NULL;
}

bool sg_table_has_column(const struct sg_table *table, const char *name) {
    return sg_table_mapping(table, name) || sg_relation_column(table->relation, name);
}

static bool name_is_new(const struct sg_table *table, const char *name) {
    const struct sg_table_mapping *m = sg_table_mapping(table, name);
    return m && strcmp(m->mapping->new_name, name) == 0;
}

static bool shape_has(const struct sg_table_mapping *m, const char *name) {
    for (size_t i = 0; i < m->shape_len; i++)
        if (strcmp(m->shape[i].name, name) == 0)
            return true;
    return false;
}

/*
 * The shape is the one recorded with the oldest mapping, less what has been dropped since, and what has been added;
 * less the mappings' new names: `*` gives those once more at its end.
 */
static void make_shape(struct sg_arena *arena, struct sg_table *table) {
    const struct sg_table_mapping *oldest = &table->mappings[0];
    const struct sg_relation *now = table->relation;
    struct sg_column *shape = sg_arena_array(arena, struct sg_column, oldest->shape_len + now->columns_len);
    for (size_t i = 0; i < oldest->shape_len; i++)
        if (sg_table_has_column(table, oldest->shape[i].name) && !name_is_new(table, oldest->shape[i].name))
            shape[table->shape_len++] = oldest->shape[i];
    for (size_t i = 0; i < now->columns_len; i++)
        if (!shape_has(oldest, now->columns[i].name) && !sg_table_mapping(table, now->columns[i].name))
            shape[table->shape_len++] = now->columns[i];
    table->shape = shape;
}

static struct sg_table *table_for(struct sg_snapshot *s, struct sg_relation *relation) {
    for (size_t i = 0; i < s->tables_len; i++)
        if (s->tables[i].relation == relation)
            return &s->tables[i];
    struct sg_table *table = &s->tables[s->tables_len++];
    table->relation = relation;
    table->mappings = sg_arena_array(&s->catalog->arena, struct sg_table_mapping, s->mappings_len);
    return table;
}

/* Which of the two columns exists depends on the phase, and on the moment within its DDL; one of them always does. */
static bool has_column(const struct sg_relation *relation, const struct sg_mapping *m) {
    return sg_relation_column(relation, m->old_name) ||
           (m->phase != SG_PHASE_PLANNED && sg_relation_column(relation, m->new_name));
}

static bool check_mapping(const struct sg_relation *relation, const struct sg_mapping *m, struct sg_error *reterr) {
    for (size_t i = 0; i < m->shape_len; i++) {
        if (strcmp(m->shape[i].name, m->new_name) == 0) {
            sg_error_set(reterr, SG_SQLSTATE_DUPLICATE_COLUMN, "column \"%s\" of relation \"%s.%s\" already exists",
                         m->new_name, m->schema, m->table);
            return false;
        }
    }
    if (has_column(relation, m))
        return true;
    sg_error_set(reterr, SG_SQLSTATE_UNDEFINED_COLUMN, "column \"%s\" of relation \"%s.%s\" does not exist",
                 m->old_name, m->schema, m->table);
    return false;
}

static struct sg_relation *find_relation(const struct sg_snapshot *s, const char *schema, const char *name,
                                         bool *ret_unique) {
    size_t n;
    struct sg_relation *const *found = sg_snapshot_find(s, name, &n);
    *ret_unique = n == 1;
    for (size_t i = 0; i < n; i++)
        if (strcmp(found[i]->schema, schema) == 0)
            return found[i];
    return NULL;
}

static bool map_table(struct sg_snapshot *s, struct sg_relation *relation, const struct sg_table_mapping *tm,
                      bool unique_name, struct sg_error *reterr) {
    struct sg_table *table = table_for(s, relation);
    if (sg_table_mapping(table, tm->mapping->old_name) || sg_table_mapping(table, tm->mapping->new_name)) {
        sg_error_set(reterr, SG_SQLSTATE_DUPLICATE_OBJECT, "two mappings of \"%s.%s\" share a column name",
                     relation->schema, relation->name);
        return false;
    }
    table->mappings[table->mappings_len++] = *tm;
    table->unique_name = unique_name;
    return true;
}

static bool add_mapping(struct sg_snapshot *s, size_t index, struct sg_error *reterr) {
    const struct sg_mapping *m = &s->mappings[index];
    bool unique;
    struct sg_relation *relation = find_relation(s, m->schema, m->table, &unique);
    if (!relation) {
        sg_error_set(reterr, SG_SQLSTATE_UNDEFINED_TABLE, "relation \"%s.%s\" does not exist", m->schema, m->table);
        return false;
    }
    struct sg_table_mapping whole = {m, index, m->shape, m->shape_len};
    if (!check_mapping(relation, m, reterr) || !map_table(s, relation, &whole, unique, reterr))
        return false;
    for (size_t i = 0; i < m->members_len; i++) {
        const struct sg_member *member = &m->members[i];
        struct sg_table_mapping part = {m, index, member->shape, member->shape_len};
        relation = find_relation(s, member->schema, member->table, &unique);
        if (relation && has_column(relation, m) && !map_table(s, relation, &part, unique, reterr))
            return false;
    }
    return true;
}

static const struct sg_column *copy_shape(struct sg_arena *arena, const struct sg_column *from, size_t len) {
    struct sg_column *shape = sg_arena_array(arena, struct sg_column, len);
    for (size_t i = 0; i < len; i++) {
        shape[i] = from[i];
        shape[i].name = sg_arena_strdup(arena, from[i].name);
        shape[i].type = sg_arena_strdup(arena, from[i].type ? from[i].type : "text");
        shape[i].default_sql = from[i].default_sql ? sg_arena_strdup(arena, from[i].default_sql) : NULL;
    }
    return shape;
}

static struct sg_mapping copy_mapping(struct sg_arena *arena, const struct sg_mapping *m) {
    struct sg_mapping copy = *m;
    copy.migration = sg_arena_strdup(arena, m->migration ? m->migration : "");
    copy.schema = sg_arena_strdup(arena, m->schema);
    copy.table = sg_arena_strdup(arena, m->table);
    copy.old_name = sg_arena_strdup(arena, m->old_name);
    copy.new_name = sg_arena_strdup(arena, m->new_name);
    copy.shape = copy_shape(arena, m->shape, m->shape_len);
    struct sg_member *members = sg_arena_array(arena, struct sg_member, m->members_len);
    for (size_t i = 0; i < m->members_len; i++) {
        const struct sg_member *from = &m->members[i];
        members[i] = (struct sg_member){sg_arena_strdup(arena, from->schema), sg_arena_strdup(arena, from->table),
                                        copy_shape(arena, from->shape, from->shape_len), from->shape_len};
    }
    copy.members = members;
    return copy;
}

struct sg_snapshot *sg_snapshot_new(uint64_t epoch, struct sg_catalog *catalog, const struct sg_mapping *mappings,
                                    size_t mappings_len, struct sg_error *reterr) {
    struct sg_snapshot *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    static atomic_uint_fast64_t serials;
    atomic_init(&s->refs, 1);
    s->serial = atomic_fetch_add_explicit(&serials, 1, memory_order_relaxed);
    s->epoch = epoch;
    s->catalog = catalog;
    index_by_name(s);
    s->mappings = sg_arena_array(&catalog->arena, struct sg_mapping, mappings_len);
    size_t tables_max = 0;
    for (size_t i = 0; i < mappings_len; i++) {
        if (mappings[i].phase != SG_PHASE_RETIRED) {
            s->mappings[s->mappings_len++] = copy_mapping(&catalog->arena, &mappings[i]);
            tables_max += 1 + mappings[i].members_len;
        }
    }
    s->tables = sg_arena_array(&catalog->arena, struct sg_table, tables_max);
    for (size_t i = 0; i < s->mappings_len; i++) {
        if (!add_mapping(s, i, reterr)) {
            sg_snapshot_unref(s);
            return NULL;
        }
    }
    for (size_t i = 0; i < s->tables_len; i++) {
        make_shape(&catalog->arena, &s->tables[i]);
        ((struct sg_relation *)s->tables[i].relation)->mapped = &s->tables[i];
    }
    sg_prefilter_make(s);
    return s;
}

struct sg_snapshot *sg_snapshot_ref(struct sg_snapshot *snapshot) {
    if (snapshot)
        atomic_fetch_add_explicit(&snapshot->refs, 1, memory_order_relaxed);
    return snapshot;
}

void sg_snapshot_unref(struct sg_snapshot *snapshot) {
    if (!snapshot || atomic_fetch_sub_explicit(&snapshot->refs, 1, memory_order_acq_rel) != 1)
        return;
    sg_catalog_free(snapshot->catalog);
    free(snapshot);
}

uint64_t sg_snapshot_epoch(const struct sg_snapshot *snapshot) {
    return snapshot->epoch;
}

bool sg_snapshot_is_fickle(const struct sg_snapshot *snapshot) {
    return snapshot->catalog->functions_may_set_path || snapshot->catalog->functions_may_hide;
}

size_t sg_snapshot_mappings(const struct sg_snapshot *snapshot) {
    return snapshot->mappings_len;
}

const struct sg_mapping *sg_snapshot_mapping(const struct sg_snapshot *snapshot, size_t i) {
    return &snapshot->mappings[i];
}

void sg_snapshot_note_use(struct sg_snapshot *snapshot, uint64_t used_old) {
    if (used_old & ~atomic_load_explicit(&snapshot->used_old, memory_order_relaxed))
        atomic_fetch_or_explicit(&snapshot->used_old, used_old, memory_order_relaxed);
}

uint64_t sg_snapshot_take_use(struct sg_snapshot *snapshot) {
    return atomic_exchange_explicit(&snapshot->used_old, 0, memory_order_relaxed);
}
