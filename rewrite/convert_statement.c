#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"

#include "convert.h"

struct tag_info {
    NodeTag tag;
    enum sg_statement_kind kind;
    const char *what;
};

static const struct tag_info tags[] = {
    {T_VariableSetStmt, SG_STATEMENT_HARMLESS, "SET"},
    {T_VariableShowStmt, SG_STATEMENT_HARMLESS, "SHOW"},
    {T_TransactionStmt, SG_STATEMENT_HARMLESS, "a transaction statement"},
    {T_DiscardStmt, SG_STATEMENT_HARMLESS, "DISCARD"},
    {T_DeallocateStmt, SG_STATEMENT_HARMLESS, "DEALLOCATE"},
    {T_ExecuteStmt, SG_STATEMENT_HARMLESS, "EXECUTE"},
    {T_FetchStmt, SG_STATEMENT_HARMLESS, "FETCH"},
    {T_ClosePortalStmt, SG_STATEMENT_HARMLESS, "CLOSE"},
    {T_ListenStmt, SG_STATEMENT_HARMLESS, "LISTEN"},
    {T_UnlistenStmt, SG_STATEMENT_HARMLESS, "UNLISTEN"},
    {T_NotifyStmt, SG_STATEMENT_HARMLESS, "NOTIFY"},
    {T_CheckPointStmt, SG_STATEMENT_HARMLESS, "CHECKPOINT"},
    {T_ConstraintsSetStmt, SG_STATEMENT_HARMLESS, "SET CONSTRAINTS"},
    {T_LockStmt, SG_STATEMENT_NAMES_TABLES, "LOCK TABLE"},
    {T_TruncateStmt, SG_STATEMENT_NAMES_TABLES, "TRUNCATE"},
    {T_ClusterStmt, SG_STATEMENT_NAMES_TABLES, "CLUSTER"},
    {T_ReindexStmt, SG_STATEMENT_NAMES_TABLES, "REINDEX"},
    {T_DoStmt, SG_STATEMENT_BODY, "DO"},
    {T_RuleStmt, SG_STATEMENT_OTHER, "CREATE RULE"},
    {T_RenameStmt, SG_STATEMENT_OTHER, "ALTER ... RENAME"},
    {T_DropStmt, SG_STATEMENT_OTHER, "DROP"},
    {T_CreateTrigStmt, SG_STATEMENT_DEFINITION, "CREATE TRIGGER"},
    {T_CreatePolicyStmt, SG_STATEMENT_DEFINITION, "CREATE POLICY"},
    {T_AlterPolicyStmt, SG_STATEMENT_DEFINITION, "ALTER POLICY"},
    {T_CreateStatsStmt, SG_STATEMENT_DEFINITION, "CREATE STATISTICS"},
    {T_CommentStmt, SG_STATEMENT_DEFINITION, "COMMENT"},
    {T_CallStmt, SG_STATEMENT_OTHER, "CALL"},
};

static const struct tag_info *tag_info(NodeTag tag) {
    static const struct tag_info other = {T_Invalid, SG_STATEMENT_OTHER, "this statement"};
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (tags[i].tag == tag)
            return &tags[i];
    return &other;
}

static const char *option_value(struct sg_convert *cv, const Node *arg) {
    if (arg && IsA(arg, String))
        return sg_convert_name(cv, strVal(arg));
    if (arg && IsA(arg, Integer))
        return sg_arena_printf(cv->arena, "%d", intVal(arg));
    if (arg && IsA(arg, Boolean))
        return boolVal(arg) ? "true" : "false";
    return NULL;
}

static void convert_copy_options(struct sg_convert *cv, struct sg_statement *out, const List *options) {
    out->options = sg_arena_array(cv->arena, struct sg_copy_option, list_length(options));
    ListCell *cell, *name;
    foreach (cell, options) {
        const DefElem *def = lfirst_node(DefElem, cell);
        struct sg_copy_option *option = &out->options[out->options_len++];
        option->name = sg_convert_name(cv, def->defname);
        option->value = option_value(cv, def->arg);
        option->at = def->location;
        if (!def->arg || !IsA(def->arg, List))
            continue;
        const List *names = (const List *)def->arg;
        option->names.v = sg_arena_array(cv->arena, const char *, list_length(names));
        foreach (name, names)
            if (IsA(lfirst(name), String))
                option->names.v[option->names.n++] = sg_convert_name(cv, strVal(lfirst(name)));
    }
}

static void convert_copy(struct sg_convert *cv, struct sg_statement *out, const CopyStmt *copy) {
    out->what = "COPY";
    out->copy_from = copy->is_from;
    out->copy_server_file = copy->filename != NULL;
    if (copy->query) {
        out->kind = SG_STATEMENT_COPY_QUERY;
        out->query = sg_convert_query(cv, copy->query);
        return;
    }
    out->kind = SG_STATEMENT_COPY_TABLE;
    out->target = sg_convert_relation(cv, copy->relation);
    out->columns.v = sg_arena_array(cv->arena, const char *, list_length(copy->attlist));
    ListCell *cell;
    foreach (cell, copy->attlist)
        out->columns.v[out->columns.n++] = sg_convert_name(cv, strVal(lfirst(cell)));
    convert_copy_options(cv, out, copy->options);
    out->where = copy->whereClause ? sg_convert_expr(cv, copy->whereClause) : NULL;
}

