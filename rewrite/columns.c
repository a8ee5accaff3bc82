#include "columns.h"

#include "once.h"

static bool find(const char *const *written, size_t n, const char *name, size_t *ret_index) {
    for (size_t i = 0; i < n; i++) {
        if (written[i] && strcmp(written[i], name) == 0) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

/* All of them: a name written twice is the server's to refuse. */
static void rename_all(const char *const *written, size_t n, const struct sg_mapping *m, const char *physical,
                       const char **ret_physical) {
    for (size_t i = 0; i < n; i++)
        if (written[i] && strcmp(written[i], physical) != 0 &&
            (strcmp(written[i], m->old_name) == 0 || strcmp(written[i], m->new_name) == 0))
            ret_physical[i] = physical;
}

static void plan_mapping(struct sg_context *cx, const struct sg_table_mapping *tm, const char *const *written, size_t n,
                         struct sg_column_plan *plan) {
    const struct sg_mapping *m = tm->mapping;
    size_t old_at, new_at;
    bool has_old = find(written, n, m->old_name, &old_at), has_new = find(written, n, m->new_name, &new_at);
    if (has_old)
        sg_note_use(cx, tm, m->old_name);
    if (has_new)
        sg_note_use(cx, tm, m->new_name);
    if (sg_phase_writes_both(m->phase)) {
        if (has_old != has_new)
            plan->copies[plan->copies_len++] =
                (struct sg_column_copy){has_old ? old_at : new_at, has_old ? m->new_name : m->old_name};
        return;
    }
    bool keep_old = m->phase == SG_PHASE_PLANNED;
    if (has_old && has_new)
        plan->drops[plan->drops_len++] =
            keep_old ? (struct sg_column_drop){old_at, new_at} : (struct sg_column_drop){new_at, old_at};
    else if (has_old || has_new)
        rename_all(written, n, m, keep_old ? m->old_name : m->new_name, plan->physical);
}

struct sg_column_plan sg_plan_columns(struct sg_context *cx, const struct sg_table *table, const char *const *written,
                                      size_t n) {
    struct sg_column_plan plan = {
        .physical = sg_arena_array(cx->arena, const char *, n),
        .copies = sg_arena_array(cx->arena, struct sg_column_copy, table->mappings_len),
        .drops = sg_arena_array(cx->arena, struct sg_column_drop, table->mappings_len),
    };
    for (size_t i = 0; i < table->mappings_len; i++)
        plan_mapping(cx, &table->mappings[i], written, n, &plan);
    return plan;
}

bool sg_is_dropped(const struct sg_column_plan *plan, size_t index) {
    for (size_t i = 0; i < plan->drops_len; i++)
        if (plan->drops[i].dropped == index)
            return true;
    return false;
}

void sg_drop_item(struct sg_context *cx, const struct sg_extent *items, const struct sg_column_plan *plan, size_t i) {
    size_t first_kept = 0;
    while (sg_is_dropped(plan, first_kept))
        first_kept++;
    /* The comma before it, or after it while nothing before it stays: neighbours that go never share a comma. */
    size_t from = i > first_kept ? items[i - 1].to : items[i].from;
    size_t to = i > first_kept ? items[i].to : items[i + 1].from;
    sg_edit_replace(&cx->edits, from, to - from, SG_SPAN_LIT(""))->drops = true;
}

void sg_keep_params(struct sg_context *cx, struct sg_extent kept, struct sg_extent dropped, const char *type) {
    sg_edit_insert(&cx->edits, kept.from, "CASE WHEN true THEN (");
    sg_edit_copy(&cx->edits, kept.to, sg_arena_printf(cx->arena, ")::%s ELSE (", type), dropped.from, dropped.to,
                 sg_arena_printf(cx->arena, ")::%s END", type));
}

const struct sg_column *sg_shape_column(const struct sg_table *table, const char *name) {
    const struct sg_table_mapping *m = sg_table_mapping(table, name);
    const char *as_made = m ? m->mapping->old_name : name;
    for (size_t i = 0; i < table->shape_len; i++)
        if (strcmp(table->shape[i].name, as_made) == 0)
            return &table->shape[i];
    return sg_relation_column(table->relation, name);
}

const char *sg_column_type(struct sg_context *cx, const struct sg_table *table, const char *name) {
    const struct sg_column *column = sg_shape_column(table, name);
    return column ? sg_cast_type(cx, column->type) : "text";
}
