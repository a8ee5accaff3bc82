#include "resolve.h"

#include "star.h"
#include "whole_row.h"

enum { MAX_DEPTH = 1500 };

static bool is_mapped_name(const struct sg_context *cx, const char *name) {
    for (size_t i = 0; i < cx->snapshot->mappings_len; i++)
        if (strcmp(cx->snapshot->mappings[i].old_name, name) == 0 ||
            strcmp(cx->snapshot->mappings[i].new_name, name) == 0)
            return true;
    return false;
}

/* The physical column that a reference reads. */
static const char *read_name(const struct sg_scope *scope, const struct sg_mapping *m) {
    /* While both columns are written, only the old one has a unique index: ON CONFLICT must infer that one. And only
     * the old one has a default that gives another value each time: COPY ... WHERE sees a row before the guard. */
    if (scope->reads_old && sg_phase_writes_both(m->phase))
        return m->old_name;
    return sg_mapping_read_name(m);
}

/* Would the physical name, unqualified at this place, mean something else than entry's column? */
static bool is_captured(const struct sg_scope *scope, const struct sg_entry *entry, const char *physical) {
    struct sg_entry *found;
    if (scope->labels && sg_output_has(scope->labels, physical))
        return true;
    return sg_lookup_column(scope, physical, &found) != SG_LOOKUP_MAPPED || found != entry;
}

/* What must stand before the new name: nothing, or the entry's name. NULL: refused. */
static const char *qualifier_for(struct sg_context *cx, const struct sg_entry *entry, const struct sg_node *node,
                                 const char *physical, const struct sg_scope *scope) {
    if (node->names.n > 1 || !is_captured(scope, entry, physical))
        return "";
    if (sg_lookup_entry(scope, NULL, entry->name) == entry)
        return sg_arena_printf(cx->arena, "%s.", sg_ident(cx, entry->name));
    sg_refuse(cx, node->at, entry->table, "Give the table an alias of its own.",
              "the name \"%s\" here: another table hides the one it belongs to", node->names.v[0]);
    return NULL;
}

void sg_drop_schema(struct sg_context *cx, struct sg_entry *entry, int at, size_t qualifiers) {
    if (qualifiers < 2 || !entry->table)
        return;
    entry->named_by_schema = true;
    size_t first = sg_token_at(&cx->tokens, (size_t)at), table = first + 2 * (qualifiers - 1);
    size_t from = cx->tokens.v[first].at;
    struct sg_change *change = sg_edit_replace(&cx->edits, from, cx->tokens.v[table].at - from, SG_SPAN_LIT(""));
    change->when = &entry->replaced;
}

/* names.v[part] of a reference at node->at means a column of entry: make it name the physical column. */
static void rename_reference(struct sg_context *cx, struct sg_entry *entry, struct sg_node *node, size_t part,
                             const struct sg_scope *scope) {
    const char *name = node->names.v[part];
    if (sg_is_system_column(name))
        entry->uses_system = true;
    const struct sg_table_mapping *m = sg_table_mapping(entry->table, name);
    if (!m)
        return;
    sg_note_use(cx, m, name);
    entry->uses_new |= strcmp(name, m->mapping->new_name) == 0;
    const char *physical = read_name(scope, m->mapping);
    if (strcmp(physical, name) == 0)
        return;
    const char *qualifier = qualifier_for(cx, entry, node, physical, scope);
    if (!qualifier)
        return;
    size_t token = sg_token_at(&cx->tokens, (size_t)node->at) + 2 * part;
    const char *text = sg_arena_printf(cx->arena, "%s%s", qualifier, sg_ident(cx, physical));
    struct sg_change *change =
        sg_edit_replace(&cx->edits, cx->tokens.v[token].at, cx->tokens.v[token].len, sg_span_of(text));
    change->unless = &entry->replaced;
    node->renamed = &entry->replaced;
}

/* Says whose column a name is that two entries have while the mapping stands. */
static void qualify(struct sg_context *cx, const struct sg_entry *entry, const struct sg_node *node) {
    if (entry->name)
        sg_edit_insert(&cx->edits, (size_t)node->at, "%s.", sg_ident(cx, entry->name))->sticks = true;
    else
        sg_fail(cx, node->at, SG_SQLSTATE_AMBIGUOUS_COLUMN, "column reference \"%s\" is ambiguous", node->names.v[0]);
}