/* VACUUM and ANALYZE name tables, and sometimes columns. */
static void convert_vacuum(struct sg_statement *out, const VacuumStmt *vacuum) {
    out->kind = SG_STATEMENT_NAMES_TABLES;
    out->what = vacuum->is_vacuumcmd ? "VACUUM" : "ANALYZE";
    ListCell *cell;
    foreach (cell, vacuum->rels)
        if (lfirst_node(VacuumRelation, cell)->va_cols != NIL)
            out->kind = SG_STATEMENT_DEFINITION;
}

/* GRANT on a whole table does not name columns. */
static void convert_grant(struct sg_statement *out, const GrantStmt *grant) {
    out->kind = SG_STATEMENT_NAMES_TABLES;
    out->what = "GRANT";
    ListCell *cell;
    foreach (cell, grant->privileges)
        if (lfirst_node(AccessPriv, cell)->cols != NIL)
            out->kind = SG_STATEMENT_DEFINITION;
}

/* REFERENCES users (nickname) */
static bool references_columns(const Constraint *constraint) {
    return constraint->contype == CONSTR_FOREIGN && constraint->pk_attrs != NIL;
}

static bool item_references_columns(const Node *item) {
    if (IsA(item, Constraint))
        return references_columns((const Constraint *)item);
    ListCell *cell;
    if (IsA(item, ColumnDef))
        foreach (cell, ((const ColumnDef *)item)->constraints)
            if (references_columns(lfirst_node(Constraint, cell)))
                return true;
    return false;
}

/* What of other tables goes into the new one: columns (LIKE, INHERITS), or only names (REFERENCES). A partition takes
 * part in what its parent is. */
static void convert_create(struct sg_convert *cv, struct sg_statement *out, const CreateStmt *create) {
    out->kind = SG_STATEMENT_NEW_TABLE;
    out->what = "CREATE TABLE";
    out->target = sg_convert_relation(cv, create->relation);
    out->if_not_exists = create->if_not_exists && create->relation->relpersistence != 't'; /* TEMP */
    ListCell *cell;
    foreach (cell, create->tableElts) {
        const Node *item = lfirst(cell);
        if (item_references_columns(item) && out->kind == SG_STATEMENT_NEW_TABLE)
            out->kind = SG_STATEMENT_DEFINITION;
        if (IsA(item, TableLikeClause))
            out->kind = SG_STATEMENT_OTHER;
    }
    if (create->inhRelations != NIL)
        out->kind = create->partbound ? SG_STATEMENT_DEFINITION : SG_STATEMENT_OTHER;
}

static void convert_alter(struct sg_statement *out, const AlterTableStmt *alter) {
    out->kind = SG_STATEMENT_DEFINITION;
    out->what = "ALTER TABLE";
    ListCell *cell;
    foreach (cell, alter->cmds) {
        switch (lfirst_node(AlterTableCmd, cell)->subtype) {
        case AT_DropConstraint: /* it may be one that segue mirrors */
        case AT_AddInherit:
        case AT_DropInherit:
        case AT_AddOf:
        case AT_DropOf:
        case AT_DisableTrig: /* the guard is a trigger */
        case AT_DisableTrigAll:
        case AT_DisableTrigUser:
        case AT_EnableReplicaTrig:
        case AT_EnableTrig:
        case AT_EnableTrigAll:
        case AT_EnableTrigUser:
            out->kind = SG_STATEMENT_OTHER;
            break;
        default:
            break;
        }
    }
}

static void add_query(struct sg_convert *cv, struct sg_statement *out, struct sg_query *query) {
    struct sg_query **bigger = sg_arena_array(cv->arena, struct sg_query *, out->queries.n + 1);
    if (out->queries.n)
        memcpy(bigger, out->queries.v, sizeof *bigger * out->queries.n);
    bigger[out->queries.n] = query;
    out->queries = (struct sg_queries){bigger, out->queries.n + 1};
}

static void convert_view(struct sg_convert *cv, struct sg_statement *out, const ViewStmt *view) {
    out->kind = SG_STATEMENT_STORED;
    out->what = "CREATE VIEW";
    out->target = sg_convert_relation(cv, view->view);
    add_query(cv, out, sg_convert_query(cv, view->query));
}

/* RETURN expression: a query without FROM. */
static struct sg_query *convert_return(struct sg_convert *cv, const ReturnStmt *ret) {
    struct sg_query *query = sg_arena_new(cv->arena, struct sg_query);
    query->kind = SG_QUERY_SELECT;
    query->targets = (struct sg_targets){sg_arena_new(cv->arena, struct sg_target), 1};
    query->targets.v[0].expr = sg_convert_expr(cv, ret->returnval);
    query->targets.v[0].at = query->targets.v[0].expr->at;
    return query;
}

