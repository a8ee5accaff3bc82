/* A catalog from DDL text: tables, their columns, and which table stands below which. */
#include "catalog.h"
#include "parse.h"

#include <stdlib.h>

static const char *schema_of(const char *written) {
    return written ? written : "public";
}

static size_t relation_of(struct sg_catalog *catalog, const struct sg_ddl_item *item) {
    size_t index;
    if (sg_catalog_find(catalog, schema_of(item->schema), item->table, &index))
        return index;
    return sg_catalog_add_relation(catalog, schema_of(item->schema), item->table,
                                   item->view ? 'v' : (item->partitioned ? 'p' : 'r'));
}

static struct sg_column *find_column(struct sg_relation *relation, const char *name) {
    for (size_t i = 0; i < relation->columns_len; i++)
        if (strcmp(relation->columns[i].name, name) == 0)
            return &relation->columns[i];
    return NULL;
}

/* A column that is there already is merged: what the table says itself counts. */
static void merge_column(struct sg_catalog *catalog, size_t index, const struct sg_column *column) {
    struct sg_column *there = find_column(&catalog->relations[index], column->name);
    if (!there)
        sg_catalog_add_column(catalog, index, column);
    else if (column->default_sql)
        there->default_sql = sg_arena_strdup(&catalog->arena, column->default_sql);
}

/* The table itself and everything below it, each once: *ret_all has room for all relations. */
static size_t below(const struct sg_catalog *catalog, size_t index, size_t *all) {
    size_t n = 0;
    all[n++] = index;
    for (size_t at = 0; at < n; at++) {
        for (size_t i = 0; i < catalog->links_len; i++) {
            bool is_new = catalog->links[i].parent == all[at];
            for (size_t k = 0; is_new && k < n; k++)
                is_new = all[k] != catalog->links[i].child;
            if (is_new)
                all[n++] = catalog->links[i].child;
        }
    }
    return n;
}

static size_t *room_for_all(const struct sg_catalog *catalog) {
    size_t *all = calloc(catalog->relations_len + 1, sizeof *all);
    if (!all)
        abort();
    return all;
}

static void add_column(struct sg_catalog *catalog, size_t index, const struct sg_ddl_item *item) {
    struct sg_column column = {.name = item->name,
                               .type = item->type,
                               .default_sql = item->default_sql,
                               .is_generated = item->is_generated,
                               .is_identity = item->is_identity};
    size_t *all = room_for_all(catalog), n = below(catalog, index, all);
    for (size_t i = 0; i < n; i++)
        merge_column(catalog, all[i], &column);
    free(all);
}

static void drop_column(struct sg_catalog *catalog, size_t index, const char *name) {
    size_t *all = room_for_all(catalog), n = below(catalog, index, all);
    for (size_t i = 0; i < n; i++) {
        struct sg_relation *relation = &catalog->relations[all[i]];
        struct sg_column *column = find_column(relation, name);
        if (column) {
            relation->columns_len--;
            memmove(column, column + 1, sizeof *column * (size_t)(relation->columns + relation->columns_len - column));
        }
    }
    free(all);
}

static void copy_columns(struct sg_catalog *catalog, size_t index, const struct sg_ddl_item *item) {
    size_t parent;
    if (!sg_catalog_find(catalog, schema_of(item->parent_schema), item->parent, &parent))
        return;
    for (size_t i = 0; i < catalog->relations[parent].columns_len; i++)
        if (!find_column(&catalog->relations[index], catalog->relations[parent].columns[i].name))
            sg_catalog_add_column(catalog, index, &catalog->relations[parent].columns[i]);
    if (item->kind != SG_DDL_INHERIT)
        return;
    catalog->links = sg_catalog_grow(catalog->links, catalog->links_len, &catalog->links_cap, sizeof *catalog->links);
    catalog->links[catalog->links_len++] = (struct sg_catalog_link){index, parent};
}

bool sg_catalog_add_ddl(struct sg_catalog *catalog, struct sg_span ddl, struct sg_error *reterr) {
    struct sg_arena arena;
    sg_arena_init(&arena, 0);
    struct sg_span text = {sg_arena_strndup(&arena, ddl.ptr, ddl.len), ddl.len};
    struct sg_ddl parsed = {0};
    bool ok = sg_parse_ddl(&arena, text, &parsed, reterr) == SG_PARSE_OK;
    for (size_t i = 0; i < parsed.n; i++) {
        const struct sg_ddl_item *item = &parsed.v[i];
        size_t index = relation_of(catalog, item);
        switch (item->kind) {
        case SG_DDL_TABLE:
            break;
        case SG_DDL_COLUMN:
            add_column(catalog, index, item);
            break;
        case SG_DDL_DROP_COLUMN:
            drop_column(catalog, index, item->name);
            break;
        case SG_DDL_LIKE:
        case SG_DDL_INHERIT:
            copy_columns(catalog, index, item);
            break;
        }
    }
    sg_arena_free(&arena);
    return ok;
}

bool sg_catalog_describe(struct sg_catalog *catalog, struct sg_mapping *mapping) {
    size_t index;
    if (!sg_catalog_find(catalog, mapping->schema, mapping->table, &index))
        return false;
    size_t *all = room_for_all(catalog), n = below(catalog, index, all);
    mapping->shape = catalog->relations[index].columns;
    mapping->shape_len = catalog->relations[index].columns_len;
    struct sg_member *members = sg_arena_array(&catalog->arena, struct sg_member, n);
    for (size_t i = 1; i < n; i++) {
        const struct sg_relation *relation = &catalog->relations[all[i]];
        members[i - 1] = (struct sg_member){relation->schema, relation->name, relation->columns, relation->columns_len};
    }
    mapping->members = members;
    mapping->members_len = n - 1;
    free(all);
    return true;
}
