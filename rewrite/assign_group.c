/*
 * (a, b) = (x, y), = ROW(x, y) and = (SELECT ...): the assignments of a group share one source, so the group is
 * extended as a whole.
 */
#include "assign.h"
#include "once.h"
#include "wrap.h"

/* The assignments [first, first + n) that share one source. */
struct group {
    const struct sg_targets *set;
    size_t first, n;
    const struct sg_node *source;
    size_t open;  /* token: the parenthesis before the first name */
    size_t value; /* token: first of the source */
};

static struct group group_of(const struct sg_context *cx, const struct sg_targets *set, size_t index) {
    struct group g = {.set = set, .first = index + 1 - (size_t)set->v[index].expr->number};
    g.source = set->v[index].expr->kids.v[0];
    while (g.first + g.n < set->n && set->v[g.first + g.n].expr->kind == SG_NODE_MULTI &&
           set->v[g.first + g.n].expr->kids.v[0] == g.source)
        g.n++;
    g.open = sg_assigned_name(cx, &set->v[g.first]) - 1;
    g.value = cx->tokens.v[g.open].match + 2; /* ) = */
    return g;
}

/* `(a, b) = (x, y)`: the parenthesis that opens the row. */
static size_t row_open(const struct sg_context *cx, const struct group *g) {
    return sg_token_is_word(&cx->tokens, g->value, SG_WORD_ROW) ? g->value + 1 : g->value;
}

static void repeat_row_item(struct sg_context *cx, const struct group *g, size_t index) {
    size_t open = row_open(cx, g), i = open + 1;
    for (size_t k = 0; k < index; k++)
        i = sg_expr_end(&cx->tokens, i) + 1;
    size_t to = sg_end_before(&cx->tokens, sg_expr_end(&cx->tokens, i));
    sg_edit_copy(&cx->edits, sg_end_before(&cx->tokens, cx->tokens.v[open].match), ", ", cx->tokens.v[i].at, to, "");
}

/* The copies of the plan that are of this group, counted from its first column. */
static struct sg_column_plan copies_of(struct sg_context *cx, const struct group *g,
                                       const struct sg_column_plan *plan) {
    struct sg_column_plan own = {.copies = sg_arena_array(cx->arena, struct sg_column_copy, plan->copies_len)};
    for (size_t i = 0; i < plan->copies_len; i++)
        if (plan->copies[i].from >= g->first && plan->copies[i].from < g->first + g->n)
            own.copies[own.copies_len++] =
                (struct sg_column_copy){plan->copies[i].from - g->first, plan->copies[i].name};
    return own;
}

/* Item k of the row, from token i to before token end, gets the name vk and, being untyped, its column's type. */
static bool name_item(struct sg_context *cx, const struct sg_entry *entry, const struct group *g, size_t k,
                      size_t end) {
    const struct sg_node *item = g->source->kids.v[k];
    if (item->kind == SG_NODE_DEFAULT) {
        sg_refuse(cx, item->at, entry->table, "Assign DEFAULT on its own: column = DEFAULT.",
                  "DEFAULT in a row beside a value that must be computed once");
        return false;
    }
    if (item->kind == SG_NODE_TEXT || item->kind == SG_NODE_PARAM)
        sg_edit_insert(&cx->edits, sg_constant_end(cx, item->at), "::%s",
                       sg_column_type(cx, entry->table, g->set->v[g->first + k].name));
    sg_edit_insert(&cx->edits, sg_end_before(&cx->tokens, end), " AS v%zu", k + 1);
    return true;
}

/* A row with a value that must be computed once becomes a sub-select that names every item. */
static void row_once(struct sg_context *cx, const struct sg_entry *entry, const struct group *g,
                     const struct sg_column_plan *own) {
    size_t open = row_open(cx, g), i = open + 1;
    const char *outer = "";
    cx->row_selects++;
    for (size_t k = 0; k < g->n; k++) {
        size_t end = sg_expr_end(&cx->tokens, i);
        if (!name_item(cx, entry, g, k, end))
            return;
        outer = sg_arena_printf(cx->arena, "%s%ssegue.v%zu", outer, k ? ", " : "", k + 1);
        i = end + 1;
    }
    for (size_t k = 0; k < own->copies_len; k++)
        outer = sg_arena_printf(cx->arena, "%s, segue.v%zu", outer, own->copies[k].from + 1);
    size_t from = cx->tokens.v[g->value].at, close = cx->tokens.v[open].match;
    sg_edit_replace(&cx->edits, from, sg_token_end(&cx->tokens, open) - from,
                    sg_span_of(sg_arena_printf(cx->arena, "(SELECT %s FROM (SELECT ", outer)));
    sg_edit_replace(&cx->edits, cx->tokens.v[close].at, 1,
                    sg_span_of(sg_arena_printf(cx->arena, " WHERE %s.ctid IS NOT NULL OFFSET 0) AS segue)",
                                               sg_ident(cx, entry->name))));
}

static void extend_row(struct sg_context *cx, const struct sg_entry *entry, const struct group *g,
                       const struct sg_column_plan *own) {
    bool once = false;
    for (size_t i = 0; i < own->copies_len; i++)
        once |= sg_must_evaluate_once(g->source->kids.v[own->copies[i].from]);
    if (once)
        row_once(cx, entry, g, own);
    for (size_t i = 0; !once && i < own->copies_len; i++)
        repeat_row_item(cx, g, own->copies[i].from);
}

void sg_extend_group(struct sg_context *cx, const struct sg_entry *entry, const struct sg_targets *set,
                     const struct sg_column_plan *plan, size_t index) {
    struct group g = group_of(cx, set, index);
    struct sg_column_plan own = copies_of(cx, &g, plan);
    if (own.copies[0].from + g.first != index)
        return;
    for (size_t i = 0; g.source->kind == SG_NODE_ROW && i < g.source->kids.n; i++)
        if (sg_node_expands(g.source->kids.v[i]))
            sg_refuse(cx, g.source->kids.v[i]->at, entry->table, "Write the row's fields one by one.",
                      "a row that is expanded in an assignment");
    if (g.source->kind == SG_NODE_ROW && g.source->kids.n != g.n) {
        sg_fail(cx, -1, SG_SQLSTATE_SYNTAX_ERROR, "number of columns does not match number of values");
        return;
    }
    if (g.source->kind != SG_NODE_ROW && g.source->kind != SG_NODE_SUBLINK) {
        sg_refuse(cx, g.source->at, entry->table, "Assign the columns one by one.",
                  "a multiple assignment from an expression that is neither a row nor a sub-query");
        return;
    }
    size_t names_end = sg_end_before(&cx->tokens, cx->tokens.v[g.open].match);
    for (size_t i = 0; i < own.copies_len; i++)
        sg_edit_insert(&cx->edits, names_end, ", %s", sg_ident(cx, own.copies[i].name));
    if (g.source->kind == SG_NODE_ROW) {
        extend_row(cx, entry, &g, &own);
        return;
    }
    struct sg_source source = {g.source->query, g.value + 1, cx->tokens.v[g.value].match};
    sg_extend_source(cx, entry->table, &source, sg_arena_array(cx->arena, const char *, g.n), g.n, &own);
}
