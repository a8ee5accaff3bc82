/* The FROM clause: what entries it makes, and the joins by column name. */
#include "resolve.h"

static void add_item(struct sg_context *cx, const struct sg_from *from, struct sg_scope *scope);

static struct sg_entry *new_entry(struct sg_context *cx, const struct sg_from *from, const char *name) {
    struct sg_entry *entry = sg_arena_new(cx->arena, struct sg_entry);
    entry->from = from;
    entry->name = name;
    return entry;
}

static void rename_columns(struct sg_output *output, const struct sg_names *names) {
    for (size_t i = 0; i < names->n && i < output->n; i++)
        output->v[i].name = names->v[i];
}

/* `users AS u(a, b)`: the list counts columns, so the table becomes a sub-select of the shape clients know. */
static void alias_columns(struct sg_context *cx, struct sg_entry *entry) {
    sg_note_star(cx, entry->table);
    entry->replaced = entry->needs_names = true;
    sg_entry_output(cx, entry, false, &entry->output);
    rename_columns(&entry->output, &entry->from->columns);
    entry->table = NULL;
}

static struct sg_entry *table_entry(struct sg_context *cx, const struct sg_from *from) {
    struct sg_entry *entry = new_entry(cx, from, from->alias ? from->alias : from->name);
    struct sg_question *question;
    const struct sg_relation *relation = sg_lookup_relation(cx, from, &question);
    if (!from->alias)
        entry->schema = from->schema ? from->schema : (relation ? relation->schema : NULL);
    if (!relation)
        sg_output_unknown(&entry->output, true, question);
    else if (relation->mapped)
        entry->table = entry->behind = relation->mapped;
    else if (from->columns.n == 0)
        entry->relation = relation;
    else
        for (size_t i = 0; i < relation->columns_len; i++)
            sg_output_add(cx, &entry->output, relation->columns[i].name, false);
    return entry;
}

struct sg_entry *sg_target_entry(struct sg_context *cx, const struct sg_from *target) {
    struct sg_entry *entry = table_entry(cx, target);
    entry->is_target = true;
    return entry;
}

static void add_table(struct sg_context *cx, const struct sg_from *from, struct sg_scope *scope) {
    const struct sg_cte_name *cte = from->schema ? NULL : sg_lookup_cte(scope->ctes, from->name);
    struct sg_entry *entry;
    if (cte) {
        entry = new_entry(cx, from, from->alias ? from->alias : from->name);
        sg_output_append(cx, &entry->output, &cte->output);
        rename_columns(&entry->output, &from->columns);
    } else {
        entry = table_entry(cx, from);
        if (entry->table && from->columns.n)
            alias_columns(cx, entry);
        else
            rename_columns(&entry->output, &from->columns);
    }
    sg_resolve_nodes(cx, &from->exprs, scope);
    sg_scope_add(cx, scope, entry);
}

static void add_query(struct sg_context *cx, const struct sg_from *from, struct sg_scope *scope) {
    struct sg_entry *entry = new_entry(cx, from, from->alias);
    int flags = SG_LABELS | (from->columns.n ? SG_COUNTED : 0);
    entry->output = sg_resolve_query(cx, from->query, from->lateral ? scope : scope->outer, scope->ctes, flags);
    rename_columns(&entry->output, &from->columns);
    sg_scope_add(cx, scope, entry);
}

