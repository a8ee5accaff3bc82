#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "nodes/primnodes.h"

#include "convert.h"

bool sg_convert_give_up(struct sg_convert *cv, const char *what) {
    if (!cv->unsupported)
        cv->unsupported = what;
    return false;
}

const char *sg_convert_name(struct sg_convert *cv, const char *s) {
    const char *meant = s ? sg_spelling_of(cv->spelling, s) : NULL;
    if (s && !meant)
        sg_convert_give_up(cv, "a string with Unicode escapes, or in several lines, in this place");
    return meant ? sg_arena_strdup(cv->arena, meant) : NULL;
}

struct sg_node *sg_convert_node(struct sg_convert *cv, enum sg_node_kind kind, int at) {
    struct sg_node *node = sg_arena_new(cv->arena, struct sg_node);
    node->kind = kind;
    node->at = at;
    return node;
}

struct sg_names sg_convert_names(struct sg_convert *cv, const List *list) {
    struct sg_names names = {.v = sg_arena_array(cv->arena, const char *, list_length(list))};
    ListCell *cell;
    foreach (cell, list)
        if (lfirst(cell) && IsA(lfirst(cell), String))
            names.v[names.n++] = sg_convert_name(cv, strVal(lfirst(cell)));
    return names;
}

struct sg_nodes sg_convert_exprs(struct sg_convert *cv, const List *list) {
    struct sg_nodes nodes = {.v = sg_arena_array(cv->arena, struct sg_node *, list_length(list))};
    ListCell *cell;
    foreach (cell, list)
        if (lfirst(cell))
            nodes.v[nodes.n++] = sg_convert_expr(cv, lfirst(cell));
    return nodes;
}

/* Where the expression begins: an operator stands behind its left operand, and so does AT TIME ZONE, which is a call.
 * PostgreSQL's exprLocation would go down the whole left side, for each node anew, and off the stack's end. */
static int leftmost(int at, const struct sg_nodes *kids) {
    const struct sg_node *first;
    for (; kids->n; kids = &first->kids) {
        first = kids->v[0];
        if (first->at >= 0 && (at < 0 || first->at < at))
            at = first->at;
        if (first->kind != SG_NODE_CALL)
            break;
    }
    return at;
}

/* An expression node with up to four children, NULLs left out. */
struct sg_node *sg_convert_generic(struct sg_convert *cv, const char *label, int at, const void *const *kids,
                                   size_t n) {
    struct sg_node *node = sg_convert_node(cv, SG_NODE_EXPR, at);
    node->name = label;
    node->kids.v = sg_arena_array(cv->arena, struct sg_node *, n);
    for (size_t i = 0; i < n; i++)
        if (kids[i])
            node->kids.v[node->kids.n++] = sg_convert_expr(cv, kids[i]);
    node->at = leftmost(at, &node->kids);
    return node;
}

static struct sg_node *column_ref(struct sg_convert *cv, const ColumnRef *ref) {
    struct sg_node *node = sg_convert_node(cv, SG_NODE_COLUMN, ref->location);
    node->names = sg_convert_names(cv, ref->fields);
    node->star = IsA(llast(ref->fields), A_Star);
    return node;
}

static void note_constant(struct sg_convert *cv, int at) {
    struct sg_constants *constants = &cv->constants;
    if (constants->n == constants->cap) {
        size_t cap = constants->cap ? constants->cap * 2 : 32;
        int *bigger = sg_arena_array(cv->arena, int, cap);
        if (constants->n)
            memcpy(bigger, constants->v, sizeof *bigger * constants->n);
        constants->v = bigger;
        constants->cap = cap;
    }
    constants->v[constants->n++] = at;
}

/* The value is left behind, and the place is noted: texts that differ here only are rewritten alike (pattern.h). A node
 * that is to hold a value must not be noted. */
static struct sg_node *constant(struct sg_convert *cv, const A_Const *value) {
    note_constant(cv, value->location);
    bool unknown = value->isnull || IsA(&value->val, String);
    return sg_convert_node(cv, unknown ? SG_NODE_TEXT : SG_NODE_CONST, value->location);
}

