#include "postgres.h"

#include "common/keywords.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "utils/memutils.h"

#include <pg_query.h>

#include "convert.h"
#include "parse.h"
#include "token.h"

/* From libpg_query's pg_query_internal.h, which Debian ships in a form that cannot be included on its own. */
typedef struct {
    List *tree;
    char *stderr_buffer;
    PgQueryError *error;
} PgQueryInternalParsetreeAndError;

extern PgQueryInternalParsetreeAndError pg_query_raw_parse(const char *input);
extern MemoryContext pg_query_enter_memory_context(void);
extern void pg_query_exit_memory_context(MemoryContext ctx);
extern void pg_query_free_error(PgQueryError *error);

/* ---- Statements ---- */

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

static void convert_statement(struct sg_convert *cv, struct sg_statement *out, const Node *node) {
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
        convert_statement(cv, &inner, ((const ExplainStmt *)node)->query);
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

/* Runs fn on the raw tree inside a memory context that is gone afterwards. */
struct raw {
    MemoryContext context;
    PgQueryInternalParsetreeAndError result;
};

static enum sg_parse_result raw_begin(struct raw *raw, struct sg_span sql, struct sg_error *reterr) {
    raw->context = pg_query_enter_memory_context();
    raw->result = pg_query_raw_parse(sql.ptr);
    if (!raw->result.error)
        return SG_PARSE_OK;
    sg_error_set(reterr, SG_SQLSTATE_SYNTAX_ERROR, "%s", raw->result.error->message);
    reterr->position = raw->result.error->cursorpos;
    return SG_PARSE_SYNTAX;
}

static void raw_end(struct raw *raw) {
    if (raw->result.error)
        pg_query_free_error(raw->result.error);
    free(raw->result.stderr_buffer); /* pg_query_raw_parse hands over a malloc'd copy */
    pg_query_exit_memory_context(raw->context);
}

enum sg_parse_result sg_parse(struct sg_arena *arena, const struct sg_spelling *spelling,
                              struct sg_parse_tree *ret_tree, struct sg_error *reterr) {
    struct sg_span sql = spelling->mask;
    struct raw raw;
    enum sg_parse_result result = raw_begin(&raw, sql, reterr);
    if (result == SG_PARSE_OK) {
        struct sg_convert cv = {.arena = arena, .spelling = spelling};
        struct sg_parse_tree tree = {.v = sg_arena_array(arena, struct sg_statement, list_length(raw.result.tree))};
        ListCell *cell;
        foreach (cell, raw.result.tree) {
            const RawStmt *stmt = lfirst_node(RawStmt, cell);
            struct sg_statement *out = &tree.v[tree.n++];
            out->at = (size_t)stmt->stmt_location;
            out->len = stmt->stmt_len ? (size_t)stmt->stmt_len : sql.len - out->at;
            convert_statement(&cv, out, stmt->stmt);
        }
        if (cv.unsupported) {
            sg_error_set(reterr, SG_SQLSTATE_FEATURE_NOT_SUPPORTED, "segue does not support %s", cv.unsupported);
            result = SG_PARSE_UNSUPPORTED;
        } else {
            tree.constants = cv.constants;
            *ret_tree = tree;
        }
    }
    raw_end(&raw);
    return result;
}

/* ---- DDL ---- */

struct ddl_reader {
    struct sg_arena *arena;
    struct sg_tokens tokens;
    struct sg_ddl ddl;
    size_t cap;
};

static struct sg_ddl_item *ddl_add(struct ddl_reader *r, enum sg_ddl_kind kind, const RangeVar *relation) {
    if (r->ddl.n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 32;
        struct sg_ddl_item *bigger = sg_arena_array(r->arena, struct sg_ddl_item, cap);
        if (r->ddl.n)
            memcpy(bigger, r->ddl.v, sizeof *bigger * r->ddl.n);
        r->ddl.v = bigger;
        r->cap = cap;
    }
    struct sg_ddl_item *item = &r->ddl.v[r->ddl.n++];
    item->kind = kind;
    item->schema = relation->schemaname ? sg_arena_strdup(r->arena, relation->schemaname) : NULL;
    item->table = sg_arena_strdup(r->arena, relation->relname);
    return item;
}

static void ddl_below(struct ddl_reader *r, enum sg_ddl_kind kind, const RangeVar *child, const RangeVar *parent) {
    struct sg_ddl_item *item = ddl_add(r, kind, child);
    item->parent_schema = parent->schemaname ? sg_arena_strdup(r->arena, parent->schemaname) : NULL;
    item->parent = sg_arena_strdup(r->arena, parent->relname);
}

/* Text of a DEFAULT expression: up to the comma, the parenthesis, or the next column constraint. */
static const char *default_text(struct ddl_reader *r, const Node *raw_expr) {
    static const char *const next[] = {"not",        "null",      "check",   "unique",     "primary",
                                       "references", "generated", "collate", "constraint", "deferrable"};
    size_t i = sg_token_at(&r->tokens, (size_t)exprLocation(raw_expr)), from = i;
    size_t end = sg_expr_end(&r->tokens, i);
    for (i++; i < end; i++) {
        const char *word = r->tokens.v[i].kind == SG_TOKEN_WORD && r->tokens.v[i].depth == r->tokens.v[from].depth
                               ? sg_token_name(r->arena, &r->tokens, i)
                               : NULL;
        for (size_t k = 0; word && k < sizeof next / sizeof *next; k++)
            if (strcmp(word, next[k]) == 0)
                end = i;
    }
    size_t at = r->tokens.v[from].at;
    return sg_arena_strndup(r->arena, r->tokens.text.ptr + at, sg_end_before(&r->tokens, end) - at);
}

static const char *type_text(struct ddl_reader *r, const TypeName *type) {
    const char *name = strVal(llast(type->names));
    return sg_arena_printf(r->arena, "%s%s", name, type->arrayBounds ? "[]" : "");
}

static void ddl_column(struct ddl_reader *r, const RangeVar *relation, const ColumnDef *def) {
    struct sg_ddl_item *column = ddl_add(r, SG_DDL_COLUMN, relation);
    column->name = sg_arena_strdup(r->arena, def->colname);
    column->type = def->typeName ? type_text(r, def->typeName) : NULL;
    if (column->type && (strncmp(column->type, "serial", 6) == 0 || strncmp(column->type, "bigserial", 9) == 0)) {
        column->type = column->type[0] == 's' ? "int4" : "int8";
        column->default_sql = sg_arena_printf(r->arena, "nextval('%s%s%s_%s_seq'::regclass)",
                                              relation->schemaname ? relation->schemaname : "",
                                              relation->schemaname ? "." : "", relation->relname, def->colname);
    }
    ListCell *cell;
    foreach (cell, def->constraints) {
        const Constraint *constraint = lfirst_node(Constraint, cell);
        if (constraint->contype == CONSTR_DEFAULT)
            column->default_sql = default_text(r, constraint->raw_expr);
        column->is_generated |= constraint->contype == CONSTR_GENERATED;
        column->is_identity |= constraint->contype == CONSTR_IDENTITY;
    }
}

static void ddl_create(struct ddl_reader *r, const CreateStmt *create) {
    ddl_add(r, SG_DDL_TABLE, create->relation)->partitioned = create->partspec != NULL;
    ListCell *cell;
    foreach (cell, create->inhRelations) /* PARTITION OF, too */
        ddl_below(r, SG_DDL_INHERIT, create->relation, lfirst_node(RangeVar, cell));
    foreach (cell, create->tableElts) {
        if (IsA(lfirst(cell), ColumnDef))
            ddl_column(r, create->relation, lfirst(cell));
        else if (IsA(lfirst(cell), TableLikeClause))
            ddl_below(r, SG_DDL_LIKE, create->relation, ((const TableLikeClause *)lfirst(cell))->relation);
    }
}

static void ddl_alter(struct ddl_reader *r, const AlterTableStmt *alter) {
    ListCell *cell;
    foreach (cell, alter->cmds) {
        const AlterTableCmd *cmd = lfirst_node(AlterTableCmd, cell);
        if (cmd->subtype == AT_AddColumn)
            ddl_column(r, alter->relation, (const ColumnDef *)cmd->def);
        else if (cmd->subtype == AT_DropColumn)
            ddl_add(r, SG_DDL_DROP_COLUMN, alter->relation)->name = sg_arena_strdup(r->arena, cmd->name);
        else if (cmd->subtype == AT_AttachPartition && alter->objtype == OBJECT_TABLE)
            ddl_below(r, SG_DDL_INHERIT, ((const PartitionCmd *)cmd->def)->name, alter->relation);
        else if (cmd->subtype == AT_AddInherit)
            ddl_below(r, SG_DDL_INHERIT, alter->relation, (const RangeVar *)cmd->def);
    }
}

static void ddl_view(struct ddl_reader *r, const ViewStmt *view) {
    ddl_add(r, SG_DDL_TABLE, view->view)->view = true;
    ListCell *cell;
    foreach (cell, view->aliases) {
        struct sg_ddl_item *column = ddl_add(r, SG_DDL_COLUMN, view->view);
        column->name = sg_arena_strdup(r->arena, strVal(lfirst(cell)));
    }
}

enum sg_parse_result sg_parse_ddl(struct sg_arena *arena, struct sg_span sql, struct sg_ddl *ret_ddl,
                                  struct sg_error *reterr) {
    struct raw raw;
    enum sg_parse_result result = raw_begin(&raw, sql, reterr);
    if (result == SG_PARSE_OK) {
        struct ddl_reader reader = {.arena = arena};
        sg_tokenize(arena, sql, (struct sg_lexis){0}, &reader.tokens);
        ListCell *cell;
        foreach (cell, raw.result.tree) {
            const Node *stmt = lfirst_node(RawStmt, cell)->stmt;
            if (IsA(stmt, CreateStmt))
                ddl_create(&reader, (const CreateStmt *)stmt);
            else if (IsA(stmt, AlterTableStmt))
                ddl_alter(&reader, (const AlterTableStmt *)stmt);
            else if (IsA(stmt, ViewStmt))
                ddl_view(&reader, (const ViewStmt *)stmt);
        }
        *ret_ddl = reader.ddl;
    }
    raw_end(&raw);
    return result;
}

bool sg_keyword_needs_quotes(const char *word) {
    int keyword = ScanKeywordLookup(word, &ScanKeywords);
    return keyword >= 0 && ScanKeywordCategories[keyword] != UNRESERVED_KEYWORD;
}

bool sg_keyword_is_reserved(const char *word) {
    int keyword = ScanKeywordLookup(word, &ScanKeywords);
    return keyword >= 0 && ScanKeywordCategories[keyword] == RESERVED_KEYWORD;
}
