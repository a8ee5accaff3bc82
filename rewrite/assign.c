#include "assign.h"

#include "columns.h"
#include "once.h"
#include "wrap.h"

/* `name = value` ends here (byte). */
static size_t assignment_end(const struct sg_context *cx, const struct sg_target *target) {
    return sg_end_before(&cx->tokens, sg_expr_end(&cx->tokens, sg_assigned_name(cx, target)));
}

/* The token after `name[...] =`. */
static size_t value_token(const struct sg_context *cx, const struct sg_target *target) {
    size_t i = sg_assigned_name(cx, target) + 1;
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
                 sg_token_end(&cx->tokens, sg_assigned_name(cx, target)), end, "");
}

/*
 * `nickname = random()` -> `(nickname, username) = (SELECT segue.v, segue.v FROM (SELECT random() AS v WHERE users.ctid
 * IS NOT NULL OFFSET 0) AS segue)`. The reference to the row makes PostgreSQL evaluate it for each row; OFFSET 0 keeps
 * it from being merged and evaluated for each column.
 */
static void assign_once(struct sg_context *cx, const struct sg_entry *entry, const struct sg_target *target,
                        const char *name, const char *other) {
    size_t token = sg_assigned_name(cx, target);
    cx->row_selects++;
    sg_edit_replace(&cx->edits, cx->tokens.v[token].at, cx->tokens.v[token].len,
                    sg_span_of(sg_arena_printf(cx->arena, "(%s, %s)", sg_ident(cx, name), sg_ident(cx, other))));
    sg_edit_insert(&cx->edits, cx->tokens.v[value_token(cx, target)].at, "(SELECT segue.v, segue.v FROM (SELECT ");
    sg_edit_insert(&cx->edits, assignment_end(cx, target), " AS v WHERE %s.ctid IS NOT NULL OFFSET 0) AS segue)",
                   sg_ident(cx, entry->name));
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
        size_t token = sg_assigned_name(cx, target);
        sg_edit_replace(&cx->edits, cx->tokens.v[token].at, cx->tokens.v[token].len,
                        sg_span_of(sg_ident(cx, m->old_name)));
    }
}

/* `labels[1] = a, labels[2] = b`: one column, and every part of it counts. */
static void copy_elements(struct sg_context *cx, const struct sg_entry *entry, const struct sg_targets *set,
                          const char *name, const char *other) {
    for (size_t i = 0; i < set->n; i++) {
        const struct sg_target *target = &set->v[i];
        if (strcmp(target->name, name) != 0)
            continue;
        if (target->expr->kind == SG_NODE_MULTI || sg_must_evaluate_once(target->expr))
            sg_refuse(cx, target->at, entry->table, "Assign the whole value.",
                      "an assignment to an element or field of \"%s\" whose value must be computed once", name);
        else
            repeat_assignment(cx, target, other);
    }
}

/* What stands behind the name: [1] = value. */
static struct sg_span assigned_text(const struct sg_context *cx, const struct sg_target *target) {
    size_t from = sg_token_end(&cx->tokens, sg_assigned_name(cx, target));
    return (struct sg_span){cx->tokens.text.ptr + from, assignment_end(cx, target) - from};
}

/* The next assignment to this name from index i on; NULL: there is none. */
static const struct sg_target *next_named(const struct sg_targets *set, const char *name, size_t *i) {
    while (*i < set->n)
        if (strcmp(set->v[(*i)++].name, name) == 0)
            return &set->v[*i - 1];
    return NULL;
}

/* An app that writes both names writes the same to both; of one column there can be but one assignment of each kind. */
static bool assigns_alike(struct sg_context *cx, const struct sg_targets *set, const struct sg_mapping *m) {
    size_t i = 0, k = 0, pairs = 0;
    const struct sg_target *old, *new;
    if (m->phase == SG_PHASE_DUAL_WRITE)
        return false;        /* as with one name: the rest of the value may not be there yet */
    cx->literal_read = true; /* compared as they are written */
    do {
        old = next_named(set, m->old_name, &i);
        new = next_named(set, m->new_name, &k);
        pairs += old && new;
        if (!old != !new || (old && !sg_span_eq(assigned_text(cx, old), assigned_text(cx, new))))
            return false;
    } while (old);
    return pairs == 1 || sg_phase_writes_both(m->phase);
}

/* The first assignment to an element or field by this name; NULL: there is none. */
static const struct sg_target *element_of(const struct sg_targets *set, const char *name) {
    size_t i = 0;
    const struct sg_target *target;
    while ((target = next_named(set, name, &i)) && !target->indirect)
        continue;
    return target;
}