/* Functions in FROM whose output is known: one column named like the item, or the two of the *_each family. */
static bool is_scalar_function(const char *name) {
    static const char *const names[] = {
        "generate_series",
        "generate_subscripts",
        "unnest",
        "string_to_table",
        "regexp_split_to_table",
        "regexp_matches",
        "json_array_elements",
        "json_array_elements_text",
        "json_object_keys",
        "jsonb_array_elements",
        "jsonb_array_elements_text",
        "jsonb_object_keys",
        "jsonb_path_query",
        "now",
        "current_database",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static bool gives_key_and_value(const char *name) {
    return strcmp(name, "json_each") == 0 || strcmp(name, "jsonb_each") == 0 || strcmp(name, "json_each_text") == 0 ||
           strcmp(name, "jsonb_each_text") == 0;
}

/* What the function itself gives, before an alias list renames it. */
static void function_output(struct sg_context *cx, const struct sg_from *from, const char *name,
                            struct sg_output *output) {
    bool single = from->name && from->exprs.n == 1; /* not ROWS FROM (f(), g()) */
    bool parallel = single && strcmp(from->name, "unnest") == 0 && from->exprs.v[0]->kids.n > 1;
    if (from->defines_columns) {
        for (size_t i = 0; i < from->columns.n; i++)
            sg_output_add(cx, output, from->columns.v[i], false);
    } else if (single && !parallel && is_scalar_function(from->name)) {
        sg_output_add(cx, output, name, false);
    } else if (single && gives_key_and_value(from->name)) {
        sg_output_add(cx, output, "key", false);
        sg_output_add(cx, output, "value", false);
    } else {
        /* An alias list may be shorter than the function is wide. */
        for (size_t i = 0; i < from->columns.n; i++)
            sg_output_add(cx, output, from->columns.v[i], false);
        output->unknown = true;
    }
    if (from->ordinality && !output->unknown)
        sg_output_add(cx, output, "ordinality", false);
}

static void add_function(struct sg_context *cx, const struct sg_from *from, struct sg_scope *scope) {
    sg_resolve_nodes(cx, &from->exprs, scope);
    struct sg_entry *entry = new_entry(cx, from, from->alias ? from->alias : from->name);
    function_output(cx, from, entry->name, &entry->output);
    rename_columns(&entry->output, &from->columns);
    sg_scope_add(cx, scope, entry);
}

/* The columns of this name that both sides of a join have, from entry `start` on, are one column to a bare name. */
static void merge_name(struct sg_context *cx, struct sg_scope *scope, size_t start, const char *name) {
    for (size_t i = start; i < scope->n; i++) {
        struct sg_names *merged = &scope->entries[i]->merged;
        const char **bigger = sg_arena_array(cx->arena, const char *, merged->n + 1);
        for (size_t k = 0; k < merged->n; k++)
            bigger[k] = merged->v[k];
        bigger[merged->n] = name;
        *merged = (struct sg_names){bigger, merged->n + 1};
    }
}

/* USING (nickname): both sides must have a column of that very name. */
static void join_using(struct sg_context *cx, const struct sg_from *from, struct sg_scope *scope, size_t start) {
    scope->joins_by_name = true;
    for (size_t k = 0; k < from->using.n; k++) {
        const char *name = from->using.v[k];
        for (size_t i = start; i < scope->n; i++) {
            struct sg_entry *entry = scope->entries[i];
            const struct sg_table_mapping *m = entry->table ? sg_table_mapping(entry->table, name) : NULL;
            if (!m)
                continue;
            sg_note_use(cx, m, name);
            entry->replaced = entry->needs_names = true;
            entry->uses_new |= strcmp(name, m->mapping->new_name) == 0;
        }
        merge_name(cx, scope, start, name);
    }
    if (from->using_alias) {
        struct sg_entry *entry = new_entry(cx, from, from->using_alias);
        entry->qualified_only = true;
        for (size_t k = 0; k < from->using.n; k++)
            sg_output_add(cx, &entry->output, from->using.v[k], false);
        sg_scope_add(cx, scope, entry);
    }
}

/* ---- NATURAL ---- */

/* What one side of a NATURAL JOIN has to do with the names of a mapping on the other side. */
struct common {
    bool unknown, has_old, has_new, is_same_mapping;
};

static struct common look_at_side(const struct sg_scope *scope, size_t first, size_t end, const struct sg_mapping *m) {
    struct common common = {0};
    for (size_t i = first; i < end; i++) {
        const struct sg_entry *entry = scope->entries[i];
        if (entry->hidden || entry->qualified_only)
            continue;
        common.unknown |= entry->output.unknown;
        common.has_old |= sg_entry_has(entry, m->old_name);
        common.has_new |= sg_entry_has(entry, m->new_name);
        const struct sg_table_mapping *other = entry->table ? sg_table_mapping(entry->table, m->old_name) : NULL;
        common.is_same_mapping |= other && strcmp(other->mapping->old_name, m->old_name) == 0 &&
                                  strcmp(other->mapping->new_name, m->new_name) == 0;
    }
    return common;
}

/*
 * Which columns a NATURAL JOIN compares depends on which names the table has, and a sub-select in the table's place has
 * the names clients see. With both of them it is only right where the other side has the old name alone, or both by the
 * same mapping: an app written for the old schema does not expect to be joined by the new name.
 */
static void join_natural_table(struct sg_context *cx, struct sg_scope *scope, size_t start, struct sg_entry *entry,
                               const struct sg_mapping *m, const struct common *other) {
    bool shows_both = cx->request->star == SG_STAR_BOTH;
    if (other->unknown || (shows_both && other->has_new && !other->is_same_mapping)) {
        sg_refuse(cx, entry->from->at, entry->table, "Join with ON or USING and name the columns.",
                  "a NATURAL JOIN in which \"%s\" or \"%s\" may be a common column", m->old_name, m->new_name);
    } else if (other->has_old || other->has_new) {
        sg_note_star(cx, entry->table);
        entry->replaced = entry->needs_names = true;
        if (other->has_old)
            merge_name(cx, scope, start, m->old_name);
        if (other->has_new)
            merge_name(cx, scope, start, m->new_name);
    }
}

static void join_natural(struct sg_context *cx, struct sg_scope *scope, size_t start, size_t middle) {
    scope->joins_by_name = true;
    size_t end = scope->n;
    for (size_t i = start; i < end; i++) {
        struct sg_entry *entry = scope->entries[i];
        for (size_t k = 0; entry->table && k < entry->table->mappings_len && !cx->refused; k++) {
            const struct sg_mapping *m = entry->table->mappings[k].mapping;
            struct common other =
                i < middle ? look_at_side(scope, middle, end, m) : look_at_side(scope, start, middle, m);
            join_natural_table(cx, scope, start, entry, m, &other);
        }
    }
}

/* ---- What a FROM item gives to a star ---- */

static const struct sg_entry *entry_of(const struct sg_scope *scope, const struct sg_from *from) {
    for (size_t i = 0; i < scope->n; i++)
        if (scope->entries[i]->from == from && !scope->entries[i]->qualified_only)
            return scope->entries[i];
    return NULL;
}

static bool has_name(const struct sg_names *names, const char *name) {
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->v[i], name) == 0)
            return true;
    return false;
}

