#include "catalog.h"

#include <stdlib.h>

static const char *const phase_names[] = {
    [SG_PHASE_PLANNED] = "planned",   [SG_PHASE_DUAL_WRITE] = "dual_write", [SG_PHASE_READ_NEW] = "read_new",
    [SG_PHASE_NEW_ONLY] = "new_only", [SG_PHASE_RETIRED] = "retired",
};

const char *sg_phase_name(enum sg_phase phase) {
    return phase_names[phase];
}

bool sg_phase_from_name(const char *name, enum sg_phase *ret_phase) {
    for (size_t i = 0; i < sizeof phase_names / sizeof *phase_names; i++) {
        if (strcmp(phase_names[i], name) == 0) {
            *ret_phase = (enum sg_phase)i;
            return true;
        }
    }
    return false;
}

void sg_catalog_set_encoding(struct sg_catalog *catalog, enum sg_encoding server) {
    catalog->charset.server = server;
    catalog->charset.is_known = true;
}

void sg_catalog_add_character(struct sg_catalog *catalog, const char *utf8, unsigned server_bytes, const char *lower) {
    sg_charset_add_character(&catalog->charset, utf8, server_bytes, lower);
}

void sg_catalog_add_code(struct sg_catalog *catalog, enum sg_encoding encoding, const char *utf8, struct sg_span code) {
    sg_charset_add_code(&catalog->charset, encoding, utf8, code);
}

struct sg_catalog *sg_catalog_new(void) {
    struct sg_catalog *catalog = calloc(1, sizeof *catalog);
    if (!catalog)
        abort();
    sg_arena_init(&catalog->arena, 16 << 10);
    return catalog;
}

void sg_catalog_free(struct sg_catalog *catalog) {
    if (!catalog)
        return;
    for (size_t i = 0; i < catalog->relations_len; i++)
        free(catalog->relations[i].columns);
    free(catalog->relations);
    free(catalog->links);
    sg_charset_free(&catalog->charset);
    sg_arena_free(&catalog->arena);
    free(catalog);
}

void *sg_catalog_grow(void *array, size_t len, size_t *cap, size_t element_bytes) {
    if (len < *cap)
        return array;
    *cap = *cap ? *cap * 2 : 8;
    array = realloc(array, *cap * element_bytes);
    if (!array)
        abort();
    return array;
}

size_t sg_catalog_add_relation(struct sg_catalog *catalog, const char *schema, const char *name, char kind) {
    catalog->relations = sg_catalog_grow(catalog->relations, catalog->relations_len, &catalog->relations_cap,
                                         sizeof *catalog->relations);
    struct sg_relation *relation = &catalog->relations[catalog->relations_len];
    *relation = (struct sg_relation){
        .schema = sg_arena_strdup(&catalog->arena, schema),
        .name = sg_arena_strdup(&catalog->arena, name),
        .kind = kind,
    };
    return catalog->relations_len++;
}

void sg_catalog_set_functions(struct sg_catalog *catalog, bool may_set_path, bool may_hide) {
    catalog->functions_may_set_path = may_set_path;
    catalog->functions_may_hide = may_hide;
}

static struct sg_column copy_column(struct sg_arena *arena, const struct sg_column *column) {
    struct sg_column copy = *column;
    copy.name = sg_arena_strdup(arena, column->name);
    copy.type = column->type ? sg_arena_strdup(arena, column->type) : "text";
    copy.default_sql = column->default_sql ? sg_arena_strdup(arena, column->default_sql) : NULL;
    return copy;
}

void sg_catalog_add_column(struct sg_catalog *catalog, size_t index, const struct sg_column *column) {
    struct sg_relation *relation = &catalog->relations[index];
    relation->columns =
        sg_catalog_grow(relation->columns, relation->columns_len, &relation->columns_cap, sizeof *column);
    relation->columns[relation->columns_len++] = copy_column(&catalog->arena, column);
}

bool sg_catalog_find(const struct sg_catalog *catalog, const char *schema, const char *name, size_t *ret_index) {
    for (size_t i = 0; i < catalog->relations_len; i++) {
        const struct sg_relation *relation = &catalog->relations[i];
        if (strcmp(relation->name, name) == 0 && strcmp(relation->schema, schema) == 0) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

const struct sg_column *sg_catalog_columns(const struct sg_catalog *catalog, const char *schema, const char *name,
                                           size_t *ret_len) {
    size_t index;
    if (!sg_catalog_find(catalog, schema, name, &index))
        return NULL;
    *ret_len = catalog->relations[index].columns_len;
    return catalog->relations[index].columns;
}

const struct sg_column *sg_relation_column(const struct sg_relation *relation, const char *name) {
    for (size_t i = 0; i < relation->columns_len; i++)
        if (strcmp(relation->columns[i].name, name) == 0)
            return &relation->columns[i];
    return NULL;
}
