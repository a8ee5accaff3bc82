#include "schema.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* A line of the schema block, seen as one column of one table. */
struct column_line {
    const char *table; /* as written after CREATE TABLE */
    const char *name;  /* as stored */
    const char *rest;  /* type and constraints, without the comma */
};

static const char *const not_columns[] = {"UNIQUE", "CHECK", "CONSTRAINT", "PRIMARY", "FOREIGN", "EXCLUDE", "LIKE"};

static bool read_column(struct sg_arena *arena, const char *line, struct column_line *ret) {
    while (isspace((unsigned char)*line)) {
        line++;
    }
    const char *end;
    if (*line == '"') {
        end = strchr(++line, '"');
        ret->name = sg_arena_strndup(arena, line, (size_t)(end - line));
        end++;
    } else {
        end = line + strcspn(line, " ");
        ret->name = sg_arena_strndup(arena, line, (size_t)(end - line));
    }
    for (size_t i = 0; i < sizeof not_columns / sizeof *not_columns; i++) {
        if (strncmp(ret->name, not_columns[i], strlen(not_columns[i])) == 0) {
            return false;
        }
    }
    size_t len = strlen(end);
    if (len > 0 && end[len - 1] == ',') {
        len--;
    }
    ret->rest = sg_arena_strndup(arena, end, len);
    return true;
}

/* Does the mapping speak of the table written like this? Unqualified means public. */
static bool is_table(struct sg_arena *arena, const struct golden_mapping *mapping, const char *written) {
    struct sg_span schema;
    struct sg_span table;
    sg_quote_ident(arena, mapping->schema, &schema);
    sg_quote_ident(arena, mapping->table, &table);
    const char *qualified = sg_arena_printf(arena, "%.*s.%.*s", (int)schema.len, schema.ptr, (int)table.len, table.ptr);
    return strcmp(written, qualified) == 0 ||
           (strcmp(mapping->schema, "public") == 0 && sg_span_eq_cstr(table, written));
}

static const struct golden_mapping *mapping_of(struct golden_file *file, const struct column_line *line) {
    for (size_t i = 0; i < file->mappings_len; i++) {
        if (is_table(&file->arena, &file->mappings[i], line->table) &&
            strcmp(file->mappings[i].old_name, line->name) == 0) {
            return &file->mappings[i];
        }
    }
    return NULL;
}

/* Calls back for every column line. */
typedef void on_line_fn(void *context, const struct column_line *column);

static void each_line(struct golden_file *file, on_line_fn *on_line, void *context) {
    char *copy = sg_arena_strdup(&file->arena, file->schema);
    const char *table = NULL;
    char *save = NULL;
    for (char *text = strtok_r(copy, "\n", &save); text; text = strtok_r(NULL, "\n", &save)) {
        struct column_line column = {0};
        if (strncmp(text, "CREATE TABLE ", 13) == 0) {
            table = text[strlen(text) - 1] == '('
                        ? sg_arena_strndup(&file->arena, text + 13, strlen(text + 13) - strlen(" ("))
                        : NULL;
        } else if (strncmp(text, ")", 1) == 0) {
            table = NULL;
        } else if (table && read_column(&file->arena, text, &column)) {
            column.table = table;
            on_line(context, &column);
        }
    }
}

struct ddl {
    struct golden_file *file;
    enum sg_phase phase;
    const char *additions, *removals; /* concatenated in the arena; golden files are small */
};

/* While both columns exist the new one has no default that gives another value each time: the guard copies the old
 * one's value instead. In these files a default is of that kind when it calls something. */
static const char *new_definition(struct ddl *ddl, const struct column_line *column) {
    const char *default_sql = strstr(column->rest, " DEFAULT ");
    if (ddl->phase == SG_PHASE_NEW_ONLY || !default_sql || !strchr(default_sql, '(')) {
        return column->rest;
    }
    return sg_arena_strndup(&ddl->file->arena, column->rest, (size_t)(default_sql - column->rest));
}

static void ddl_line(void *context, const struct column_line *column) {
    struct ddl *ddl = context;
    const struct golden_mapping *mapping = column->name ? mapping_of(ddl->file, column) : NULL;
    if (!mapping) {
        return;
    }
    struct sg_span name;
    sg_quote_ident(&ddl->file->arena, mapping->new_name, &name);
    ddl->additions = sg_arena_printf(&ddl->file->arena, "%sALTER TABLE %s ADD COLUMN %.*s%s;\n", ddl->additions,
                                     column->table, (int)name.len, name.ptr, new_definition(ddl, column));
    sg_quote_ident(&ddl->file->arena, mapping->old_name, &name);
    ddl->removals = sg_arena_printf(&ddl->file->arena, "%sALTER TABLE %s DROP COLUMN %.*s;\n", ddl->removals,
                                    column->table, (int)name.len, name.ptr);
}

static void add_ddl(struct golden_file *file, struct sg_catalog *catalog, const char *text) {
    struct sg_error err = {0};
    if (!sg_catalog_add_ddl(catalog, sg_span_of(text), &err)) {
        fprintf(stderr, "%s: schema: %s\n", file->path, err.message);
        exit(1);
    }
}

static struct sg_catalog *catalog_of(struct golden_file *file, enum sg_phase phase, bool keep_old) {
    struct sg_catalog *catalog = sg_catalog_new();
    struct ddl ddl = {.file = file, .phase = phase, .additions = "", .removals = ""};
    each_line(file, ddl_line, &ddl);
    add_ddl(file, catalog, file->schema);
    if (phase != SG_PHASE_PLANNED) {
        add_ddl(file, catalog, ddl.additions);
    }
    if (phase == SG_PHASE_NEW_ONLY && !keep_old) {
        add_ddl(file, catalog, ddl.removals);
    }
    return catalog;
}

struct sg_snapshot *golden_snapshot(struct golden_file *file, enum sg_phase phase, bool keep_old, uint64_t epoch) {
    struct sg_mapping mappings[GOLDEN_MAPPINGS] = {0};
    struct sg_catalog *before = catalog_of(file, SG_PHASE_PLANNED, true);
    for (size_t i = 0; i < file->mappings_len; i++) {
        const struct golden_mapping *from = &file->mappings[i];
        struct sg_mapping *mapping = &mappings[i];
        *mapping = (struct sg_mapping){.migration = sg_arena_printf(&file->arena, "m%zu", i + 1),
                                       .schema = from->schema,
                                       .table = from->table,
                                       .old_name = from->old_name,
                                       .new_name = from->new_name,
                                       .phase = phase};
        if (!sg_catalog_describe(before, mapping)) {
            fprintf(stderr, "%s: the schema block has no table %s.%s\n", file->path, from->schema, from->table);
            exit(1);
        }
    }
    struct sg_error err = {0};
    struct sg_snapshot *snapshot =
        sg_snapshot_new(epoch, catalog_of(file, phase, keep_old), mappings, file->mappings_len, &err);
    sg_catalog_free(before);
    if (!snapshot) {
        fprintf(stderr, "%s: snapshot for %s: %s\n", file->path, sg_phase_name(phase), err.message);
        exit(1);
    }
    return snapshot;
}
