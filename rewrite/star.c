#include "star.h"

#include "resolve.h"

static enum sg_star star_mode(const struct sg_context *cx, bool counted) {
    return counted && cx->request->star == SG_STAR_BOTH ? SG_STAR_OLD : cx->request->star;
}

/* The label of one column of the shape. */
static const char *shape_label(const struct sg_table *table, size_t i, enum sg_star mode) {
    const char *name = table->shape[i].name;
    const struct sg_table_mapping *m = sg_table_mapping(table, name);
    return m && mode == SG_STAR_NEW ? m->mapping->new_name : name;
}

void sg_star_output(struct sg_context *cx, const struct sg_table *table, bool counted, struct sg_output *output) {
    enum sg_star mode = star_mode(cx, counted);
    for (size_t i = 0; i < table->shape_len; i++)
        sg_output_add(cx, output, shape_label(table, i, mode), false);
    for (size_t i = 0; mode == SG_STAR_BOTH && i < table->mappings_len; i++)
        sg_output_add(cx, output, table->mappings[i].mapping->new_name, true);
}

static const char *star_item(struct sg_context *cx, const struct sg_table *table, const char *qualifier,
                             const char *label) {
    const struct sg_table_mapping *m = sg_table_mapping(table, label);
    const char *physical = m ? sg_mapping_read_name(m->mapping) : label;
    const char *name = sg_ident(cx, physical);
    if (qualifier)
        name = sg_arena_printf(cx->arena, "%s.%s", qualifier, name);
    if (strcmp(physical, label) != 0)
        name = sg_arena_printf(cx->arena, "%s AS %s", name, sg_ident(cx, label));
    return name;
}

const char *sg_star_text(struct sg_context *cx, const struct sg_table *table, const char *qualifier, bool counted) {
    struct sg_output output = {0};
    sg_star_output(cx, table, counted, &output);
    const char *text = "";
    for (size_t i = 0; i < output.n; i++)
        text = sg_arena_printf(cx->arena, "%s%s%s", text, i ? ", " : "",
                               star_item(cx, table, qualifier, output.v[i].name));
    return text;
}

const char *sg_star_values(struct sg_context *cx, const struct sg_table *table, const char *qualifier, bool replaced) {
    struct sg_output output = {0};
    sg_star_output(cx, table, true, &output);
    const char *text = "";
    for (size_t i = 0; i < output.n; i++) {
        const struct sg_table_mapping *m = replaced ? NULL : sg_table_mapping(table, output.v[i].name);
        const char *name = m ? sg_mapping_read_name(m->mapping) : output.v[i].name;
        text = sg_arena_printf(cx->arena, "%s%s%s.%s", text, i ? ", " : "", qualifier, sg_ident(cx, name));
    }
    return text;
}

/* How an entry is named in this scope: with its schema where the table's name alone would be two tables'. */
static const char *entry_name(struct sg_context *cx, const struct sg_scope *scope, const struct sg_entry *entry) {
    for (size_t i = 0; entry->name && entry->schema && i < scope->n; i++) {
        const struct sg_entry *other = scope->entries[i];
        if (other != entry && other->name && strcmp(other->name, entry->name) == 0)
            return sg_arena_printf(cx->arena, "%s.%s", sg_ident(cx, entry->schema), sg_ident(cx, entry->name));
    }
    return entry->name ? sg_ident(cx, entry->name) : NULL;
}

/* How one entry's columns are written in place of a `*`. NULL: it has no name to write. */
static const char *entry_text(struct sg_context *cx, const struct sg_scope *scope, struct sg_entry *entry,
                              bool counted) {
    const char *qualifier = entry_name(cx, scope, entry);
    if (!qualifier)
        return NULL;
    entry->needs_names |= entry->replaced;
    if (entry->table && !entry->replaced)
        return sg_star_text(cx, entry->table, qualifier, counted);
    if (!counted || !entry->output.extras)
        return sg_arena_printf(cx->arena, "%s.*", qualifier);
    const char *text = "";
    for (size_t i = 0; i < entry->output.n; i++)
        if (!entry->output.v[i].extra)
            text = sg_arena_printf(cx->arena, "%s%s%s.%s", text, *text ? ", " : "", qualifier,
                                   sg_ident(cx, entry->output.v[i].name));
    return text;
}