static struct sg_query *convert_body(struct sg_convert *cv, const Node *node) {
    return IsA(node, ReturnStmt) ? convert_return(cv, (const ReturnStmt *)node) : sg_convert_query(cv, node);
}

/* Bodies are text in some language, or, behind BEGIN ATOMIC or RETURN, statements of this one. */
static void convert_function(struct sg_convert *cv, struct sg_statement *out, const CreateFunctionStmt *create) {
    out->kind = create->sql_body ? SG_STATEMENT_STORED : SG_STATEMENT_BODY;
    out->what = create->is_procedure ? "CREATE PROCEDURE" : "CREATE FUNCTION";
    if (!create->sql_body)
        return;
    if (IsA(create->sql_body, ReturnStmt)) {
        add_query(cv, out, convert_body(cv, create->sql_body));
        return;
    }
    ListCell *list, *cell;
    foreach (list, (const List *)create->sql_body)
        foreach (cell, lfirst_node(List, list))
            add_query(cv, out, convert_body(cv, lfirst(cell)));
}

static void convert_create_as(struct sg_convert *cv, struct sg_statement *out, const CreateTableAsStmt *create) {
    bool stored = create->objtype == OBJECT_MATVIEW;
    out->kind = IsA(create->query, ExecuteStmt)   ? SG_STATEMENT_NEW_TABLE /* PREPARE has seen to the query */
                : !IsA(create->query, SelectStmt) ? SG_STATEMENT_OTHER
                : stored                          ? SG_STATEMENT_STORED
                                                  : SG_STATEMENT_CREATE_AS;
    out->what = stored ? "CREATE MATERIALIZED VIEW" : "CREATE TABLE AS";
    if (out->kind == SG_STATEMENT_NEW_TABLE) {
        out->target = sg_convert_relation(cv, create->into->rel);
        out->if_not_exists = create->if_not_exists && create->into->rel->relpersistence != 't';
    } else if (stored) {
        out->target = sg_convert_relation(cv, create->into->rel);
        add_query(cv, out, sg_convert_query(cv, create->query));
    } else if (out->kind == SG_STATEMENT_CREATE_AS) {
        out->query = sg_convert_query(cv, create->query);
        out->query->into = sg_convert_relation(cv, create->into->rel);
    }
}

void sg_convert_statement(struct sg_convert *cv, struct sg_statement *out, const void *statement) {
    const Node *node = statement;
    switch (nodeTag(node)) {
    case T_SelectStmt:
    case T_InsertStmt:
    case T_UpdateStmt:
    case T_DeleteStmt:
    case T_MergeStmt:
        out->kind = SG_STATEMENT_QUERY;
        out->query = sg_convert_query(cv, node);
        return;
    case T_ExplainStmt: {
        struct sg_statement inner = {0};
        sg_convert_statement(cv, &inner, ((const ExplainStmt *)node)->query);
        size_t at = out->at, len = out->len;
        *out = inner;
        out->at = at;
        out->len = len;
        if (inner.kind == SG_STATEMENT_QUERY)
            out->kind = SG_STATEMENT_EXPLAIN;
        return;
    }
    case T_PrepareStmt: /* its parameters are $1, $2 ... as in any other text, declared or not */
        out->kind = SG_STATEMENT_QUERY;
        out->query = sg_convert_query(cv, ((const PrepareStmt *)node)->query);
        return;
    case T_DeclareCursorStmt:
        out->kind = SG_STATEMENT_CURSOR;
        out->query = sg_convert_query(cv, ((const DeclareCursorStmt *)node)->query);
        return;
    case T_CreateTableAsStmt:
        convert_create_as(cv, out, (const CreateTableAsStmt *)node);
        return;
    case T_ViewStmt:
        convert_view(cv, out, (const ViewStmt *)node);
        return;
    case T_CreateFunctionStmt:
        convert_function(cv, out, (const CreateFunctionStmt *)node);
        return;
    case T_IndexStmt:
        out->kind = SG_STATEMENT_DEFINITION;
        out->what = "CREATE INDEX";
        out->if_not_exists = ((const IndexStmt *)node)->if_not_exists;
        out->unique = ((const IndexStmt *)node)->unique;
        return;
    case T_CreateStmt:
        convert_create(cv, out, (const CreateStmt *)node);
        return;
    case T_AlterTableStmt:
        convert_alter(out, (const AlterTableStmt *)node);
        return;
    case T_CopyStmt:
        convert_copy(cv, out, (const CopyStmt *)node);
        return;
    case T_VacuumStmt:
        convert_vacuum(out, (const VacuumStmt *)node);
        return;
    case T_GrantStmt:
        convert_grant(out, (const GrantStmt *)node);
        return;
    default:
        out->kind = tag_info(nodeTag(node))->kind;
        out->what = tag_info(nodeTag(node))->what;
    }
}