static void resolve_bare(struct sg_context *cx, struct sg_node *node, const struct sg_scope *scope) {
    const char *name = node->names.v[0];
    struct sg_entry *entry;
    if (is_mapped_name(cx, name) || sg_is_system_column(name)) {
        enum sg_lookup found = sg_lookup_column(scope, name, &entry);
        if (found == SG_LOOKUP_MAPPED)
            rename_reference(cx, entry, node, 0, scope);
        else if (found == SG_LOOKUP_SHARED)
            qualify(cx, entry, node);
        else if (found == SG_LOOKUP_AMBIGUOUS)
            sg_fail(cx, node->at, SG_SQLSTATE_AMBIGUOUS_COLUMN, "column reference \"%s\" is ambiguous", name);
        else if (found == SG_LOOKUP_UNSURE && entry)
            sg_refuse(cx, node->at, entry->table, "Write the table's name or alias before the column's.",
                      "the unqualified name \"%s\": another FROM item may have a column of this name", name);
        if (found != SG_LOOKUP_NONE)
            return;
    }
    for (size_t i = 0; sg_is_system_column(name) && i < scope->n; i++)
        scope->entries[i]->uses_system = true;
    entry = sg_lookup_entry(scope, NULL, name);
    struct sg_entry *column_entry;
    if (entry && entry->table && sg_lookup_column(scope, name, &column_entry) == SG_LOOKUP_NONE)
        sg_whole_row(cx, entry, node);
}

static void resolve_column(struct sg_context *cx, struct sg_node *node, const struct sg_scope *scope) {
    size_t n = node->names.n;
    if (node->star) {
        struct sg_entry *entry =
            n ? sg_lookup_entry(scope, n > 1 ? node->names.v[n - 2] : NULL, node->names.v[n - 1]) : NULL;
        if (entry)
            sg_whole_row(cx, entry, node);
        return;
    }
    if (n == 1) {
        resolve_bare(cx, node, scope);
        return;
    }
    struct sg_entry *entry = sg_lookup_entry(scope, n > 2 ? node->names.v[n - 3] : NULL, node->names.v[n - 2]);
    if (!entry || !entry->table)
        return;
    sg_drop_schema(cx, entry, node->at, n - 1);
    rename_reference(cx, entry, node, n - 1, scope);
}

/* What begins at byte `at` is named by its column: the name the client wrote stays as a label. */
void sg_keep_label(struct sg_context *cx, int at, const char *label, const struct sg_node *source) {
    size_t end = sg_expr_end(&cx->tokens, sg_token_at(&cx->tokens, (size_t)at));
    struct sg_change *change =
        sg_edit_insert(&cx->edits, sg_end_before(&cx->tokens, end), " AS %s", sg_ident(cx, label));
    change->unless = source->renamed;
}

/* NULL::users is a row of the physical columns, whatever names the client knows. */
static void refuse_row_type(struct sg_context *cx, const struct sg_node *cast) {
    for (size_t i = 0; i < cx->snapshot->tables_len; i++)
        if (strcmp(cx->snapshot->tables[i].relation->name, cast->name) == 0)
            sg_refuse(cx, cast->at, &cx->snapshot->tables[i], "Name the columns instead of using the table's row type.",
                      "a cast to the row type of \"%s\"", cast->name);
}

void sg_resolve_expr(struct sg_context *cx, struct sg_node *node, const struct sg_scope *scope) {
    if (!node || cx->refused)
        return;
    if (node->kind == SG_NODE_COLUMN) {
        resolve_column(cx, node, scope);
        return;
    }
    if (node->kind == SG_NODE_ROW) {
        sg_resolve_row(cx, node, scope);
        return;
    }
    if (node->kind == SG_NODE_FIELD && sg_resolve_row_field(cx, node, scope))
        return;
    if (node->kind == SG_NODE_CALL)
        sg_keep_row_arguments(cx, node);
    if (node->kind == SG_NODE_CAST)
        refuse_row_type(cx, node);
    sg_resolve_nodes(cx, &node->kids, scope);
    if (node->kind == SG_NODE_XML_ITEM) {
        const struct sg_node *item = node->kids.n ? node->kids.v[0] : NULL;
        if (item && item->kind == SG_NODE_COLUMN && item->renamed)
            sg_keep_label(cx, item->at, item->names.v[item->names.n - 1], item);
    }
    if (node->kind == SG_NODE_SUBLINK) {
        static const int flags[] = {
            [SG_SUBLINK_EXISTS] = SG_IGNORED,
            [SG_SUBLINK_EXPR] = SG_LABELS | SG_COUNTED,
            [SG_SUBLINK_ARRAY] = SG_COUNTED,
            [SG_SUBLINK_ANY_ALL] = SG_COUNTED,
        };
        sg_resolve_query(cx, node->query, scope, scope->ctes, flags[node->sublink]);
    }
}