static bool entry_needs_expansion(const struct sg_entry *entry, bool counted) {
    return (entry->table && !entry->replaced) || (counted && entry->output.extras);
}

/* `u.*`, or `TABLE users`, where the star stands in no text at all. */
static void replace_star(struct sg_context *cx, const struct sg_scope *scope, const struct sg_target *target,
                         const char *text) {
    int at = target->expr->at;
    if (at < 0) {
        const struct sg_from *from = scope->n ? scope->entries[0]->from : NULL;
        size_t table = from ? sg_token_at(&cx->tokens, (size_t)from->at) : 0;
        while (table > 0 && !sg_token_is_word(&cx->tokens, table, SG_WORD_TABLE))
            table--;
        sg_edit_replace(&cx->edits, cx->tokens.v[table].at, cx->tokens.v[table].len,
                        sg_span_of(sg_arena_printf(cx->arena, "SELECT %s FROM", text)));
        return;
    }
    size_t first = sg_token_at(&cx->tokens, (size_t)at), end = first + 2 * target->expr->names.n;
    /* (u.*) is u.*, and its label is ignored; what stands in its place can have neither. */
    while (first > 0 && sg_token_is_punct(&cx->tokens, first - 1, '(') && cx->tokens.v[first - 1].match == end + 1) {
        first--;
        end++;
    }
    if (target->name)
        end += sg_token_is_word(&cx->tokens, end + 1, SG_WORD_AS) ? 2 : 1;
    size_t from = cx->tokens.v[first].at;
    sg_edit_replace(&cx->edits, from, sg_token_end(&cx->tokens, end) - from, sg_span_of(text));
}

static struct sg_entry *star_entry(const struct sg_scope *scope, const struct sg_target *target) {
    const struct sg_names *names = &target->expr->names;
    return sg_lookup_entry(scope, names->n > 1 ? names->v[names->n - 2] : NULL, names->v[names->n - 1]);
}

void sg_star_target_output(struct sg_context *cx, const struct sg_scope *scope, const struct sg_target *target,
                           bool counted, struct sg_output *output) {
    if (target->expr->names.n) {
        const struct sg_entry *entry = star_entry(scope, target);
        if (entry)
            sg_entry_output(cx, entry, counted, output);
        else
            output->unknown = true;
        return;
    }
    for (size_t i = 0; i < scope->n; i++)
        if (scope->entries[i]->is_target && !scope->entries[i]->qualified_only)
            sg_entry_output(cx, scope->entries[i], counted, output);
    for (size_t i = 0; i < scope->items.n; i++)
        sg_from_output(cx, scope, scope->items.v[i], counted, output);
}

/* With USING or NATURAL the merged columns come first: PostgreSQL must expand this star itself. */
static bool leave_to_server(struct sg_context *cx, struct sg_scope *scope, const struct sg_target *target,
                            bool counted) {
    for (size_t i = 0; i < scope->n; i++) {
        struct sg_entry *entry = scope->entries[i];
        if (!entry->table) {
            if (counted && entry->output.extras)
                sg_refuse(cx, target->expr->at, NULL, "Name the columns instead of writing *.",
                          "* over a join by column names where the number of columns matters");
            continue;
        }
        if (entry->is_target)
            return false;
        sg_note_star(cx, entry->table);
        entry->replaced = entry->needs_names = true;
        entry->replaced_as_old |= counted;
    }
    return true;
}

static void expand_all(struct sg_context *cx, struct sg_scope *scope, const struct sg_target *target, bool counted) {
    const char *text = "";
    bool needed = false;
    for (size_t i = 0; i < scope->n; i++) {
        struct sg_entry *entry = scope->entries[i];
        if (entry->hidden || entry->qualified_only)
            continue;
        const char *item = entry_text(cx, scope, entry, counted);
        needed |= entry_needs_expansion(entry, counted);
        if (entry->behind)
            sg_note_star(cx, entry->behind);
        text = item && text ? sg_arena_printf(cx->arena, "%s%s%s", text, *text ? ", " : "", item) : NULL;
    }
    if (!needed)
        return;
    if (text)
        replace_star(cx, scope, target, text);
    else
        sg_refuse(cx, target->expr->at, NULL, "Give every item of the FROM clause an alias.",
                  "* over a FROM item that has no name");
}

