#include "wrap.h"

#include "once.h"

/* The expression of a select item, without its label. */
static void item_extent(const struct sg_context *cx, const struct sg_target *target, size_t *ret_from, size_t *ret_to) {
    size_t first = sg_token_at(&cx->tokens, (size_t)target->at), end = sg_expr_end(&cx->tokens, first);
    if (target->name && end > first + 1) {
        end--;
        if (sg_token_is_word(&cx->tokens, end - 1, SG_WORD_AS))
            end--;
    }
    *ret_from = cx->tokens.v[first].at;
    *ret_to = sg_end_before(&cx->tokens, end);
}

/* ---- In place: SELECT a, b -> SELECT a, b, b, in every arm of a set operation ---- */

static bool can_repeat(const struct sg_query *q, const struct sg_column_plan *plan) {
    if (q->left) /* ORDER BY of a set operation names its columns: there must be one of a name */
        return q->order.n == 0 && can_repeat(q->left, plan) && can_repeat(q->right, plan);
    if (q->rows || plan->drops_len)
        return false;
    for (size_t i = 0; i < plan->copies_len; i++) {
        size_t from = plan->copies[i].from;
        if (from >= q->targets.n || sg_must_evaluate_once(q->targets.v[from].expr))
            return false;
        for (size_t k = 0; k < q->targets.n; k++)
            if (sg_node_expands(q->targets.v[k].expr))
                return false;
    }
    return true;
}

static void repeat(struct sg_context *cx, const struct sg_query *q, const struct sg_column_plan *plan) {
    if (q->left) {
        repeat(cx, q->left, plan);
        repeat(cx, q->right, plan);
        return;
    }
    size_t last = sg_token_at(&cx->tokens, (size_t)q->targets.v[q->targets.n - 1].at);
    size_t at = sg_end_before(&cx->tokens, sg_expr_end(&cx->tokens, last));
    for (size_t i = 0; i < plan->copies_len; i++) {
        size_t from, to;
        item_extent(cx, &q->targets.v[plan->copies[i].from], &from, &to);
        sg_edit_copy(&cx->edits, at, ", ", from, to, "");
    }
}

/* ---- Wrapped ---- */

/* In a derived table an untyped literal or parameter would become text: give it the column's type. */
static void type_item(struct sg_context *cx, const struct sg_table *table, const struct sg_node *node,
                      const char *column) {
    if ((node->kind == SG_NODE_TEXT || node->kind == SG_NODE_PARAM) && column)
        sg_edit_insert(&cx->edits, sg_constant_end(cx, node->at), "::%s", sg_column_type(cx, table, column));
}

static void replace_default(struct sg_context *cx, const struct sg_table *table, const struct sg_node *node,
                            const char *name) {
    const struct sg_column *column = name ? sg_shape_column(table, name) : NULL;
    if (!column || column->is_generated || column->is_identity) {
        sg_refuse(cx, node->at, table, "Leave the column out of the INSERT's column list.",
                  "DEFAULT of a generated or identity column beside a value that must be computed once");
        return;
    }
    size_t token = sg_token_at(&cx->tokens, (size_t)node->at);
    const char *text =
        sg_arena_printf(cx->arena, "(%s)::%s", column->default_sql ? sg_catalog_sql(cx, column->default_sql) : "NULL",
                        sg_cast_type(cx, column->type));
    sg_edit_replace(&cx->edits, cx->tokens.v[token].at, cx->tokens.v[token].len, sg_span_of(text));
}

static void type_source(struct sg_context *cx, const struct sg_table *table, const struct sg_query *q,
                        const char *const *written, size_t n) {
    if (q->left)
        return;                    /* a set operation settles its columns' types by itself, as it would without us */
    size_t before = 0, behind = 0; /* a star, which stands for as many columns as are left */
    for (; before < q->targets.n && before < n && !sg_node_expands(q->targets.v[before].expr); before++)
        type_item(cx, table, q->targets.v[before].expr, written[before]);
    for (; before + behind < q->targets.n && before + behind < n; behind++) {
        const struct sg_node *node = q->targets.v[q->targets.n - 1 - behind].expr;
        if (sg_node_expands(node))
            break;
        type_item(cx, table, node, written[n - 1 - behind]);
    }
    for (size_t row = 0; q->rows && row < q->rows_len; row++) {
        for (size_t i = 0; i < q->rows[row].n && i < n; i++) {
            const struct sg_node *node = q->rows[row].v[i];
            if (node->kind == SG_NODE_DEFAULT)
                replace_default(cx, table, node, written[i]);
            else
                type_item(cx, table, node, written[i]);
        }
    }
}

/* How many columns the text says the query gives. False: a star does, whose columns may have changed since the catalog
 * was read. */
static bool count_columns(const struct sg_query *query, size_t *ret_n) {
    while (query->left)
        query = query->left;
    for (size_t i = 0; i < query->targets.n; i++)
        if (sg_node_expands(query->targets.v[i].expr))
            return false;
    *ret_n = query->rows ? query->rows[0].n : query->targets.n;
    return true;
}