void sg_resolve_nodes(struct sg_context *cx, const struct sg_nodes *nodes, const struct sg_scope *scope) {
    for (size_t i = 0; i < nodes->n; i++)
        sg_resolve_expr(cx, nodes->v[i], scope);
}

/* ---- Select lists ---- */

static bool is_star(const struct sg_target *target) {
    return target->expr->kind == SG_NODE_COLUMN && target->expr->star;
}

struct sg_output sg_resolve_targets(struct sg_context *cx, const struct sg_targets *targets, struct sg_scope *scope,
                                    int flags) {
    struct sg_output output = {0};
    for (size_t i = 0; i < targets->n; i++)
        if (!is_star(&targets->v[i]))
            sg_resolve_expr(cx, targets->v[i].expr, scope);
    for (size_t i = 0; i < targets->n; i++) {
        const struct sg_target *target = &targets->v[i];
        if (is_star(target)) {
            sg_star_target(cx, scope, target, flags & SG_COUNTED, flags & SG_IGNORED, &output);
            continue;
        }
        if (sg_node_expands(target->expr)) {
            sg_expand_row(scope, target->expr, flags & SG_COUNTED);
            output.unknown = true;
            continue;
        }
        const struct sg_node *source = NULL;
        const char *label = target->name ? target->name : sg_figure_label(target->expr, &source);
        if (!target->name && source && source->renamed && (flags & SG_LABELS))
            sg_keep_label(cx, target->at, label, source);
        sg_output_add(cx, &output, label, false);
    }
    return output;
}

struct sg_output sg_resolve_returning(struct sg_context *cx, const struct sg_query *query, struct sg_scope *scope,
                                      const struct sg_entry *target, int flags) {
    static const char *const rows[] = {"old", "new"};
    struct sg_scope level = *scope;
    level.outer = NULL;
    for (size_t i = 0; query->targets.n && i < sizeof rows / sizeof *rows; i++)
        if (!sg_lookup_entry(&level, NULL, rows[i]))
            sg_scope_add_row(cx, scope, target, rows[i]);
    return sg_resolve_targets(cx, &query->targets, scope, flags);
}

/* ---- SELECT ---- */

/* The labels alone, before anything is changed: what ORDER BY may name. */
static struct sg_output labels_of(struct sg_context *cx, const struct sg_query *q, const struct sg_scope *scope,
                                  bool counted) {
    struct sg_output output = {0};
    for (size_t i = 0; i < q->targets.n; i++) {
        const struct sg_node *source;
        const struct sg_target *target = &q->targets.v[i];
        if (is_star(target))
            sg_star_target_output(cx, scope, target, counted, &output);
        else if (sg_node_expands(target->expr))
            output.unknown = true;
        else
            sg_output_add(cx, &output, target->name ? target->name : sg_figure_label(target->expr, &source), false);
    }
    return output;
}

static bool is_bare(const struct sg_node *node) {
    return node->kind == SG_NODE_COLUMN && node->names.n == 1 && !node->star;
}

/* What an item of ORDER BY sorts by, without ASC and the like. */
static const struct sg_node *sorted_by(const struct sg_node *node) {
    return node->kind == SG_NODE_EXPR && node->kids.n == 1 ? node->kids.v[0] : node;
}

/* Does an item name an output column by its label? NULL labels: any bare name may. */
static bool names_label(const struct sg_nodes *nodes, const struct sg_output *labels) {
    for (size_t i = 0; i < nodes->n; i++) {
        const struct sg_node *node = sorted_by(nodes->v[i]);
        if (is_bare(node) && (!labels || sg_output_has(labels, node->names.v[0])))
            return true;
    }
    return false;
}

