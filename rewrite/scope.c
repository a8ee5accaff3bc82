#include "scope.h"

#include "star.h"

void sg_output_add(struct sg_context *cx, struct sg_output *output, const char *name, bool extra) {
    if (output->n == output->cap) {
        size_t cap = output->cap ? output->cap * 2 : 8;
        struct sg_output_column *bigger = sg_arena_array(cx->arena, struct sg_output_column, cap);
        if (output->n)
            memcpy(bigger, output->v, sizeof *bigger * output->n);
        output->v = bigger;
        output->cap = cap;
    }
    output->v[output->n++] = (struct sg_output_column){name, extra};
    output->extras |= extra;
}

void sg_output_append(struct sg_context *cx, struct sg_output *output, const struct sg_output *more) {
    for (size_t i = 0; i < more->n; i++)
        sg_output_add(cx, output, more->v[i].name, more->v[i].extra);
    sg_output_unknown(output, more->unknown, more->question);
}

void sg_output_unknown(struct sg_output *output, bool unknown, struct sg_question *question) {
    output->unknown |= unknown;
    if (!output->question)
        output->question = question;
}

bool sg_output_has(const struct sg_output *output, const char *name) {
    for (size_t i = 0; i < output->n; i++)
        if (output->v[i].name && strcmp(output->v[i].name, name) == 0)
            return true;
    return false;
}

void sg_scope_add(struct sg_context *cx, struct sg_scope *scope, struct sg_entry *entry) {
    if (scope->n == scope->cap) {
        size_t cap = scope->cap ? scope->cap * 2 : 8;
        struct sg_entry **bigger = sg_arena_array(cx->arena, struct sg_entry *, cap);
        if (scope->n)
            memcpy(bigger, scope->entries, sizeof *bigger * scope->n);
        scope->entries = bigger;
        scope->cap = cap;
    }
    scope->entries[scope->n++] = entry;
}

void sg_scope_add_row(struct sg_context *cx, struct sg_scope *scope, const struct sg_entry *table, const char *name) {
    struct sg_entry *row = sg_arena_new(cx->arena, struct sg_entry);
    *row = *table;
    row->name = name;
    row->schema = NULL;
    row->qualified_only = true;
    sg_scope_add(cx, scope, row);
}

bool sg_entry_has(const struct sg_entry *entry, const char *name) {
    if (entry->table)
        return sg_table_has_column(entry->table, name);
    if (entry->relation)
        return sg_relation_column(entry->relation, name) != NULL;
    if (sg_output_has(&entry->output, name))
        return true;
    sg_question_want(entry->output.question);
    return false;
}

void sg_entry_output(struct sg_context *cx, const struct sg_entry *entry, bool counted, struct sg_output *output) {
    if (entry->table) {
        sg_star_output(cx, entry->table, counted, output);
    } else if (entry->relation) {
        for (size_t i = 0; i < entry->relation->columns_len; i++)
            sg_output_add(cx, output, entry->relation->columns[i].name, false);
    } else {
        for (size_t i = 0; i < entry->output.n; i++)
            if (!counted || !entry->output.v[i].extra)
                sg_output_add(cx, output, entry->output.v[i].name, entry->output.v[i].extra);
        sg_output_unknown(output, entry->output.unknown, entry->output.question);
    }
}

static bool is_merged(const struct sg_entry *entry, const char *name) {
    for (size_t i = 0; i < entry->merged.n; i++)
        if (strcmp(entry->merged.v[i], name) == 0)
            return true;
    return false;
}

static enum sg_lookup lookup_level(const struct sg_scope *scope, const char *name, struct sg_entry **ret_entry) {
    struct sg_entry *mapped = NULL, *other = NULL;
    size_t matches = 0;
    bool unknown = false, merged = false, merged_mapped = false;
    for (size_t i = 0; i < scope->n; i++) {
        struct sg_entry *entry = scope->entries[i];
        if (entry->hidden || entry->qualified_only)
            continue;
        if (is_merged(entry, name)) {
            merged = true;
            merged_mapped |= entry->table && sg_table_mapping(entry->table, name);
            continue;
        }
        unknown |= !entry->table && !entry->relation && entry->output.unknown;
        if (!sg_entry_has(entry, name))
            continue;
        matches++;
        if (entry->table && sg_table_mapping(entry->table, name))
            mapped = entry;
        else
            other = entry;
    }
    if (merged) { /* a join's own column, which its sub-selects have by the client's name */
        *ret_entry = merged_mapped ? mapped : NULL;
        return merged_mapped && mapped ? SG_LOOKUP_AMBIGUOUS : SG_LOOKUP_OTHER;
    }
    if (matches == 0)
        return unknown ? SG_LOOKUP_UNSURE : SG_LOOKUP_NONE;
    if (!mapped)
        return SG_LOOKUP_OTHER;
    if (matches == 2 && other && !unknown) {
        *ret_entry = other;
        return SG_LOOKUP_SHARED;
    }
    *ret_entry = mapped;
    if (matches > 1)
        return SG_LOOKUP_AMBIGUOUS;
    return unknown ? SG_LOOKUP_UNSURE : SG_LOOKUP_MAPPED;
}

enum sg_lookup sg_lookup_column(const struct sg_scope *scope, const char *name, struct sg_entry **ret_entry) {
    *ret_entry = NULL;
    bool unsure = false;
    for (; scope; scope = scope->outer) {
        enum sg_lookup found = lookup_level(scope, name, ret_entry);
        if (found == SG_LOOKUP_NONE)
            continue;
        if (found != SG_LOOKUP_UNSURE || *ret_entry)
            return unsure && *ret_entry ? SG_LOOKUP_UNSURE : found;
        unsure = true;
    }
    return SG_LOOKUP_NONE;
}

struct sg_entry *sg_lookup_entry(const struct sg_scope *scope, const char *schema, const char *name) {
    for (; scope; scope = scope->outer) {
        for (size_t i = 0; i < scope->n; i++) {
            struct sg_entry *entry = scope->entries[i];
            if (entry->hidden || !entry->name || strcmp(entry->name, name) != 0)
                continue;
            if (!schema || (entry->schema && strcmp(entry->schema, schema) == 0))
                return entry;
        }
    }
    return NULL;
}

const struct sg_cte_name *sg_lookup_cte(const struct sg_cte_name *ctes, const char *name) {
    for (; ctes; ctes = ctes->outer)
        if (strcmp(ctes->name, name) == 0)
            return ctes;
    return NULL;
}

bool sg_is_system_column(const char *name) {
    static const char *const names[] = {"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}