/* Parts of one value under both of its names: what is dropped, or left as it is, would be lost on the other side. */
static void check_elements(struct sg_context *cx, const struct sg_entry *entry, const struct sg_targets *set) {
    for (size_t k = 0; k < entry->table->mappings_len && !cx->refused; k++) {
        const struct sg_mapping *m = entry->table->mappings[k].mapping;
        const struct sg_target *old = element_of(set, m->old_name), *new = element_of(set, m->new_name);
        size_t at_old = 0, at_new = 0;
        bool both = next_named(set, m->old_name, &at_old) && next_named(set, m->new_name, &at_new);
        if ((old || new) && both && !assigns_alike(cx, set, m))
            sg_refuse(cx, (old ? old : new)->at, entry->table, "Assign by one of the two names.",
                      "assignments to elements or fields of \"%s\" by both of its names", (old ? old : new)->name);
    }
}

static void copy_assignment(struct sg_context *cx, const struct sg_entry *entry, const struct sg_targets *set,
                            const struct sg_column_plan *plan, const struct sg_column_copy *copy) {
    const struct sg_target *target = &set->v[copy->from];
    const struct sg_mapping *m = sg_table_mapping(entry->table, copy->name)->mapping;
    if (assigns_default(set, copy->from) && default_is_volatile(entry, m)) {
        assign_volatile_default(cx, entry, target, m);
    } else if (target->indirect && m->phase == SG_PHASE_DUAL_WRITE) {
        /* The other column may not be filled yet: changing one element of it would leave the rest behind. */
        sg_refuse(cx, target->at, entry->table, "Assign the whole value.",
                  "an assignment to an element or field of \"%s\"", target->name);
    } else if (target->indirect) {
        copy_elements(cx, entry, set, target->name, copy->name);
    } else if (target->expr->kind == SG_NODE_MULTI) {
        sg_extend_group(cx, entry, set, plan, copy->from);
    } else if (sg_must_evaluate_once(target->expr)) {
        assign_once(cx, entry, target, target->name, copy->name);
    } else {
        repeat_assignment(cx, target, copy->name);
    }
}

/* `name = value`, and the value alone. */
static struct sg_extent assignment_extent(const struct sg_context *cx, const struct sg_target *target) {
    return (struct sg_extent){cx->tokens.v[sg_assigned_name(cx, target)].at, assignment_end(cx, target)};
}

static struct sg_extent value_extent(const struct sg_context *cx, const struct sg_target *target) {
    return (struct sg_extent){cx->tokens.v[value_token(cx, target)].at, assignment_end(cx, target)};
}

/* Both names of one column are assigned where there is but one column: the phase's own wins. */
static void drop_assignment(struct sg_context *cx, const struct sg_entry *entry, const struct sg_targets *set,
                            const struct sg_column_plan *plan, const struct sg_column_drop *drop) {
    const struct sg_target *kept = &set->v[drop->kept], *dropped = &set->v[drop->dropped];
    bool multi = kept->expr->kind == SG_NODE_MULTI || dropped->expr->kind == SG_NODE_MULTI;
    if (multi || (sg_has_param(dropped->expr) && kept->expr->kind == SG_NODE_DEFAULT)) {
        sg_refuse(cx, dropped->at, entry->table, "Assign one of the two names.",
                  "two assignments to one column in this form");
        return;
    }
    if (sg_has_param(dropped->expr))
        sg_keep_params(cx, value_extent(cx, kept), value_extent(cx, dropped),
                       sg_column_type(cx, entry->table, kept->name));
    struct sg_extent *items = sg_arena_array(cx->arena, struct sg_extent, set->n);
    for (size_t i = 0; i < set->n; i++)
        items[i] = assignment_extent(cx, &set->v[i]);
    sg_drop_item(cx, items, plan, drop->dropped);
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
    check_elements(cx, entry, set);
    const char **written = sg_arena_array(cx->arena, const char *, set->n);
    for (size_t i = 0; i < set->n; i++)
        written[i] = set->v[i].name;
    struct sg_column_plan plan = sg_plan_columns(cx, entry->table, written, set->n);
    for (size_t i = 0; i < set->n; i++) {
        if (!plan.physical[i])
            continue;
        size_t token = sg_assigned_name(cx, &set->v[i]);
        sg_edit_replace(&cx->edits, cx->tokens.v[token].at, cx->tokens.v[token].len,
                        sg_span_of(sg_ident(cx, plan.physical[i])));
    }
    for (size_t i = 0; i < plan.copies_len && !cx->refused; i++)
        copy_assignment(cx, entry, set, &plan, &plan.copies[i]);
    for (size_t i = 0; i < plan.drops_len && !cx->refused; i++)
        drop_assignment(cx, entry, set, &plan, &plan.drops[i]);
}
