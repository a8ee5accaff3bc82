#include "postgres.h"

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "nodes/primnodes.h"

#include "convert.h"

static struct sg_from *from_item(struct sg_convert *cv, const void *node);

static struct sg_node *optional(struct sg_convert *cv, const void *node) {
    return node ? sg_convert_expr(cv, node) : NULL;
}

/* All assignments of one (a, b) = source share the source's node, so that it is visited once. */
static struct sg_targets targets_of(struct sg_convert *cv, const List *list) {
    struct sg_targets targets = {.v = sg_arena_array(cv->arena, struct sg_target, list_length(list))};
    const Node *source = NULL;
    struct sg_node *source_node = NULL;
    ListCell *cell;
    foreach (cell, list) {
        const ResTarget *res = lfirst_node(ResTarget, cell);
        struct sg_target *target = &targets.v[targets.n++];
        target->name = sg_convert_name(cv, res->name);
        target->at = res->location;
        target->indirect = res->indirection != NIL;
        ListCell *step;
        target->subscripts.v = sg_arena_array(cv->arena, struct sg_node *, list_length(res->indirection));
        foreach (step, res->indirection)
            if (IsA(lfirst(step), A_Indices))
                target->subscripts.v[target->subscripts.n++] = sg_convert_expr(cv, lfirst(step));
        if (res->val && IsA(res->val, MultiAssignRef)) {
            const MultiAssignRef *ref = (const MultiAssignRef *)res->val;
            struct sg_node *shared = ref->source == source ? source_node : NULL;
            target->expr = sg_convert_node(cv, SG_NODE_MULTI, -1);
            target->expr->number = ref->colno;
            target->expr->kids.v = sg_arena_array(cv->arena, struct sg_node *, 1);
            target->expr->kids.n = 1;
            target->expr->kids.v[0] = shared ? shared : sg_convert_expr(cv, ref->source);
            source = ref->source;
            source_node = target->expr->kids.v[0];
        } else {
            target->expr = optional(cv, res->val);
        }
    }
    return targets;
}

static struct sg_with with_of(struct sg_convert *cv, const WithClause *clause) {
    struct sg_with with = {0};
    if (!clause)
        return with;
    cv->ctes += list_length(clause->ctes);
    if (cv->ctes > SG_CONVERT_MAX_CTES) {
        sg_convert_give_up(cv, "so many common table expressions");
        return with;
    }
    with.recursive = clause->recursive;
    with.v = sg_arena_array(cv->arena, struct sg_cte, list_length(clause->ctes));
    ListCell *cell;
    foreach (cell, clause->ctes) {
        const CommonTableExpr *raw = lfirst_node(CommonTableExpr, cell);
        struct sg_cte *cte = &with.v[with.n++];
        cte->name = sg_convert_name(cv, raw->ctename);
        cte->columns = sg_convert_names(cv, raw->aliascolnames);
        cte->query = sg_convert_query(cv, raw->ctequery);
        cte->search_or_cycle = raw->search_clause || raw->cycle_clause;
    }
    return with;
}

static void set_alias(struct sg_convert *cv, struct sg_from *from, const Alias *alias) {
    if (!alias)
        return;
    from->alias = sg_convert_name(cv, alias->aliasname);
    if (alias->colnames)
        from->columns = sg_convert_names(cv, alias->colnames);
}

static struct sg_from *new_from(struct sg_convert *cv, enum sg_from_kind kind) {
    struct sg_from *from = sg_arena_new(cv->arena, struct sg_from);
    from->kind = kind;
    from->at = -1;
    return from;
}

struct sg_from *sg_convert_relation(struct sg_convert *cv, const void *range_var) {
    const RangeVar *var = range_var;
    struct sg_from *from = new_from(cv, SG_FROM_TABLE);
    from->at = var->location;
    from->schema = sg_convert_name(cv, var->schemaname);
    from->name = sg_convert_name(cv, var->relname);
    from->only = !var->inh;
    set_alias(cv, from, var->alias);
    return from;
}

static struct sg_from *join(struct sg_convert *cv, const JoinExpr *j) {
    struct sg_from *from = new_from(cv, SG_FROM_JOIN);
    from->left = from_item(cv, j->larg);
    from->right = from_item(cv, j->rarg);
    from->natural = j->isNatural;
    from->outer = j->jointype != JOIN_INNER;
    from->using = sg_convert_names(cv, j->usingClause);
    if (j->join_using_alias)
        from->using_alias = sg_convert_name(cv, j->join_using_alias->aliasname);
    if (j->quals)
        from->exprs = (struct sg_nodes){.v = sg_arena_array(cv->arena, struct sg_node *, 1), .n = 1};
    if (j->quals)
        from->exprs.v[0] = sg_convert_expr(cv, j->quals);
    set_alias(cv, from, j->alias);
    return from;
}

