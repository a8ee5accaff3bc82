#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "nodes/primnodes.h"

#include "convert.h"

/* Deeper nesting than any person or ORM writes; the guard keeps hostile text off the stack's end. */
enum { MAX_DEPTH = 1500 };

static struct sg_node *expr(struct sg_convert *cv, const void *node);
static struct sg_from *from_item(struct sg_convert *cv, const void *node);

static bool give_up(struct sg_convert *cv, const char *what) {
    if (!cv->unsupported)
        cv->unsupported = what;
    return false;
}

static const char *dup(struct sg_convert *cv, const char *s) {
    return s ? sg_arena_strdup(cv->arena, s) : NULL;
}

static struct sg_node *new_node(struct sg_convert *cv, enum sg_node_kind kind, int at) {
    struct sg_node *node = sg_arena_new(cv->arena, struct sg_node);
    node->kind = kind;
    node->at = at;
    return node;
}

static struct sg_names names_of(struct sg_convert *cv, const List *list) {
    struct sg_names names = {.v = sg_arena_array(cv->arena, const char *, list_length(list))};
    ListCell *cell;
    foreach (cell, list)
        if (lfirst(cell) && IsA(lfirst(cell), String))
            names.v[names.n++] = dup(cv, strVal(lfirst(cell)));
    return names;
}

static struct sg_nodes exprs(struct sg_convert *cv, const List *list) {
    struct sg_nodes nodes = {.v = sg_arena_array(cv->arena, struct sg_node *, list_length(list))};
    ListCell *cell;
    foreach (cell, list)
        if (lfirst(cell))
            nodes.v[nodes.n++] = expr(cv, lfirst(cell));
    return nodes;
}

/* An expression node with up to four children, NULLs left out. */
static struct sg_node *generic(struct sg_convert *cv, const char *label, int at, const void *const *kids, size_t n) {
    struct sg_node *node = new_node(cv, SG_NODE_EXPR, at);
    node->name = label;
    node->kids.v = sg_arena_array(cv->arena, struct sg_node *, n);
    for (size_t i = 0; i < n; i++)
        if (kids[i])
            node->kids.v[node->kids.n++] = expr(cv, kids[i]);
    return node;
}
#define GENERIC(label, at, ...)                                    \
    generic(cv, (label), (at), (const void *const[]){__VA_ARGS__}, \
            sizeof((const void *const[]){__VA_ARGS__}) / sizeof(void *))

static struct sg_node *column_ref(struct sg_convert *cv, const ColumnRef *ref) {
    struct sg_node *node = new_node(cv, SG_NODE_COLUMN, ref->location);
    node->names = names_of(cv, ref->fields);
    node->star = IsA(llast(ref->fields), A_Star);
    return node;
}

static struct sg_node *constant(struct sg_convert *cv, const A_Const *value) {
    bool unknown = value->isnull || IsA(&value->val, String);
    return new_node(cv, unknown ? SG_NODE_TEXT : SG_NODE_CONST, value->location);
}

static struct sg_node *window(struct sg_convert *cv, const WindowDef *def) {
    struct sg_node *node =
        GENERIC(NULL, def->location, def->partitionClause, def->orderClause, def->startOffset, def->endOffset);
    return node;
}

static struct sg_node *call(struct sg_convert *cv, const FuncCall *fn) {
    struct sg_node *node = new_node(cv, SG_NODE_CALL, fn->location);
    node->name = dup(cv, strVal(llast(fn->funcname)));
    node->number = list_length(fn->funcname);
    node->kids = exprs(cv, fn->args);
    struct sg_node *rest = GENERIC(NULL, -1, fn->agg_order, fn->agg_filter);
    struct sg_nodes all = {.v = sg_arena_array(cv->arena, struct sg_node *, node->kids.n + 2)};
    for (size_t i = 0; i < node->kids.n; i++)
        all.v[all.n++] = node->kids.v[i];
    if (rest->kids.n)
        all.v[all.n++] = rest;
    if (fn->over)
        all.v[all.n++] = window(cv, fn->over);
    node->kids = all;
    return node;
}