static struct sg_node *window(struct sg_convert *cv, const WindowDef *def) {
    struct sg_node *node =
        GENERIC(NULL, def->location, def->partitionClause, def->orderClause, def->startOffset, def->endOffset);
    return node;
}

static struct sg_node *call(struct sg_convert *cv, const FuncCall *fn) {
    struct sg_node *node = sg_convert_node(cv, SG_NODE_CALL, fn->location);
    node->name = sg_convert_name(cv, strVal(llast(fn->funcname)));
    node->number = list_length(fn->funcname);
    node->kids = sg_convert_exprs(cv, fn->args);
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
    node->at = link->location;
    if (link->subLinkType > ARRAY_SUBLINK || link->subLinkType == ROWCOMPARE_SUBLINK ||
        link->subLinkType == MULTIEXPR_SUBLINK) {
        sg_convert_give_up(cv, "this kind of sub-query");
        return node;
    }
    node->sublink = kinds[link->subLinkType];
    node->query = sg_convert_query(cv, link->subselect);
    return node;
}

static struct sg_node *indirection(struct sg_convert *cv, const A_Indirection *ind) {
    struct sg_node *node = sg_convert_node(cv, SG_NODE_FIELD, -1);
    node->kids.v = sg_arena_array(cv->arena, struct sg_node *, list_length(ind->indirection) + 1);
    node->kids.v[node->kids.n++] = sg_convert_expr(cv, ind->arg);
    node->at = node->kids.v[0]->at;
    ListCell *cell;
    foreach (cell, ind->indirection) {
        const Node *step = lfirst(cell);
        if (IsA(step, String)) {
            if (!node->name)
                node->names = (struct sg_names){.v = sg_arena_array(cv->arena, const char *, 1), .n = 1};
            node->name = sg_convert_name(cv, strVal(step));
            if (cell == list_head(ind->indirection))
                node->names.v[0] = node->name; /* the field taken of the argument itself */
        } else if (IsA(step, A_Star)) {
            node->star = true;
        } else {
            node->kids.v[node->kids.n++] = sg_convert_expr(cv, step);
        }
    }
    return node;
}

static struct sg_node *case_expr(struct sg_convert *cv, const CaseExpr *c) {
    struct sg_node *node = sg_convert_node(cv, SG_NODE_CASE, c->location);
    node->kids.v = sg_arena_array(cv->arena, struct sg_node *, list_length(c->args) * 2 + 2);
    if (c->arg)
        node->kids.v[node->kids.n++] = sg_convert_expr(cv, c->arg);
    ListCell *cell;
    foreach (cell, c->args) {
        const CaseWhen *when = lfirst_node(CaseWhen, cell);
        node->kids.v[node->kids.n++] = sg_convert_expr(cv, when->expr);
        node->kids.v[node->kids.n++] = sg_convert_expr(cv, when->result);
    }
    if (c->defresult)
        node->kids.v[node->kids.n++] = node->last = sg_convert_expr(cv, c->defresult);
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
        return sg_convert_node(cv, SG_NODE_PARAM, ((const ParamRef *)n)->location);
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
        return sg_convert_node(cv, SG_NODE_DEFAULT, ((const SetToDefault *)n)->location);
    case T_CurrentOfExpr:
        return sg_convert_node(cv, SG_NODE_CURRENT_OF, -1);
    case T_TypeCast: {
        const TypeCast *cast = (const TypeCast *)n;
        node = GENERIC(NULL, cast->location, cast->arg);
        if (cast->typeName->location >= 0 && cast->typeName->location < node->at)
            node->at = cast->typeName->location; /* date '2020-02-02' */
        node->kind = SG_NODE_CAST;
        node->name = sg_convert_name(cv, strVal(llast(cast->typeName->names)));
        return node;
    }
    case T_CollateClause:
        node = GENERIC(NULL, -1, ((const CollateClause *)n)->arg);
        node->kind = SG_NODE_COLLATE;
        return node;
    case T_RowExpr:
        node = sg_convert_node(cv, SG_NODE_ROW, ((const RowExpr *)n)->location);
        node->kids = sg_convert_exprs(cv, ((const RowExpr *)n)->args);
        return node;
    case T_WindowDef:
        return window(cv, (const WindowDef *)n);
    default:
        return NULL;
    }
}

