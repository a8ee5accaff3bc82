#include "column_list.h"

static bool all_planned(const struct sg_table *table) {
    for (size_t i = 0; i < table->mappings_len; i++)
        if (table->mappings[i].mapping->phase != SG_PHASE_PLANNED)
            return false;
    return true;
}

/* Without a list, values are for the columns as they stood when the mapping was made. */
static bool read_implied(struct sg_context *cx, struct sg_column_list *list, size_t values) {
    const struct sg_table *table = list->table;
    sg_note_star(cx, table);
    if (values != SG_VALUES_UNKNOWN && values > table->shape_len) {
        /* Also while the table still is as it was: the new column may be there before its phase is known here. */
        sg_fail(cx, -1, SG_SQLSTATE_SYNTAX_ERROR, "INSERT has more expressions than target columns");
        return false;
    }
    if (all_planned(table))
        return false;
    if (values == SG_VALUES_UNKNOWN) {
        sg_refuse(cx, -1, table, "Write the INSERT's column list.",
                  "an INSERT without a column list from a query whose number of columns is not known");
        return false;
    }
    if (values == 0) { /* INSERT INTO users SELECT: legal, and there is no list to write for it */
        sg_refuse(cx, -1, table, "Write DEFAULT VALUES.", "an INSERT of no columns at all");
        return false;
    }
    list->n = values;
    list->written = sg_arena_array(cx->arena, const char *, values);
    for (size_t i = 0; i < values; i++)
        list->written[i] = table->shape[i].name;
    return true;
}

static bool read_written(struct sg_context *cx, struct sg_column_list *list) {
    const struct sg_targets *set = list->set;
    list->n = set->n;
    list->written = sg_arena_array(cx->arena, const char *, set->n);
    for (size_t i = 0; i < set->n; i++) {
        list->written[i] = set->v[i].name;
        if (set->v[i].indirect && sg_table_mapping(list->table, set->v[i].name)) {
            sg_refuse(cx, set->v[i].at, list->table, "Insert the whole value.",
                      "an INSERT into an element or field of \"%s\"", set->v[i].name);
            return false;
        }
    }
    return true;
}

bool sg_column_list_read(struct sg_context *cx, struct sg_column_list *list, size_t values) {
    return list->set->n ? read_written(cx, list) : read_implied(cx, list, values);
}

static void replace_name(struct sg_context *cx, int at, const char *physical) {
    size_t token = sg_token_at(&cx->tokens, (size_t)at);
    sg_edit_replace(&cx->edits, cx->tokens.v[token].at, cx->tokens.v[token].len, sg_span_of(sg_ident(cx, physical)));
}

static void edit_written(struct sg_context *cx, const struct sg_column_list *list, const struct sg_column_plan *plan) {
    const struct sg_targets *set = list->set;
    for (size_t i = 0; i < set->n; i++)
        if (plan->physical[i])
            replace_name(cx, set->v[i].at, plan->physical[i]);
    size_t close = cx->tokens.v[list->at].match;
    for (size_t i = 0; i < plan->copies_len; i++)
        sg_edit_insert(&cx->edits, sg_end_before(&cx->tokens, close), ", %s", sg_ident(cx, plan->copies[i].name));
    struct sg_extent *names = sg_arena_array(cx->arena, struct sg_extent, set->n);
    for (size_t i = 0; i < set->n; i++)
        names[i] = (struct sg_extent){(size_t)set->v[i].at,
                                      sg_token_end(&cx->tokens, sg_token_at(&cx->tokens, (size_t)set->v[i].at))};
    for (size_t i = 0; i < plan->drops_len; i++)
        sg_drop_item(cx, names, plan, plan->drops[i].dropped);
}

/* Values that stop before the first mapped column are for columns whose places never change. */
static bool changes_anything(const struct sg_column_plan *plan, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (plan->physical[i])
            return true;
    return plan->copies_len || plan->drops_len;
}

static void write_implied(struct sg_context *cx, const struct sg_column_list *list, const struct sg_column_plan *plan) {
    const char *text = "";
    for (size_t i = 0; i < list->n; i++)
        text = sg_arena_printf(cx->arena, "%s%s%s", text, i ? ", " : "",
                               sg_ident(cx, plan->physical[i] ? plan->physical[i] : list->written[i]));
    for (size_t i = 0; i < plan->copies_len; i++)
        text = sg_arena_printf(cx->arena, "%s, %s", text, sg_ident(cx, plan->copies[i].name));
    sg_edit_insert(&cx->edits, sg_end_before(&cx->tokens, list->at), " (%s)", text);
}

void sg_column_list_edit(struct sg_context *cx, const struct sg_column_list *list, const struct sg_column_plan *plan) {
    if (list->set->n)
        edit_written(cx, list, plan);
    else if (changes_anything(plan, list->n))
        write_implied(cx, list, plan);
}