/* ORDER BY and DISTINCT ON: a bare name is an output label before it is an input column. */
static void resolve_by_label(struct sg_context *cx, const struct sg_nodes *nodes, const struct sg_scope *scope,
                             const struct sg_output *labels) {
    struct sg_scope labelled = *scope;
    labelled.labels = labels;
    for (size_t i = 0; i < nodes->n; i++) {
        struct sg_node *node = nodes->v[i];
        const struct sg_node *inner = sorted_by(node);
        bool bare = is_bare(inner);
        if (!bare || !sg_output_has(labels, inner->names.v[0]))
            sg_resolve_expr(cx, node, bare ? &labelled : scope);
    }
}

/* GROUP BY: a bare name is an input column of this level first, then an output label. True: one is such a label. */
static bool resolve_group(struct sg_context *cx, const struct sg_nodes *nodes, const struct sg_scope *scope,
                          const struct sg_output *labels) {
    struct sg_scope level = *scope;
    level.outer = NULL;
    bool has_label = false;
    for (size_t i = 0; i < nodes->n; i++) {
        struct sg_node *node = nodes->v[i];
        struct sg_entry *entry;
        const char *label = is_bare(node) && sg_output_has(labels, node->names.v[0]) ? node->names.v[0] : NULL;
        bool may_matter = label && (is_mapped_name(cx, label) || sg_lookup_entry(&level, NULL, label));
        bool is_label = label && (!may_matter || sg_lookup_column(&level, label, &entry) == SG_LOOKUP_NONE);
        has_label |= is_label;
        if (!is_label)
            sg_resolve_expr(cx, node, scope);
    }
    return has_label;
}

static struct sg_output resolve_values(struct sg_context *cx, struct sg_query *q, const struct sg_scope *scope) {
    struct sg_output output = {0};
    for (size_t i = 0; i < q->rows_len; i++)
        sg_resolve_nodes(cx, &q->rows[i], scope);
    for (size_t i = 0; q->rows_len && i < q->rows[0].n; i++)
        output.unknown |= sg_node_expands(q->rows[0].v[i]);
    for (size_t i = 0; q->rows_len && i < q->rows[0].n; i++)
        sg_output_add(cx, &output, sg_arena_printf(cx->arena, "column%zu", i + 1), false);
    return output;
}

static struct sg_output resolve_set_operation(struct sg_context *cx, struct sg_query *q, const struct sg_scope *scope,
                                              int flags) {
    flags = (flags & ~SG_IGNORED) | SG_COUNTED | (names_label(&q->order, NULL) ? SG_LABELS : 0);
    struct sg_output output = sg_resolve_query(cx, q->left, scope->outer, scope->ctes, flags);
    sg_resolve_query(cx, q->right, scope->outer, scope->ctes, flags & ~SG_LABELS);
    resolve_by_label(cx, &q->order, scope, &output);
    sg_resolve_nodes(cx, &q->tail, scope);
    return output;
}

/* Another table of the same name may hide the mapped one from now on: who can ask, will. */
void sg_check_new_table(struct sg_context *cx, const struct sg_from *into) {
    for (size_t i = 0; i < cx->snapshot->tables_len; i++) {
        const struct sg_table *table = &cx->snapshot->tables[i];
        bool hides = !into->schema || strcmp(into->schema, "pg_temp") == 0;
        if (strcmp(table->relation->name, into->name) != 0)
            continue;
        cx->hides_names = true;
        if (hides && !cx->request->can_ask)
            sg_refuse(cx, into->at, table, "Give the new table another name.",
                      "the making of another table called \"%s\"", into->name);
    }
}

/* A table that becomes a sub-select has no primary key any more, on which GROUP BY could let a whole row depend. */
static void note_grouped_rows(const struct sg_query *q, const struct sg_scope *scope) {
    for (size_t i = 0; i < scope->n; i++) {
        struct sg_entry *entry = scope->entries[i];
        bool is_grouped = false;
        for (size_t k = 0; entry->name && k < q->group.n; k++)
            is_grouped |= is_bare(q->group.v[k]) && strcmp(q->group.v[k]->names.v[0], entry->name) == 0;
        entry->needs_key |= entry->replaced && q->group.n && entry->is_whole_row && !is_grouped;
    }
}