static struct sg_from *function_item(struct sg_convert *cv, const RangeFunction *fn) {
    struct sg_from *from = new_from(cv, SG_FROM_FUNCTION);
    from->ordinality = fn->ordinality;
    from->exprs.v = sg_arena_array(cv->arena, struct sg_node *, list_length(fn->functions));
    struct sg_names coldefs = {0};
    ListCell *cell;
    foreach (cell, fn->functions) {
        const List *pair = lfirst(cell);
        struct sg_node *node = sg_convert_expr(cv, linitial(pair));
        if (!from->name && node->kind == SG_NODE_CALL)
            from->name = node->name;
        from->exprs.v[from->exprs.n++] = node;
    }
    if (fn->coldeflist) {
        coldefs.v = sg_arena_array(cv->arena, const char *, list_length(fn->coldeflist));
        foreach (cell, fn->coldeflist)
            coldefs.v[coldefs.n++] = sg_convert_name(cv, lfirst_node(ColumnDef, cell)->colname);
        from->columns = coldefs;
        from->defines_columns = true;
    }
    set_alias(cv, from, fn->alias);
    return from;
}

static struct sg_from *table_func(struct sg_convert *cv, const RangeTableFunc *fn) {
    struct sg_from *from = new_from(cv, SG_FROM_FUNCTION);
    from->name = "xmltable";
    from->exprs = GENERIC(NULL, -1, fn->docexpr, fn->rowexpr, fn->namespaces)->kids;
    from->columns.v = sg_arena_array(cv->arena, const char *, list_length(fn->columns));
    ListCell *cell;
    foreach (cell, fn->columns)
        from->columns.v[from->columns.n++] = sg_convert_name(cv, lfirst_node(RangeTableFuncCol, cell)->colname);
    from->defines_columns = !fn->alias || !fn->alias->colnames;
    set_alias(cv, from, fn->alias);
    return from;
}

static struct sg_from *from_item(struct sg_convert *cv, const void *node) {
    struct sg_from *from = NULL;
    if (cv->depth++ >= SG_CONVERT_MAX_DEPTH)
        sg_convert_give_up(cv, "nesting this deep");
    else if (IsA(node, RangeVar))
        from = sg_convert_relation(cv, node);
    else if (IsA(node, JoinExpr))
        from = join(cv, node);
    else if (IsA(node, RangeFunction))
        from = function_item(cv, node);
    else if (IsA(node, RangeTableFunc))
        from = table_func(cv, node);
    else if (IsA(node, RangeSubselect)) {
        const RangeSubselect *sub = node;
        from = new_from(cv, SG_FROM_QUERY);
        from->lateral = sub->lateral;
        from->query = sg_convert_query(cv, sub->subquery);
        set_alias(cv, from, sub->alias);
    } else if (IsA(node, RangeTableSample)) {
        const RangeTableSample *sample = node;
        from = from_item(cv, sample->relation);
        from->sampled = true;
        from->exprs = sg_convert_exprs(cv, sample->args);
    } else {
        sg_convert_give_up(cv, "a FROM item of this kind");
    }
    cv->depth--;
    return from ? from : new_from(cv, SG_FROM_VALUES);
}

static struct sg_froms from_list(struct sg_convert *cv, const List *list) {
    struct sg_froms froms = {.v = sg_arena_array(cv->arena, struct sg_from *, list_length(list))};
    ListCell *cell;
    foreach (cell, list)
        froms.v[froms.n++] = from_item(cv, lfirst(cell));
    return froms;
}

static void convert_select(struct sg_convert *cv, struct sg_query *q, const SelectStmt *s) {
    q->kind = SG_QUERY_SELECT;
    q->with = with_of(cv, s->withClause);
    q->order = sg_convert_exprs(cv, s->sortClause);
    q->tail = GENERIC(NULL, -1, s->limitOffset, s->limitCount)->kids;
    q->locking = s->lockingClause != NIL;
    if (s->intoClause)
        q->into = sg_convert_relation(cv, s->intoClause->rel);
    if (s->op != SETOP_NONE) {
        q->left = sg_convert_query(cv, s->larg);
        q->right = sg_convert_query(cv, s->rarg);
        return;
    }
    q->targets = targets_of(cv, s->targetList);
    q->from = from_list(cv, s->fromClause);
    q->where = optional(cv, s->whereClause);
    q->group = sg_convert_exprs(cv, s->groupClause);
    q->having = optional(cv, s->havingClause);
    q->windows = sg_convert_exprs(cv, s->windowClause);
    q->is_distinct = s->distinctClause != NIL;
    if (s->distinctClause && linitial(s->distinctClause))
        q->distinct = sg_convert_exprs(cv, s->distinctClause);
    if (s->valuesLists) {
        q->rows = sg_arena_array(cv->arena, struct sg_nodes, list_length(s->valuesLists));
        ListCell *cell;
        foreach (cell, s->valuesLists)
            q->rows[q->rows_len++] = sg_convert_exprs(cv, lfirst(cell));
    }
}