static struct sg_node *sublink(struct sg_convert *cv, const SubLink *link) {
    static const enum sg_sublink kinds[] = {
        [EXISTS_SUBLINK] = SG_SUBLINK_EXISTS, [ALL_SUBLINK] = SG_SUBLINK_ANY_ALL, [ANY_SUBLINK] = SG_SUBLINK_ANY_ALL,
        [EXPR_SUBLINK] = SG_SUBLINK_EXPR,     [ARRAY_SUBLINK] = SG_SUBLINK_ARRAY,
    };
    struct sg_node *node = GENERIC(NULL, link->location, link->testexpr);
    node->kind = SG_NODE_SUBLINK;
    if (link->subLinkType > ARRAY_SUBLINK || link->subLinkType == ROWCOMPARE_SUBLINK ||
        link->subLinkType == MULTIEXPR_SUBLINK) {
        give_up(cv, "this kind of sub-query");
        return node;
    }
    node->sublink = kinds[link->subLinkType];
    node->query = sg_convert_query(cv, link->subselect);
    return node;
}

static struct sg_node *indirection(struct sg_convert *cv, const A_Indirection *ind) {
    struct sg_node *node = new_node(cv, SG_NODE_FIELD, exprLocation((const Node *)ind));
    node->kids.v = sg_arena_array(cv->arena, struct sg_node *, list_length(ind->indirection) + 1);
    node->kids.v[node->kids.n++] = expr(cv, ind->arg);
    ListCell *cell;
    foreach (cell, ind->indirection) {
        const Node *step = lfirst(cell);
        if (IsA(step, String)) {
            if (!node->name)
                node->names = (struct sg_names){.v = sg_arena_array(cv->arena, const char *, 1), .n = 1};
            node->name = dup(cv, strVal(step));
            if (cell == list_head(ind->indirection))
                node->names.v[0] = node->name; /* the field taken of the argument itself */
        } else if (IsA(step, A_Star)) {
            node->star = true;
        } else {
            node->kids.v[node->kids.n++] = expr(cv, step);
        }
    }
    return node;
}

static struct sg_node *case_expr(struct sg_convert *cv, const CaseExpr *c) {
    struct sg_node *node = new_node(cv, SG_NODE_CASE, c->location);
    node->kids.v = sg_arena_array(cv->arena, struct sg_node *, list_length(c->args) * 2 + 2);
    if (c->arg)
        node->kids.v[node->kids.n++] = expr(cv, c->arg);
    ListCell *cell;
    foreach (cell, c->args) {
        const CaseWhen *when = lfirst_node(CaseWhen, cell);
        node->kids.v[node->kids.n++] = expr(cv, when->expr);
        node->kids.v[node->kids.n++] = expr(cv, when->result);
    }
    if (c->defresult)
        node->kids.v[node->kids.n++] = node->last = expr(cv, c->defresult);
    return node;
}

static const char *sql_value_function_name(SQLValueFunctionOp op) {
    switch (op) {
    case SVFOP_CURRENT_DATE:
        return "current_date";
    case SVFOP_CURRENT_TIME:
    case SVFOP_CURRENT_TIME_N:
        return "current_time";
    case SVFOP_CURRENT_TIMESTAMP:
    case SVFOP_CURRENT_TIMESTAMP_N:
        return "current_timestamp";
    case SVFOP_LOCALTIME:
    case SVFOP_LOCALTIME_N:
        return "localtime";
    case SVFOP_LOCALTIMESTAMP:
    case SVFOP_LOCALTIMESTAMP_N:
        return "localtimestamp";
    case SVFOP_CURRENT_ROLE:
        return "current_role";
    case SVFOP_CURRENT_USER:
        return "current_user";
    case SVFOP_USER:
        return "user";
    case SVFOP_SESSION_USER:
        return "session_user";
    case SVFOP_CURRENT_CATALOG:
        return "current_catalog";
    case SVFOP_CURRENT_SCHEMA:
        return "current_schema";
    }
    return "?column?";
}