static void wrap(struct sg_context *cx, const struct sg_table *table, const struct sg_source *source,
                 const char *const *written, size_t n, const struct sg_column_plan *plan) {
    size_t given;
    bool counted = count_columns(source->query, &given);
    if (counted && given != n) {
        sg_fail(cx, -1, SG_SQLSTATE_SYNTAX_ERROR, "INSERT has more %s",
                given > n ? "expressions than target columns" : "target columns than expressions");
        return;
    }
    type_source(cx, table, source->query, written, n);
    const char *outer = "", *names = "";
    for (size_t i = 0; i < n; i++) {
        names = sg_arena_printf(cx->arena, "%s%sc%zu", names, i ? ", " : "", i + 1);
        if (!sg_is_dropped(plan, i))
            outer = sg_arena_printf(cx->arena, "%s%ssegue.c%zu", outer, *outer ? ", " : "", i + 1);
    }
    if (!counted && plan->drops_len == 0)
        outer = "segue.*"; /* one column too many is still one too many: the server says so */
    for (size_t i = 0; i < plan->copies_len; i++)
        outer = sg_arena_printf(cx->arena, "%s, segue.c%zu", outer, plan->copies[i].from + 1);
    /* LIMIT, OFFSET and FOR UPDATE are fences themselves. */
    bool fenced = source->query->tail.n || source->query->locking;
    sg_edit_insert(&cx->edits, cx->tokens.v[source->first].at, "SELECT %s FROM (", outer);
    sg_edit_insert(&cx->edits, sg_end_before(&cx->tokens, source->end), "%s) AS segue(%s)", fenced ? "" : " OFFSET 0",
                   names);
}

/* ---- Plain VALUES: each row is edited ---- */

/* The items of a parenthesised list that opens at token open. */
static bool list_items(const struct sg_context *cx, size_t open, struct sg_extent *items, size_t n) {
    size_t i = open + 1, close = cx->tokens.v[open].match;
    for (size_t k = 0; k < n; k++) {
        size_t end = sg_expr_end(&cx->tokens, i);
        if (end <= i || end > close)
            return false;
        items[k] = (struct sg_extent){cx->tokens.v[i].at, sg_end_before(&cx->tokens, end)};
        i = end + 1;
    }
    return i == close + 1;
}

/* Two values for one column. */
static void drop_value(struct sg_context *cx, const struct sg_table *table, const struct sg_column_plan *plan, size_t i,
                       const struct sg_nodes *row, const struct sg_extent *items, const char *const *written) {
    const struct sg_column_drop *drop = &plan->drops[i];
    const struct sg_node *kept = row->v[drop->kept];
    if (sg_has_param(row->v[drop->dropped]) && kept->kind == SG_NODE_DEFAULT) {
        sg_refuse(cx, kept->at, table, "Write one of the two names.",
                  "DEFAULT for one name and a parameter for the other name of one column");
        return;
    }
    if (sg_has_param(row->v[drop->dropped]))
        sg_keep_params(cx, items[drop->kept], items[drop->dropped], sg_column_type(cx, table, written[drop->kept]));
    sg_drop_item(cx, items, plan, drop->dropped);
}

static bool row_needs_wrap(const struct sg_nodes *row, const struct sg_column_plan *plan) {
    for (size_t i = 0; i < plan->copies_len; i++)
        if (plan->copies[i].from < row->n && sg_must_evaluate_once(row->v[plan->copies[i].from]))
            return true;
    return false;
}

bool sg_extend_row(struct sg_context *cx, const struct sg_table *table, size_t open, const struct sg_nodes *row,
                   const char *const *written, size_t n, const struct sg_column_plan *plan) {
    if (row_needs_wrap(row, plan))
        return false;
    for (size_t i = 0; i < row->n; i++)
        if (sg_node_expands(row->v[i]))
            sg_refuse(cx, row->v[i]->at, table, "Write the row's fields one by one.",
                      "a row that is expanded in VALUES");
    struct sg_extent *items = sg_arena_array(cx->arena, struct sg_extent, n + 1);
    if (row->n > n) {
        sg_fail(cx, row->v[n]->at, SG_SQLSTATE_SYNTAX_ERROR, "INSERT has more expressions than target columns");
        return true;
    }
    if (row->n < n || !sg_token_is_punct(&cx->tokens, open, '(') || !list_items(cx, open, items, n)) {
        sg_fail(cx, -1, SG_SQLSTATE_SYNTAX_ERROR, "INSERT has more target columns than expressions");
        return true;
    }
    for (size_t i = 0; i < plan->copies_len; i++) {
        struct sg_extent copied = items[plan->copies[i].from];
        sg_edit_copy(&cx->edits, items[n - 1].to, ", ", copied.from, copied.to, "");
    }
    for (size_t i = 0; i < plan->drops_len; i++)
        drop_value(cx, table, plan, i, row, items, written);
    return true;
}

static bool rows_need_wrap(const struct sg_query *q, const struct sg_column_plan *plan) {
    for (size_t i = 0; i < q->rows_len; i++)
        if (row_needs_wrap(&q->rows[i], plan))
            return true;
    return false;
}

static void edit_rows(struct sg_context *cx, const struct sg_table *table, const struct sg_source *source,
                      const char *const *written, size_t n, const struct sg_column_plan *plan) {
    size_t open = source->first + 1;
    for (size_t i = 0; i < source->query->rows_len && !cx->refused; i++) {
        sg_extend_row(cx, table, open, &source->query->rows[i], written, n, plan);
        open = cx->tokens.v[open].match + 2; /* ) , ( */
    }
}

void sg_extend_source(struct sg_context *cx, const struct sg_table *table, const struct sg_source *source,
                      const char *const *written, size_t n, const struct sg_column_plan *plan) {
    const struct sg_query *q = source->query;
    if ((plan->copies_len == 0 && plan->drops_len == 0) || cx->refused)
        return;
    bool plain_rows = q->rows && q->with.n == 0 && q->order.n == 0 && q->tail.n == 0 &&
                      sg_token_is_word(&cx->tokens, source->first, SG_WORD_VALUES);
    if (plain_rows && !rows_need_wrap(q, plan))
        edit_rows(cx, table, source, written, n, plan);
    else if (!plain_rows && can_repeat(q, plan))
        repeat(cx, q, plan);
    else
        wrap(cx, table, source, written, n, plan);
}
