#include "assign.h"

#include "columns.h"
#include "once.h"
#include "wrap.h"

static size_t name_token(const struct sg_context *cx, const struct sg_target *target) {
    return sg_token_at(&cx->tokens, (size_t)target->at);
}

/* `name = value` ends here (byte). */
static size_t assignment_end(const struct sg_context *cx, const struct sg_target *target) {
    return sg_end_before(&cx->tokens, sg_expr_end(&cx->tokens, name_token(cx, target)));
}

/* The token after `name[...] =`. */
static size_t value_token(const struct sg_context *cx, const struct sg_target *target) {
    size_t i = name_token(cx, target) + 1;
    while (i < cx->tokens.n) {
        const struct sg_token *t = &cx->tokens.v[i];
        if (t->punct == '[')
            i = t->match;
        else if (t->kind == SG_TOKEN_OPERATOR)
            return i + 1;
        i++;
    }
    return i;
}

/* `nickname = v` -> `nickname = v, username = v` */
static void repeat_assignment(struct sg_context *cx, const struct sg_target *target, const char *other) {
    size_t end = assignment_end(cx, target);
    sg_edit_copy(&cx->edits, end, sg_arena_printf(cx->arena, ", %s", sg_ident(cx, other)),
                 sg_token_end(&cx->tokens, name_token(cx, target)), end, "");
}

/*
 * `nickname = random()` -> `(nickname, username) = (SELECT segue.v, segue.v FROM (SELECT random() AS v WHERE users.ctid
 * IS NOT NULL OFFSET 0) AS segue)`. The reference to the row makes PostgreSQL evaluate it for each row; OFFSET 0 keeps
 * it from being merged and evaluated for each column.
 */
static void assign_once(struct sg_context *cx, const struct sg_entry *entry, const struct sg_target *target,
                        const char *name, const char *other) {
    if (target->indirect) {
        sg_refuse(cx, target->at, entry->table, "Assign the whole value.",
                  "an assignment to an element or field of \"%s\" whose value must be computed once", name);
        return;
    }
    size_t token = name_token(cx, target);
    sg_edit_replace(&cx->edits, cx->tokens.v[token].at, cx->tokens.v[token].len,
                    sg_span_of(sg_arena_printf(cx->arena, "(%s, %s)", sg_ident(cx, name), sg_ident(cx, other))));
    sg_edit_insert(&cx->edits, cx->tokens.v[value_token(cx, target)].at, "(SELECT segue.v, segue.v FROM (SELECT ");
    sg_edit_insert(&cx->edits, assignment_end(cx, target), " AS v WHERE %s.ctid IS NOT NULL OFFSET 0) AS segue)",
                   sg_ident(cx, entry->name));
}

/* ---- (a, b) = ... ---- */

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
    g.open = name_token(cx, &set->v[g.first]) - 1;
    g.value = cx->tokens.v[g.open].match + 2; /* ) = */
    return g;
}