void sg_star_target(struct sg_context *cx, struct sg_scope *scope, const struct sg_target *target, bool counted,
                    bool ignored, struct sg_output *output) {
    sg_star_target_output(cx, scope, target, counted, output);
    if (ignored)
        return;
    if (target->expr->names.n) {
        struct sg_entry *entry = star_entry(scope, target);
        if (entry && entry->replaced) {
            entry->needs_names = true;
            sg_drop_schema(cx, entry, target->expr->at, target->expr->names.n);
        }
        if (!entry || !entry_needs_expansion(entry, counted))
            return;
        if (entry->behind)
            sg_note_star(cx, entry->behind);
        replace_star(cx, scope, target, entry_text(cx, scope, entry, counted));
        return;
    }
    if (scope->joins_by_name && leave_to_server(cx, scope, target, counted))
        return;
    expand_all(cx, scope, target, counted);
}

/* The tokens of [ONLY] name [*] in FROM: where they start and where they end. */
static void relation_extent(struct sg_context *cx, const struct sg_from *from, size_t *ret_at, size_t *ret_end) {
    size_t i = sg_token_at(&cx->tokens, (size_t)from->at), first = i;
    while (sg_token_is_punct(&cx->tokens, i + 1, '.'))
        i += 2;
    if (from->only) {
        bool parens = sg_token_is_punct(&cx->tokens, first - 1, '(');
        first -= parens ? 2 : 1;
        i += parens ? 1 : 0;
    } else if (i + 1 < cx->tokens.n && cx->tokens.v[i + 1].kind == SG_TOKEN_OPERATOR) {
        i++;
    }
    *ret_at = cx->tokens.v[first].at;
    *ret_end = sg_token_end(&cx->tokens, i);
}

static void replace_entry(struct sg_context *cx, const struct sg_scope *scope, struct sg_entry *entry) {
    const struct sg_from *from = entry->from;
    bool needs_table = entry->uses_system || entry->needs_key || from->sampled || entry->is_target;
    if (needs_table && !entry->needs_names && !scope->joins_outer) {
        entry->replaced = false; /* each whole row is made where it is used */
        return;
    }
    if (needs_table) {
        sg_refuse(cx, from->at, entry->behind, "Name the columns that are needed.",
                  "a whole-row, USING or aliased-column reference to \"%s\" together with %s", from->name,
                  entry->is_target     ? "a change of its rows"
                  : entry->uses_system ? "its system columns"
                  : entry->needs_key   ? "GROUP BY"
                                       : "TABLESAMPLE");
        return;
    }
    if (entry->named_by_schema && sg_lookup_entry(scope, NULL, entry->name) != entry) {
        sg_refuse(cx, from->at, entry->behind, "Give the tables aliases.",
                  "a whole-row or USING reference to \"%s\" beside another table of this name", from->name);
        return;
    }
    if (entry->replaced_as_old && entry->uses_new) {
        sg_refuse(cx, from->at, entry->behind, "Name the columns instead of writing *.",
                  "* where the number of columns matters, beside a reference to the new name");
        return;
    }
    size_t at, end;
    relation_extent(cx, from, &at, &end);
    const struct sg_relation *relation = entry->behind->relation;
    const char *text = sg_arena_printf(
        cx->arena, "(SELECT %s FROM %s%s.%s)%s%s", sg_star_text(cx, entry->behind, NULL, entry->replaced_as_old),
        from->only ? "ONLY " : "", sg_ident(cx, relation->schema), sg_ident(cx, relation->name),
        from->alias ? "" : " AS ", from->alias ? "" : sg_ident(cx, from->name));
    sg_edit_replace(&cx->edits, at, end - at, sg_span_of(text));
}

void sg_replace_entries(struct sg_context *cx, struct sg_scope *scope) {
    for (size_t i = 0; i < scope->n; i++)
        if (scope->entries[i]->replaced && scope->entries[i]->behind)
            replace_entry(cx, scope, scope->entries[i]);
}
