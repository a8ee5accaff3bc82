/* INSERT, and what ON CONFLICT adds to it. */
#include "assign.h"
#include "column_list.h"
#include "resolve.h"
#include "wrap.h"

struct insert {
    struct sg_query *query;
    struct sg_entry *entry;
    size_t after_table; /* token after the table's name and alias */
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

static void rewrite_columns(struct sg_context *cx, struct insert *in, const struct sg_output *output) {
    struct sg_column_list list = {in->entry->table, &in->query->set, in->after_table, NULL, 0};
    sg_question_want(output->question);
    size_t values = output->unknown ? SG_VALUES_UNKNOWN : output->n;
    if (!sg_column_list_read(cx, &list, values))
        return;
    find_source(cx, in);
    struct sg_column_plan plan = sg_plan_columns(cx, list.table, list.written, list.n);
    sg_column_list_edit(cx, &list, &plan);
    sg_extend_source(cx, list.table, &in->source, list.written, list.n, &plan);
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
        const char *physical = both && arbiter->reads_old ? m->mapping->old_name : sg_mapping_read_name(m->mapping);
        if (strcmp(physical, name) != 0)
            sg_edit_replace(&cx->edits, cx->tokens.v[i].at, cx->tokens.v[i].len, sg_span_of(sg_ident(cx, physical)));
    }
}

static void resolve_conflict(struct sg_context *cx, struct insert *in, const struct sg_scope *scope) {
    struct sg_conflict *conflict = &in->query->conflict;
    struct sg_scope arbiter = *scope;
    arbiter.reads_old = true;
    if (in->entry->table)
        rewrite_conflict_names(cx, in, &arbiter);
    sg_resolve_nodes(cx, &conflict->exprs, &arbiter);
    if (!conflict->update)
        return;
    struct sg_scope update = *scope;
    update.entries = NULL;
    update.n = update.cap = 0;
    sg_scope_add(cx, &update, in->entry);
    sg_scope_add_row(cx, &update, in->entry, "excluded");
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
    return sg_resolve_returning(cx, query, &scope, in.entry, flags);
}