static void append_name(struct sg_context *cx, const struct group *g, const char *other) {
    size_t close = cx->tokens.v[g->open].match;
    sg_edit_insert(&cx->edits, sg_end_before(&cx->tokens, close), ", %s", sg_ident(cx, other));
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

/* A row with a value that must be computed once becomes a sub-select that names every item. */
static void row_once(struct sg_context *cx, const struct sg_entry *entry, const struct group *g, size_t index) {
    const struct sg_nodes *items = &g->source->kids;
    size_t open = row_open(cx, g), i = open + 1;
    const char *outer = "";
    for (size_t k = 0; k < items->n; k++) {
        const struct sg_node *item = items->v[k];
        size_t end = sg_expr_end(&cx->tokens, i);
        if (item->kind == SG_NODE_DEFAULT) {
            sg_refuse(cx, item->at, entry->table, "Assign DEFAULT on its own: column = DEFAULT.",
                      "DEFAULT in a row beside a value that must be computed once");
            return;
        }
        if (item->kind == SG_NODE_TEXT || item->kind == SG_NODE_PARAM)
            sg_edit_insert(&cx->edits, sg_constant_end(cx, item->at), "::%s",
                           sg_column_type(cx, entry->table, g->set->v[g->first + k].name));
        sg_edit_insert(&cx->edits, sg_end_before(&cx->tokens, end), " AS v%zu", k + 1);
        outer = sg_arena_printf(cx->arena, "%s%ssegue.v%zu", outer, k ? ", " : "", k + 1);
        i = end + 1;
    }
    size_t from = cx->tokens.v[g->value].at, close = cx->tokens.v[open].match;
    sg_edit_replace(&cx->edits, from, sg_token_end(&cx->tokens, open) - from,
                    sg_span_of(sg_arena_printf(cx->arena, "(SELECT %s, segue.v%zu FROM (SELECT ", outer, index + 1)));
    sg_edit_replace(&cx->edits, cx->tokens.v[close].at, 1,
                    sg_span_of(sg_arena_printf(cx->arena, " WHERE %s.ctid IS NOT NULL OFFSET 0) AS segue)",
                                               sg_ident(cx, entry->name))));
}

static void extend_group(struct sg_context *cx, const struct sg_entry *entry, const struct group *g, size_t index,
                         const char *other) {
    if (g->source->kind == SG_NODE_ROW && g->source->kids.n != g->n) {
        sg_fail(cx, -1, SG_SQLSTATE_SYNTAX_ERROR, "number of columns does not match number of values");
        return;
    }
    append_name(cx, g, other);
    if (g->source->kind == SG_NODE_ROW) {
        if (sg_must_evaluate_once(g->source->kids.v[index]))
            row_once(cx, entry, g, index);
        else
            repeat_row_item(cx, g, index);
        return;
    }
    if (g->source->kind != SG_NODE_SUBLINK) {
        sg_refuse(cx, g->source->at, entry->table, "Assign the columns one by one.",
                  "a multiple assignment from an expression that is neither a row nor a sub-query");
        return;
    }
    struct sg_source source = {g->source->query, g->value + 1, cx->tokens.v[g->value].match};
    const char **written = sg_arena_array(cx->arena, const char *, g->n);
    struct sg_column_copy copy = {index, other};
    struct sg_column_plan plan = {.copies = &copy, .copies_len = 1};
    sg_extend_source(cx, entry->table, &source, written, g->n, &plan);
}

/* ---- All of them ---- */

/*
 * DEFAULT is the old column's. A volatile one stands on the old column alone, or it would be evaluated twice: then only
 * the old column is assigned, and the guard carries the value over.
 */
static bool default_is_volatile(const struct sg_entry *entry, const struct sg_mapping *m) {
    const struct sg_column *old = sg_shape_column(entry->table, m->old_name);
    const struct sg_column *new = sg_relation_column(entry->table->relation, m->new_name);
    return old && old->default_sql && new && !new->default_sql;
}

static bool assigns_default(const struct sg_targets *set, size_t index) {
    const struct sg_node *value = set->v[index].expr;
    if (value->kind == SG_NODE_MULTI && value->kids.v[0]->kind == SG_NODE_ROW &&
        (size_t)value->number <= value->kids.v[0]->kids.n)
        value = value->kids.v[0]->kids.v[(size_t)value->number - 1];
    return value->kind == SG_NODE_DEFAULT;
}

static void assign_volatile_default(struct sg_context *cx, const struct sg_entry *entry, const struct sg_target *target,
                                    const struct sg_mapping *m) {
    if (target->expr->kind == SG_NODE_MULTI) {
        sg_refuse(cx, target->at, entry->table, "Assign DEFAULT on its own: column = DEFAULT.",
                  "DEFAULT of \"%s\" in a multiple assignment", target->name);
    } else if (strcmp(target->name, m->old_name) != 0) {
        size_t token = name_token(cx, target);
        sg_edit_replace(&cx->edits, cx->tokens.v[token].at, cx->tokens.v[token].len,
                        sg_span_of(sg_ident(cx, m->old_name)));
    }
}

static void copy_assignment(struct sg_context *cx, const struct sg_entry *entry, const struct sg_targets *set,
                            const struct sg_column_copy *copy) {
    const struct sg_target *target = &set->v[copy->from];
    const struct sg_mapping *m = sg_table_mapping(entry->table, copy->name)->mapping;
    if (assigns_default(set, copy->from) && default_is_volatile(entry, m)) {
        assign_volatile_default(cx, entry, target, m);
    } else if (target->indirect && m->phase == SG_PHASE_DUAL_WRITE) {
        /* The other column may not be filled yet: changing one element of it would leave the rest behind. */
        sg_refuse(cx, target->at, entry->table, "Assign the whole value.",
                  "an assignment to an element or field of \"%s\"", target->name);
    } else if (target->expr->kind == SG_NODE_MULTI) {
        struct group g = group_of(cx, set, copy->from);
        extend_group(cx, entry, &g, copy->from - g.first, copy->name);
    } else if (sg_must_evaluate_once(target->expr)) {
        assign_once(cx, entry, target, target->name, copy->name);
    } else {
        repeat_assignment(cx, target, copy->name);
    }
}

/* Both names of one column are assigned where there is but one column: the phase's own wins. */
static void drop_assignment(struct sg_context *cx, const struct sg_entry *entry, const struct sg_targets *set,
                            const struct sg_column_drop *drop) {
    const struct sg_target *kept = &set->v[drop->kept], *dropped = &set->v[drop->dropped];
    bool multi = kept->expr->kind == SG_NODE_MULTI || dropped->expr->kind == SG_NODE_MULTI;
    if (multi || (sg_has_param(dropped->expr) && kept->expr->kind == SG_NODE_DEFAULT)) {
        sg_refuse(cx, dropped->at, entry->table, "Assign one of the two names.",
                  "two assignments to one column in this form");
        return;
    }
    size_t token = name_token(cx, dropped), end = sg_expr_end(&cx->tokens, token);
    if (sg_has_param(dropped->expr)) {
        const char *type = sg_column_type(cx, entry->table, kept->name);
        size_t value = value_token(cx, dropped);
        sg_edit_insert(&cx->edits, cx->tokens.v[value_token(cx, kept)].at, "CASE WHEN true THEN (");
        sg_edit_copy(&cx->edits, assignment_end(cx, kept), sg_arena_printf(cx->arena, ")::%s ELSE (", type),
                     cx->tokens.v[value].at, sg_end_before(&cx->tokens, end),
                     sg_arena_printf(cx->arena, ")::%s END", type));
    }
    bool last = drop->dropped + 1 == set->n;
    size_t from = last ? sg_end_before(&cx->tokens, token - 1) : cx->tokens.v[token].at;
    size_t to = last ? sg_end_before(&cx->tokens, end) : cx->tokens.v[end + 1].at;
    sg_edit_replace(&cx->edits, from, to - from, SG_SPAN_LIT(""))->not_in_copies = true;
}

static void resolve_values(struct sg_context *cx, const struct sg_targets *set, const struct sg_scope *scope) {
    const struct sg_node *done = NULL;
    for (size_t i = 0; i < set->n; i++) {
        sg_resolve_nodes(cx, &set->v[i].subscripts, scope);
        struct sg_node *value = set->v[i].expr;
        if (value && value->kind == SG_NODE_MULTI) {
            if (value->kids.v[0] != done)
                sg_resolve_expr(cx, value->kids.v[0], scope);
            done = value->kids.v[0];
        } else {
            sg_resolve_expr(cx, value, scope);
        }
    }
}

void sg_resolve_assignments(struct sg_context *cx, struct sg_entry *entry, const struct sg_targets *set,
                            const struct sg_scope *scope) {
    resolve_values(cx, set, scope);
    if (!entry->table || cx->refused)
        return;
    const char **written = sg_arena_array(cx->arena, const char *, set->n);
    for (size_t i = 0; i < set->n; i++)
        written[i] = set->v[i].name;
    struct sg_column_plan plan = sg_plan_columns(cx, entry->table, written, set->n);
    for (size_t i = 0; i < set->n; i++) {
        if (!plan.physical[i])
            continue;
        size_t token = name_token(cx, &set->v[i]);
        sg_edit_replace(&cx->edits, cx->tokens.v[token].at, cx->tokens.v[token].len,
                        sg_span_of(sg_ident(cx, plan.physical[i])));
    }
    for (size_t i = 0; i < plan.copies_len && !cx->refused; i++)
        copy_assignment(cx, entry, set, &plan.copies[i]);
    for (size_t i = 0; i < plan.drops_len && !cx->refused; i++)
        drop_assignment(cx, entry, set, &plan.drops[i]);
}