/* Nodes that are nothing but their children. */
static struct sg_node *plain_expr(struct sg_convert *cv, const Node *n) {
    switch (nodeTag(n)) {
    case T_List: {
        struct sg_node *node = sg_convert_node(cv, SG_NODE_EXPR, -1);
        node->kids = sg_convert_exprs(cv, (const List *)n);
        for (size_t i = 0; i < node->kids.n && node->at < 0; i++)
            node->at = node->kids.v[i]->at;
        return node;
    }
    case T_A_Expr: {
        const A_Expr *e = (const A_Expr *)n;
        return GENERIC(e->kind == AEXPR_NULLIF ? "nullif" : NULL, e->location, e->lexpr, e->rexpr);
    }
    case T_BoolExpr:
        return GENERIC(NULL, ((const BoolExpr *)n)->location, ((const BoolExpr *)n)->args);
    case T_A_Indices:
        return GENERIC(NULL, -1, ((const A_Indices *)n)->lidx, ((const A_Indices *)n)->uidx);
    case T_A_ArrayExpr:
        return GENERIC("array", ((const A_ArrayExpr *)n)->location, ((const A_ArrayExpr *)n)->elements);
    case T_CoalesceExpr:
        return GENERIC("coalesce", ((const CoalesceExpr *)n)->location, ((const CoalesceExpr *)n)->args);
    case T_MinMaxExpr:
        return GENERIC(((const MinMaxExpr *)n)->op == IS_GREATEST ? "greatest" : "least",
                       ((const MinMaxExpr *)n)->location, ((const MinMaxExpr *)n)->args);
    case T_SQLValueFunction:
        return GENERIC(sql_value_function_name(((const SQLValueFunction *)n)->op),
                       ((const SQLValueFunction *)n)->location, NULL);
    case T_XmlExpr:
        return GENERIC(xml_function_name(((const XmlExpr *)n)->op), ((const XmlExpr *)n)->location,
                       ((const XmlExpr *)n)->named_args, ((const XmlExpr *)n)->args);
    case T_XmlSerialize:
        return GENERIC("xmlserialize", ((const XmlSerialize *)n)->location, ((const XmlSerialize *)n)->expr);
    case T_NullTest:
        return GENERIC(NULL, ((const NullTest *)n)->location, ((const NullTest *)n)->arg);
    case T_BooleanTest:
        return GENERIC(NULL, ((const BooleanTest *)n)->location, ((const BooleanTest *)n)->arg);
    case T_GroupingFunc:
        return GENERIC("grouping", ((const GroupingFunc *)n)->location, ((const GroupingFunc *)n)->args);
    case T_GroupingSet:
        return GENERIC(NULL, ((const GroupingSet *)n)->location, ((const GroupingSet *)n)->content);
    case T_NamedArgExpr:
        return GENERIC(NULL, ((const NamedArgExpr *)n)->location, ((const NamedArgExpr *)n)->arg);
    case T_SortBy:
        return GENERIC(NULL, -1, ((const SortBy *)n)->node);
    case T_ResTarget: { /* XML attributes and namespaces */
        const ResTarget *target = (const ResTarget *)n;
        struct sg_node *node = GENERIC(NULL, target->location, target->val);
        node->kind = target->name ? SG_NODE_EXPR : SG_NODE_XML_ITEM;
        return node;
    }
    default:
        sg_convert_give_up(cv, "an expression of this kind");
        return sg_convert_node(cv, SG_NODE_EXPR, -1);
    }
}

struct sg_node *sg_convert_expr(struct sg_convert *cv, const void *node) {
    if (!node || cv->unsupported)
        return sg_convert_node(cv, SG_NODE_EXPR, -1);
    if (cv->depth >= SG_CONVERT_MAX_DEPTH) {
        sg_convert_give_up(cv, "nesting this deep");
        return sg_convert_node(cv, SG_NODE_EXPR, -1);
    }
    cv->depth++;
    struct sg_node *converted = special_expr(cv, node);
    if (!converted)
        converted = plain_expr(cv, node);
    cv->depth--;
    return converted;
}