static struct sg_output resolve_select(struct sg_context *cx, struct sg_query *q, const struct sg_scope *outer,
                                       const struct sg_cte_name *ctes, int flags) {
    struct sg_scope scope = {.outer = outer, .ctes = sg_resolve_with(cx, &q->with, outer, ctes)};
    if (q->into) {
        flags |= SG_COUNTED | SG_LABELS;
        sg_check_new_table(cx, q->into);
    }
    if (q->left)
        return resolve_set_operation(cx, q, &scope, flags);
    if (q->rows) {
        struct sg_output output = resolve_values(cx, q, &scope);
        resolve_by_label(cx, &q->order, &scope, &output);
        sg_resolve_nodes(cx, &q->tail, &scope);
        return output;
    }
    sg_resolve_from(cx, &q->from, &scope);
    sg_resolve_expr(cx, q->where, &scope);
    struct sg_output labels = labels_of(cx, q, &scope, flags & SG_COUNTED);
    bool group_names_label = resolve_group(cx, &q->group, &scope, &labels);
    if (group_names_label || names_label(&q->order, &labels) || names_label(&q->distinct, &labels))
        flags |= SG_LABELS; /* nobody else may see them, but this does */
    sg_resolve_expr(cx, q->having, &scope);
    sg_resolve_nodes(cx, &q->windows, &scope);
    resolve_by_label(cx, &q->distinct, &scope, &labels);
    resolve_by_label(cx, &q->order, &scope, &labels);
    sg_resolve_nodes(cx, &q->tail, &scope);
    struct sg_output output = sg_resolve_targets(cx, &q->targets, &scope, flags);
    note_grouped_rows(q, &scope);
    sg_replace_entries(cx, &scope);
    return output;
}

static void rename_output(struct sg_output *output, const struct sg_names *names) {
    for (size_t i = 0; i < names->n && i < output->n; i++)
        output->v[i].name = names->v[i];
}

/* What a recursive CTE outputs, before it has been walked: its column list, or the labels of its first arm. */
static struct sg_output recursive_output(struct sg_context *cx, const struct sg_cte *cte) {
    struct sg_output output = {0};
    const struct sg_query *first = cte->query;
    while (first->left)
        first = first->left;
    for (size_t i = 0; i < first->targets.n; i++) {
        const struct sg_node *source;
        const struct sg_target *target = &first->targets.v[i];
        output.unknown |= sg_node_expands(target->expr);
        if (!sg_node_expands(target->expr))
            sg_output_add(cx, &output, target->name ? target->name : sg_figure_label(target->expr, &source), false);
    }
    if (cte->columns.n) {
        output = (struct sg_output){0};
        for (size_t i = 0; i < cte->columns.n; i++)
            sg_output_add(cx, &output, cte->columns.v[i], false);
    }
    return output;
}

const struct sg_cte_name *sg_resolve_with(struct sg_context *cx, const struct sg_with *with,
                                          const struct sg_scope *outer, const struct sg_cte_name *ctes) {
    for (size_t i = 0; i < with->n && !cx->refused; i++) {
        const struct sg_cte *cte = &with->v[i];
        struct sg_cte_name *name = sg_arena_new(cx->arena, struct sg_cte_name);
        *name = (struct sg_cte_name){.outer = ctes, .name = cte->name};
        if (with->recursive)
            name->output = recursive_output(cx, cte);
        int flags = SG_LABELS | (cte->columns.n ? SG_COUNTED : 0);
        struct sg_output output = sg_resolve_query(cx, cte->query, outer, with->recursive ? name : ctes, flags);
        rename_output(&output, &cte->columns);
        if (!with->recursive || !output.unknown)
            name->output = output;
        name->output.unknown |= cte->search_or_cycle;
        ctes = name;
    }
    return ctes;
}

struct sg_output sg_resolve_query(struct sg_context *cx, struct sg_query *query, const struct sg_scope *outer,
                                  const struct sg_cte_name *ctes, int flags) {
    if (cx->refused)
        return (struct sg_output){0};
    switch (query->kind) {
    case SG_QUERY_SELECT:
        return resolve_select(cx, query, outer, ctes, flags);
    case SG_QUERY_INSERT:
        return sg_resolve_insert(cx, query, outer, ctes, flags);
    case SG_QUERY_UPDATE:
        return sg_resolve_update(cx, query, outer, ctes, flags);
    case SG_QUERY_DELETE:
        return sg_resolve_delete(cx, query, outer, ctes, flags);
    case SG_QUERY_MERGE:
        return sg_resolve_merge(cx, query, outer, ctes, flags);
    }
    return (struct sg_output){0};
}
