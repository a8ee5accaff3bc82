/* INSERT, and what ON CONFLICT adds to it. */
#include "assign.h"
#include "columns.h"
#include "resolve.h"
#include "wrap.h"

struct insert {
    struct sg_query *query;
    struct sg_entry *entry;
    size_t after_table; /* token after the table's name and alias */
    const char **written;
    size_t n;
    struct sg_source source;
};

static size_t token_after_table(const struct sg_context *cx, const struct sg_from *target) {
    size_t i = sg_token_at(&cx->tokens, (size_t)target->at) + 1;
    while (sg_token_is_punct(&cx->tokens, i, '.'))
        i += 2;
    if (target->alias)
        i += sg_token_is_word(&cx->tokens, i, SG_WORD_AS) ? 2 : 1;
    return i;
}

/* The rows end at ON CONFLICT, RETURNING, a semicolon, or the parenthesis around the whole INSERT. */
static size_t source_end(const struct sg_context *cx, const struct sg_query *q, size_t first) {
    uint32_t depth = cx->tokens.v[first].depth;
    size_t conflict = 0, i = first;
    for (; i < cx->tokens.n; i++) {
        const struct sg_token *t = &cx->tokens.v[i];
        if (t->depth < depth || (t->depth == depth && (t->punct == ';' || (t->punct == ')' && t->match < first))))
            break;
        if (t->depth != depth)
            continue;
        if (t->word == SG_WORD_RETURNING && q->targets.n)
            break;
        if (t->word == SG_WORD_ON && sg_token_is_word(&cx->tokens, i + 1, SG_WORD_CONFLICT))
            conflict = i;
    }
    return q->conflict.present && conflict ? conflict : i;
}

static void find_source(const struct sg_context *cx, struct insert *in) {
    size_t i = in->after_table;
    if (in->query->set.n)
        i = cx->tokens.v[i].match + 1;
    if (in->query->overriding)
        i += 3;
    in->source = (struct sg_source){in->query->source, i, source_end(cx, in->query, i)};
}

/* Without a column list, values are for the columns as they stood when the mapping was made. */
static bool implied_columns(struct sg_context *cx, struct insert *in, const struct sg_output *output) {
    const struct sg_table *table = in->entry->table;
    const struct sg_query *source = in->query->source;
    size_t n = source->rows ? source->rows[0].n : output->n;
    if (!source->rows && output->unknown) {
        sg_refuse(cx, in->query->target->at, table, "Write the INSERT's column list.",
                  "an INSERT without a column list from a query whose number of columns is not known");
        return false;
    }
    if (n == 0) { /* INSERT INTO users SELECT: legal, and there is no list to write for it */
        sg_refuse(cx, in->query->target->at, table, "Write DEFAULT VALUES.", "an INSERT of no columns at all");
        return false;
    }
    if (n > table->shape_len) {
        sg_fail(cx, -1, SG_SQLSTATE_SYNTAX_ERROR, "INSERT has more expressions than target columns");
        return false;
    }
    in->n = n;
    in->written = sg_arena_array(cx->arena, const char *, n);
    for (size_t i = 0; i < n; i++)
        in->written[i] = table->shape[i].name;
    return true;
}

static bool given_columns(struct sg_context *cx, struct insert *in) {
    const struct sg_targets *set = &in->query->set;
    in->n = set->n;
    in->written = sg_arena_array(cx->arena, const char *, set->n);
    for (size_t i = 0; i < set->n; i++) {
        in->written[i] = set->v[i].name;
        if (set->v[i].indirect && sg_table_mapping(in->entry->table, set->v[i].name)) {
            sg_refuse(cx, set->v[i].at, in->entry->table, "Insert the whole value.",
                      "an INSERT into an element or field of \"%s\"", set->v[i].name);
            return false;
        }
    }
    return true;
}

static void replace_name(struct sg_context *cx, int at, const char *physical) {
    size_t token = sg_token_at(&cx->tokens, (size_t)at);
    sg_edit_replace(&cx->edits, cx->tokens.v[token].at, cx->tokens.v[token].len, sg_span_of(sg_ident(cx, physical)));
}

/* Removes name i of the column list and one comma beside it. */
static void drop_name(struct sg_context *cx, const struct sg_targets *set, size_t i) {
    size_t token = sg_token_at(&cx->tokens, (size_t)set->v[i].at);
    bool last = i + 1 == set->n;
    size_t from = last ? sg_end_before(&cx->tokens, token - 1) : cx->tokens.v[token].at;
    size_t to = last ? sg_token_end(&cx->tokens, token) : (size_t)set->v[i + 1].at;
    sg_edit_replace(&cx->edits, from, to - from, SG_SPAN_LIT(""));
}

static void edit_list(struct sg_context *cx, const struct insert *in, const struct sg_column_plan *plan) {
    const struct sg_targets *set = &in->query->set;
    for (size_t i = 0; i < set->n; i++)
        if (plan->physical[i])
            replace_name(cx, set->v[i].at, plan->physical[i]);
    size_t close = cx->tokens.v[in->after_table].match;
    for (size_t i = 0; i < plan->copies_len; i++)
        sg_edit_insert(&cx->edits, sg_end_before(&cx->tokens, close), ", %s", sg_ident(cx, plan->copies[i].name));
    for (size_t i = 0; i < plan->drops_len; i++)
        drop_name(cx, set, plan->drops[i].dropped);
}