static struct sg_names common_names(struct sg_context *cx, const struct sg_output *left,
                                    const struct sg_output *right) {
    struct sg_names names = {.v = sg_arena_array(cx->arena, const char *, left->n)};
    for (size_t i = 0; i < left->n; i++)
        if (left->v[i].name && sg_output_has(right, left->v[i].name))
            names.v[names.n++] = left->v[i].name;
    return names;
}

static void append_others(struct sg_context *cx, struct sg_output *output, const struct sg_output *side,
                          const struct sg_names *merged) {
    for (size_t i = 0; i < side->n; i++)
        if (!side->v[i].name || !has_name(merged, side->v[i].name))
            sg_output_add(cx, output, side->v[i].name, side->v[i].extra);
    sg_output_unknown(output, side->unknown, side->question);
}

/* Merged columns come first, then what is left of both sides (PostgreSQL docs, 7.2.1.1). */
static void join_output(struct sg_context *cx, const struct sg_scope *scope, const struct sg_from *from, bool counted,
                        struct sg_output *output) {
    struct sg_output left = {0}, right = {0};
    sg_from_output(cx, scope, from->left, counted, &left);
    sg_from_output(cx, scope, from->right, counted, &right);
    struct sg_names merged = from->natural ? common_names(cx, &left, &right) : from->using;
    for (size_t i = 0; i < merged.n; i++)
        sg_output_add(cx, output, merged.v[i], false);
    sg_output_unknown(output, from->natural && (left.unknown || right.unknown), NULL);
    append_others(cx, output, &left, &merged);
    append_others(cx, output, &right, &merged);
}

void sg_from_output(struct sg_context *cx, const struct sg_scope *scope, const struct sg_from *from, bool counted,
                    struct sg_output *output) {
    const struct sg_entry *entry = entry_of(scope, from);
    if (entry)
        sg_entry_output(cx, entry, counted, output);
    else if (from->kind == SG_FROM_JOIN)
        join_output(cx, scope, from, counted, output);
    else
        output->unknown = true;
}

/* (a JOIN b ...) AS j: only j can be named outside. */
static void join_alias(struct sg_context *cx, const struct sg_from *from, struct sg_scope *scope, size_t start) {
    struct sg_entry *entry = new_entry(cx, from, from->alias);
    join_output(cx, scope, from, false, &entry->output);
    for (size_t i = start; i < scope->n; i++) {
        struct sg_entry *inner = scope->entries[i];
        if (inner->hidden || inner->qualified_only)
            continue;
        if (inner->table) {
            sg_note_star(cx, inner->table);
            inner->replaced = inner->needs_names = true;
        }
        inner->hidden = true;
    }
    rename_columns(&entry->output, &from->columns);
    sg_scope_add(cx, scope, entry);
}

static void add_join(struct sg_context *cx, const struct sg_from *from, struct sg_scope *scope) {
    size_t start = scope->n;
    add_item(cx, from->left, scope);
    size_t middle = scope->n;
    add_item(cx, from->right, scope);
    /* ON sees the two sides, not what else the FROM list has. */
    struct sg_scope sides = *scope;
    sides.entries += start;
    sides.n -= start;
    sg_resolve_nodes(cx, &from->exprs, &sides);
    scope->joins_outer |= from->outer;
    if (from->using.n)
        join_using(cx, from, scope, start);
    if (from->natural)
        join_natural(cx, scope, start, middle);
    if (from->alias)
        join_alias(cx, from, scope, start);
}

static void add_item(struct sg_context *cx, const struct sg_from *from, struct sg_scope *scope) {
    if (cx->refused)
        return;
    switch (from->kind) {
    case SG_FROM_TABLE:
        add_table(cx, from, scope);
        return;
    case SG_FROM_QUERY:
        add_query(cx, from, scope);
        return;
    case SG_FROM_JOIN:
        add_join(cx, from, scope);
        return;
    case SG_FROM_FUNCTION:
        add_function(cx, from, scope);
        return;
    case SG_FROM_VALUES:
        return;
    }
}

void sg_resolve_from(struct sg_context *cx, const struct sg_froms *froms, struct sg_scope *scope) {
    for (size_t i = 0; i < froms->n; i++)
        add_item(cx, froms->v[i], scope);
    scope->items = *froms;
}