static const char *xml_function_name(XmlExprOp op) {
    static const char *const names[] = {
        [IS_XMLCONCAT] = "xmlconcat", [IS_XMLELEMENT] = "xmlelement", [IS_XMLFOREST] = "xmlforest",
        [IS_XMLPARSE] = "xmlparse",   [IS_XMLPI] = "xmlpi",           [IS_XMLROOT] = "xmlroot",
    };
    return op < sizeof names / sizeof *names ? names[op] : NULL;
}

/* Nodes that carry a name of their own or a sub-structure. NULL: not one of these. */
static struct sg_node *special_expr(struct sg_convert *cv, const Node *n) {
    struct sg_node *node;
    switch (nodeTag(n)) {
    case T_ColumnRef:
        return column_ref(cv, (const ColumnRef *)n);
    case T_ParamRef:
        return new_node(cv, SG_NODE_PARAM, ((const ParamRef *)n)->location);
    case T_A_Const:
        return constant(cv, (const A_Const *)n);
    case T_FuncCall:
        return call(cv, (const FuncCall *)n);
    case T_SubLink:
        return sublink(cv, (const SubLink *)n);
    case T_A_Indirection:
        return indirection(cv, (const A_Indirection *)n);
    case T_CaseExpr:
        return case_expr(cv, (const CaseExpr *)n);
    case T_SetToDefault:
        return new_node(cv, SG_NODE_DEFAULT, ((const SetToDefault *)n)->location);
    case T_CurrentOfExpr:
        return new_node(cv, SG_NODE_CURRENT_OF, -1);
    case T_TypeCast: {
        const TypeCast *cast = (const TypeCast *)n;
        node = GENERIC(NULL, exprLocation(n), cast->arg);
        node->kind = SG_NODE_CAST;
        node->name = dup(cv, strVal(llast(cast->typeName->names)));
        return node;
    }
    case T_CollateClause:
        node = GENERIC(NULL, exprLocation(n), ((const CollateClause *)n)->arg);
        node->kind = SG_NODE_COLLATE;
        return node;
    case T_RowExpr:
        node = new_node(cv, SG_NODE_ROW, ((const RowExpr *)n)->location);
        node->kids = exprs(cv, ((const RowExpr *)n)->args);
        return node;
    case T_WindowDef:
        return window(cv, (const WindowDef *)n);
    default:
        return NULL;
    }
}

/* Nodes that are nothing but their children. */
static struct sg_node *plain_expr(struct sg_convert *cv, const Node *n) {
    int at = exprLocation(n);
    switch (nodeTag(n)) {
    case T_List: {
        struct sg_node *node = new_node(cv, SG_NODE_EXPR, at);
        node->kids = exprs(cv, (const List *)n);
        return node;
    }
    case T_A_Expr: {
        const A_Expr *e = (const A_Expr *)n;
        return GENERIC(e->kind == AEXPR_NULLIF ? "nullif" : NULL, at, e->lexpr, e->rexpr);
    }
    case T_BoolExpr:
        return GENERIC(NULL, at, ((const BoolExpr *)n)->args);
    case T_A_Indices:
        return GENERIC(NULL, at, ((const A_Indices *)n)->lidx, ((const A_Indices *)n)->uidx);
    case T_A_ArrayExpr:
        return GENERIC("array", at, ((const A_ArrayExpr *)n)->elements);
    case T_CoalesceExpr:
        return GENERIC("coalesce", at, ((const CoalesceExpr *)n)->args);
    case T_MinMaxExpr:
        return GENERIC(((const MinMaxExpr *)n)->op == IS_GREATEST ? "greatest" : "least", at,
                       ((const MinMaxExpr *)n)->args);
    case T_SQLValueFunction:
        return GENERIC(sql_value_function_name(((const SQLValueFunction *)n)->op), at, NULL);
    case T_XmlExpr:
        return GENERIC(xml_function_name(((const XmlExpr *)n)->op), at, ((const XmlExpr *)n)->named_args,
                       ((const XmlExpr *)n)->args);
    case T_XmlSerialize:
        return GENERIC("xmlserialize", at, ((const XmlSerialize *)n)->expr);
    case T_NullTest:
        return GENERIC(NULL, at, ((const NullTest *)n)->arg);
    case T_BooleanTest:
        return GENERIC(NULL, at, ((const BooleanTest *)n)->arg);
    case T_GroupingFunc:
        return GENERIC("grouping", at, ((const GroupingFunc *)n)->args);
    case T_GroupingSet:
        return GENERIC(NULL, at, ((const GroupingSet *)n)->content);
    case T_NamedArgExpr:
        return GENERIC(NULL, at, ((const NamedArgExpr *)n)->arg);
    case T_SortBy:
        return GENERIC(NULL, at, ((const SortBy *)n)->node);
    case T_ResTarget: { /* XML attributes and namespaces */
        const ResTarget *target = (const ResTarget *)n;
        struct sg_node *node = GENERIC(NULL, target->location, target->val);
        node->kind = target->name ? SG_NODE_EXPR : SG_NODE_XML_ITEM;
        return node;
    }
    default:
        give_up(cv, "an expression of this kind");
        return new_node(cv, SG_NODE_EXPR, at);
    }
}

