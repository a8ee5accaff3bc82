#include "whole_row.h"

#include "resolve.h"
#include "star.h"

/* The tokens of a reference: u, u.*, public.u.* */
static size_t reference_end(const struct sg_context *cx, const struct sg_node *node) {
    size_t parts = node->names.n - 1 + (node->star ? 1 : 0);
    return sg_token_end(&cx->tokens, sg_token_at(&cx->tokens, (size_t)node->at) + 2 * parts);
}

/* (SELECT u FROM (SELECT u.id, u.username AS nickname, u.username) AS u) */
static const char *row_text(struct sg_context *cx, const struct sg_entry *entry, const char *name) {
    return sg_arena_printf(cx->arena, "(SELECT %s FROM (SELECT %s) AS %s)", name,
                           sg_star_text(cx, entry->table, name, false), name);
}

static struct sg_change *replace_reference(struct sg_context *cx, const struct sg_node *node, const char *text) {
    size_t at = (size_t)node->at;
    return sg_edit_replace(&cx->edits, at, reference_end(cx, node) - at, sg_span_of(text));
}

void sg_whole_row(struct sg_context *cx, struct sg_entry *entry, const struct sg_node *node) {
    if (!entry->table)
        return;
    sg_note_star(cx, entry->table);
    if (node->keeps_row)
        return;
    entry->is_whole_row = true;
    entry->replaced |= !entry->is_target;
    replace_reference(cx, node, row_text(cx, entry, sg_ident(cx, entry->name)))->unless = &entry->replaced;
}

/* In ROW(u.*) the star counts columns; nothing else depends on it. */
static void list_columns(struct sg_context *cx, struct sg_entry *entry, const struct sg_node *node) {
    const char *name = sg_ident(cx, entry->name);
    sg_note_star(cx, entry->table);
    replace_reference(cx, node, sg_star_values(cx, entry->table, name, false))->unless = &entry->replaced;
    replace_reference(cx, node, sg_star_values(cx, entry->table, name, true))->when = &entry->replaced;
}

void sg_resolve_row(struct sg_context *cx, struct sg_node *row, const struct sg_scope *scope) {
    for (size_t i = 0; i < row->kids.n; i++) {
        struct sg_node *kid = row->kids.v[i];
        if (kid->kind == SG_NODE_COLUMN && kid->star && kid->names.n) {
            struct sg_entry *entry = sg_lookup_entry(scope, NULL, kid->names.v[kid->names.n - 1]);
            if (entry && entry->table)
                list_columns(cx, entry, kid);
        } else {
            sg_resolve_expr(cx, kid, scope);
        }
    }
}

/* The mapped table that a bare name means a row of. NULL: it is something else. */
static struct sg_entry *row_entry(const struct sg_node *node, const struct sg_scope *scope) {
    if (node->kind != SG_NODE_COLUMN || node->names.n != 1 || node->star)
        return NULL;
    struct sg_entry *entry = sg_lookup_entry(scope, NULL, node->names.v[0]), *column_entry;
    bool is_row = entry && entry->table && sg_lookup_column(scope, node->names.v[0], &column_entry) == SG_LOOKUP_NONE;
    return is_row ? entry : NULL;
}

bool sg_resolve_row_field(struct sg_context *cx, struct sg_node *field, const struct sg_scope *scope) {
    struct sg_entry *entry = field->names.n ? row_entry(field->kids.v[0], scope) : NULL;
    if (!entry)
        return false;
    for (size_t i = 1; i < field->kids.n; i++)
        sg_resolve_expr(cx, field->kids.v[i], scope); /* subscripts behind it */
    const char *name = field->names.v[0];
    const struct sg_table_mapping *m = sg_table_mapping(entry->table, name);
    if (!m)
        return true;
    sg_note_use(cx, m, name);
    entry->uses_new |= strcmp(name, m->mapping->new_name) == 0;
    const char *physical = sg_mapping_read_name(m->mapping);
    if (strcmp(physical, name) == 0)
        return true;
    size_t i = sg_token_at(&cx->tokens, (size_t)field->kids.v[0]->at) + 1;
    while (sg_token_is_punct(&cx->tokens, i, ')'))
        i++;
    i++; /* the dot */
    struct sg_change *change =
        sg_edit_replace(&cx->edits, cx->tokens.v[i].at, cx->tokens.v[i].len, sg_span_of(sg_ident(cx, physical)));
    change->unless = &entry->replaced;
    if (field->name == name) /* it is the label, too */
        field->renamed = &entry->replaced;
    return true;
}

void sg_expand_row(const struct sg_scope *scope, const struct sg_node *node, bool counted) {
    struct sg_entry *entry = row_entry(node->kids.v[0], scope);
    if (!entry || !entry->is_whole_row)
        return;
    entry->replaced_as_old |= counted;
    entry->needs_names = true;
}

/* PostgreSQL's functions that take a row of any kind. */
static bool takes_any_row(const char *name) {
    static const char *const names[] = {
        "array_agg",
        "array_append",
        "array_position",
        "array_prepend",
        "array_remove",
        "array_replace",
        "concat",
        "concat_ws",
        "count",
        "first_value",
        "format",
        "json_agg",
        "json_build_array",
        "json_build_object",
        "json_object_agg",
        "jsonb_agg",
        "jsonb_build_array",
        "jsonb_build_object",
        "jsonb_object_agg",
        "lag",
        "last_value",
        "lead",
        "num_nonnulls",
        "num_nulls",
        "nth_value",
        "pg_column_size",
        "pg_typeof",
        "quote_literal",
        "quote_nullable",
        "row_to_json",
        "to_json",
        "to_jsonb",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* nickname(u) is u.nickname. */
static bool is_column_name(const struct sg_context *cx, const char *name) {
    for (size_t i = 0; i < cx->snapshot->tables_len; i++)
        if (sg_table_mapping(&cx->snapshot->tables[i], name))
            return true;
    return false;
}

void sg_keep_row_arguments(const struct sg_context *cx, struct sg_node *call) {
    if (takes_any_row(call->name) || is_column_name(cx, call->name))
        return;
    for (size_t i = 0; i < call->kids.n; i++)
        if (call->kids.v[i]->kind == SG_NODE_COLUMN)
            call->kids.v[i]->keeps_row = true;
}