static void convert_conflict(struct sg_convert *cv, struct sg_conflict *c, const OnConflictClause *raw) {
    c->present = true;
    c->update = raw->action == ONCONFLICT_UPDATE;
    c->set = targets_of(cv, raw->targetList);
    c->where = optional(cv, raw->whereClause);
    if (!raw->infer)
        return;
    c->on_constraint = raw->infer->conname != NULL;
    int n = list_length(raw->infer->indexElems);
    c->columns.v = sg_arena_array(cv->arena, const char *, n);
    c->exprs.v = sg_arena_array(cv->arena, struct sg_node *, n + 1);
    ListCell *cell;
    foreach (cell, raw->infer->indexElems) {
        const IndexElem *elem = lfirst_node(IndexElem, cell);
        c->columns.v[c->columns.n++] = sg_convert_name(cv, elem->name);
        if (elem->expr)
            c->exprs.v[c->exprs.n++] = sg_convert_expr(cv, elem->expr);
    }
    if (raw->infer->whereClause)
        c->exprs.v[c->exprs.n++] = sg_convert_expr(cv, raw->infer->whereClause);
}

static void convert_insert(struct sg_convert *cv, struct sg_query *q, const InsertStmt *s) {
    q->kind = SG_QUERY_INSERT;
    q->with = with_of(cv, s->withClause);
    q->target = sg_convert_relation(cv, s->relation);
    q->set = targets_of(cv, s->cols);
    q->source = s->selectStmt ? sg_convert_query(cv, s->selectStmt) : NULL;
    q->overriding = s->override != OVERRIDING_NOT_SET;
    q->targets = targets_of(cv, s->returningList);
    if (s->onConflictClause)
        convert_conflict(cv, &q->conflict, s->onConflictClause);
}

static void convert_update(struct sg_convert *cv, struct sg_query *q, const UpdateStmt *s) {
    q->kind = SG_QUERY_UPDATE;
    q->with = with_of(cv, s->withClause);
    q->target = sg_convert_relation(cv, s->relation);
    q->set = targets_of(cv, s->targetList);
    q->from = from_list(cv, s->fromClause);
    q->where = optional(cv, s->whereClause);
    q->targets = targets_of(cv, s->returningList);
}

static void convert_delete(struct sg_convert *cv, struct sg_query *q, const DeleteStmt *s) {
    q->kind = SG_QUERY_DELETE;
    q->with = with_of(cv, s->withClause);
    q->target = sg_convert_relation(cv, s->relation);
    q->from = from_list(cv, s->usingClause);
    q->where = optional(cv, s->whereClause);
    q->targets = targets_of(cv, s->returningList);
}

static void convert_merge(struct sg_convert *cv, struct sg_query *q, const MergeStmt *s) {
    q->kind = SG_QUERY_MERGE;
    q->with = with_of(cv, s->withClause);
    q->target = sg_convert_relation(cv, s->relation);
    q->from = from_list(cv, list_make1(s->sourceRelation));
    q->where = optional(cv, s->joinCondition);
    q->arms = sg_arena_array(cv->arena, struct sg_merge_arm, list_length(s->mergeWhenClauses));
    ListCell *cell;
    foreach (cell, s->mergeWhenClauses) {
        const MergeWhenClause *when = lfirst_node(MergeWhenClause, cell);
        struct sg_merge_arm *arm = &q->arms[q->arms_len++];
        arm->matched = when->matched;
        arm->inserts = when->commandType == CMD_INSERT;
        arm->updates = when->commandType == CMD_UPDATE;
        arm->condition = optional(cv, when->condition);
        arm->targets = targets_of(cv, when->targetList);
        arm->values = sg_convert_exprs(cv, when->values);
    }
}

struct sg_query *sg_convert_query(struct sg_convert *cv, const void *node) {
    struct sg_query *q = sg_arena_new(cv->arena, struct sg_query);
    if (cv->unsupported)
        return q;
    if (cv->depth++ >= SG_CONVERT_MAX_DEPTH)
        sg_convert_give_up(cv, "nesting this deep");
    else if (IsA(node, SelectStmt))
        convert_select(cv, q, node);
    else if (IsA(node, InsertStmt))
        convert_insert(cv, q, node);
    else if (IsA(node, UpdateStmt))
        convert_update(cv, q, node);
    else if (IsA(node, DeleteStmt))
        convert_delete(cv, q, node);
    else if (IsA(node, MergeStmt))
        convert_merge(cv, q, node);
    else
        sg_convert_give_up(cv, "a statement of this kind");
    cv->depth--;
    return q;
}