static struct sg_node *expr(struct sg_convert *cv, const void *node) {
    if (!node || cv->unsupported)
        return new_node(cv, SG_NODE_EXPR, -1);
    if (cv->depth >= MAX_DEPTH) {
        give_up(cv, "nesting this deep");
        return new_node(cv, SG_NODE_EXPR, -1);
    }
    cv->depth++;
    struct sg_node *converted = special_expr(cv, node);
    if (!converted)
        converted = plain_expr(cv, node);
    cv->depth--;
    return converted;
}

struct sg_node *sg_convert_expr(struct sg_convert *cv, const void *node) {
    return expr(cv, node);
}

static struct sg_node *optional(struct sg_convert *cv, const void *node) {
    return node ? expr(cv, node) : NULL;
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
        target->name = dup(cv, res->name);
        target->at = res->location;
        target->indirect = res->indirection != NIL;
        ListCell *step;
        target->subscripts.v = sg_arena_array(cv->arena, struct sg_node *, list_length(res->indirection));
        foreach (step, res->indirection)
            if (IsA(lfirst(step), A_Indices))
                target->subscripts.v[target->subscripts.n++] = expr(cv, lfirst(step));
        if (res->val && IsA(res->val, MultiAssignRef)) {
            const MultiAssignRef *ref = (const MultiAssignRef *)res->val;
            struct sg_node *shared = ref->source == source ? source_node : NULL;
            target->expr = new_node(cv, SG_NODE_MULTI, -1);
            target->expr->number = ref->colno;
            target->expr->kids.v = sg_arena_array(cv->arena, struct sg_node *, 1);
            target->expr->kids.n = 1;
            target->expr->kids.v[0] = shared ? shared : expr(cv, ref->source);
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
    with.recursive = clause->recursive;
    with.v = sg_arena_array(cv->arena, struct sg_cte, list_length(clause->ctes));
    ListCell *cell;
    foreach (cell, clause->ctes) {
        const CommonTableExpr *raw = lfirst_node(CommonTableExpr, cell);
        struct sg_cte *cte = &with.v[with.n++];
        cte->name = dup(cv, raw->ctename);
        cte->columns = names_of(cv, raw->aliascolnames);
        cte->query = sg_convert_query(cv, raw->ctequery);
        cte->search_or_cycle = raw->search_clause || raw->cycle_clause;
    }
    return with;
}

static void set_alias(struct sg_convert *cv, struct sg_from *from, const Alias *alias) {
    if (!alias)
        return;
    from->alias = dup(cv, alias->aliasname);
    if (alias->colnames)
        from->columns = names_of(cv, alias->colnames);
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
    from->schema = dup(cv, var->schemaname);
    from->name = dup(cv, var->relname);
    from->only = !var->inh;
    set_alias(cv, from, var->alias);
    return from;
}

static struct sg_from *join(struct sg_convert *cv, const JoinExpr *j) {
    struct sg_from *from = new_from(cv, SG_FROM_JOIN);
    from->left = from_item(cv, j->larg);
    from->right = from_item(cv, j->rarg);
    from->natural = j->isNatural;
    from->using = names_of(cv, j->usingClause);
    if (j->join_using_alias)
        from->using_alias = dup(cv, j->join_using_alias->aliasname);
    if (j->quals)
        from->exprs = (struct sg_nodes){.v = sg_arena_array(cv->arena, struct sg_node *, 1), .n = 1};
    if (j->quals)
        from->exprs.v[0] = expr(cv, j->quals);
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
        struct sg_node *node = expr(cv, linitial(pair));
        if (!from->name && node->kind == SG_NODE_CALL)
            from->name = node->name;
        from->exprs.v[from->exprs.n++] = node;
    }
    if (fn->coldeflist) {
        coldefs.v = sg_arena_array(cv->arena, const char *, list_length(fn->coldeflist));
        foreach (cell, fn->coldeflist)
            coldefs.v[coldefs.n++] = dup(cv, lfirst_node(ColumnDef, cell)->colname);
        from->columns = coldefs;
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
        from->columns.v[from->columns.n++] = dup(cv, lfirst_node(RangeTableFuncCol, cell)->colname);
    set_alias(cv, from, fn->alias);
    return from;
}

static struct sg_from *from_item(struct sg_convert *cv, const void *node) {
    struct sg_from *from = NULL;
    if (cv->depth++ >= MAX_DEPTH)
        give_up(cv, "nesting this deep");
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
        from->exprs = exprs(cv, sample->args);
    } else {
        give_up(cv, "a FROM item of this kind");
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
    q->order = exprs(cv, s->sortClause);
    q->tail = GENERIC(NULL, -1, s->limitOffset, s->limitCount)->kids;
    q->locking = s->lockingClause != NIL;
    q->into = s->intoClause != NULL;
    if (s->op != SETOP_NONE) {
        q->left = sg_convert_query(cv, s->larg);
        q->right = sg_convert_query(cv, s->rarg);
        return;
    }
    q->targets = targets_of(cv, s->targetList);
    q->from = from_list(cv, s->fromClause);
    q->where = optional(cv, s->whereClause);
    q->group = exprs(cv, s->groupClause);
    q->having = optional(cv, s->havingClause);
    q->windows = exprs(cv, s->windowClause);
    q->is_distinct = s->distinctClause != NIL;
    if (s->distinctClause && linitial(s->distinctClause))
        q->distinct = exprs(cv, s->distinctClause);
    if (s->valuesLists) {
        q->rows = sg_arena_array(cv->arena, struct sg_nodes, list_length(s->valuesLists));
        ListCell *cell;
        foreach (cell, s->valuesLists)
            q->rows[q->rows_len++] = exprs(cv, lfirst(cell));
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
        c->columns.v[c->columns.n++] = dup(cv, elem->name);
        if (elem->expr)
            c->exprs.v[c->exprs.n++] = expr(cv, elem->expr);
    }
    if (raw->infer->whereClause)
        c->exprs.v[c->exprs.n++] = expr(cv, raw->infer->whereClause);
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
        arm->values = exprs(cv, when->values);
    }
}

struct sg_query *sg_convert_query(struct sg_convert *cv, const void *node) {
    struct sg_query *q = sg_arena_new(cv->arena, struct sg_query);
    if (cv->unsupported)
        return q;
    if (cv->depth++ >= MAX_DEPTH)
        give_up(cv, "nesting this deep");
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
        give_up(cv, "a statement of this kind");
    cv->depth--;
    return q;
}