static void write_list(struct sg_context *cx, const struct insert *in, const struct sg_column_plan *plan) {
    const char *list = "";
    for (size_t i = 0; i < in->n; i++)
        list = sg_arena_printf(cx->arena, "%s%s%s", list, i ? ", " : "",
                               sg_ident(cx, plan->physical[i] ? plan->physical[i] : in->written[i]));
    for (size_t i = 0; i < plan->copies_len; i++)
        list = sg_arena_printf(cx->arena, "%s, %s", list, sg_ident(cx, plan->copies[i].name));
    sg_edit_insert(&cx->edits, sg_end_before(&cx->tokens, in->after_table), " (%s)", list);
}

static bool all_planned(const struct sg_table *table) {
    for (size_t i = 0; i < table->mappings_len; i++)
        if (table->mappings[i].mapping->phase != SG_PHASE_PLANNED)
            return false;
    return true;
}

/* Values that stop before the first mapped column are for columns whose places never change. */
static bool changes_anything(const struct sg_column_plan *plan, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (plan->physical[i])
            return true;
    return plan->copies_len || plan->drops_len;
}

static void rewrite_columns(struct sg_context *cx, struct insert *in, const struct sg_output *output) {
    const struct sg_table *table = in->entry->table;
    if (in->query->set.n == 0) {
        sg_note_star(cx, table);
        if (all_planned(table))
            return; /* the table still is as it was */
        if (!implied_columns(cx, in, output))
            return;
    } else if (!given_columns(cx, in)) {
        return;
    }
    find_source(cx, in);
    struct sg_column_plan plan = sg_plan_columns(cx, table, in->written, in->n);
    if (in->query->set.n)
        edit_list(cx, in, &plan);
    else if (changes_anything(&plan, in->n))
        write_list(cx, in, &plan);
    sg_extend_source(cx, table, &in->source, in->written, in->n, &plan);
}

/* The names in ON CONFLICT (...). The parser keeps no place for them: they are the first tokens of the list's items. */
static void rewrite_conflict_names(struct sg_context *cx, const struct insert *in, const struct sg_scope *arbiter) {
    const struct sg_conflict *conflict = &in->query->conflict;
    if (!conflict->columns.n)
        return;
    size_t i = in->source.end + 3; /* ON CONFLICT ( */
    for (size_t k = 0; k < conflict->columns.n; k++, i = sg_expr_end(&cx->tokens, i) + 1) {
        const char *name = conflict->columns.v[k];
        const struct sg_table_mapping *m = name ? sg_table_mapping(in->entry->table, name) : NULL;
        if (!m)
            continue;
        sg_note_use(cx, m, name);
        bool both = sg_phase_writes_both(m->mapping->phase);
        const char *physical = both && arbiter->arbiter ? m->mapping->old_name : sg_mapping_read_name(m->mapping);
        if (strcmp(physical, name) != 0)
            sg_edit_replace(&cx->edits, cx->tokens.v[i].at, cx->tokens.v[i].len, sg_span_of(sg_ident(cx, physical)));
    }
}

static void resolve_conflict(struct sg_context *cx, struct insert *in, const struct sg_scope *scope) {
    struct sg_conflict *conflict = &in->query->conflict;
    struct sg_scope arbiter = *scope;
    arbiter.arbiter = true;
    if (in->entry->table)
        rewrite_conflict_names(cx, in, &arbiter);
    sg_resolve_nodes(cx, &conflict->exprs, &arbiter);
    if (!conflict->update)
        return;
    struct sg_scope update = *scope;
    update.entries = NULL;
    update.n = update.cap = 0;
    sg_scope_add(cx, &update, in->entry);
    struct sg_entry *excluded = sg_arena_new(cx->arena, struct sg_entry);
    *excluded = *in->entry;
    excluded->name = "excluded";
    excluded->schema = NULL;
    excluded->qualified_only = true;
    sg_scope_add(cx, &update, excluded);
    sg_resolve_assignments(cx, in->entry, &conflict->set, &update);
    sg_resolve_expr(cx, conflict->where, &update);
}

struct sg_output sg_resolve_insert(struct sg_context *cx, struct sg_query *query, const struct sg_scope *outer,
                                   const struct sg_cte_name *ctes, int flags) {
    struct sg_scope scope = {.outer = outer, .ctes = sg_resolve_with(cx, &query->with, outer, ctes)};
    struct insert in = {.query = query, .entry = sg_target_entry(cx, query->target)};
    in.after_table = token_after_table(cx, query->target);
    struct sg_output source = {0};
    if (query->source)
        source = sg_resolve_query(cx, query->source, outer, scope.ctes, SG_COUNTED);
    if (in.entry->table && query->source && !cx->refused)
        rewrite_columns(cx, &in, &source);
    if (!in.source.query && query->source)
        find_source(cx, &in);
    if (!query->source) /* DEFAULT VALUES */
        in.source.end = source_end(cx, query, in.after_table + 1);
    sg_scope_add(cx, &scope, in.entry);
    if (query->conflict.present && !cx->refused)
        resolve_conflict(cx, &in, &scope);
    return sg_resolve_targets(cx, &query->targets, &scope, flags);
}
