#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"

#include "convert.h"

static struct sg_ddl_item *ddl_add(struct sg_ddl_reader *r, enum sg_ddl_kind kind, const RangeVar *relation) {
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

static void ddl_below(struct sg_ddl_reader *r, enum sg_ddl_kind kind, const RangeVar *child, const RangeVar *parent) {
    struct sg_ddl_item *item = ddl_add(r, kind, child);
    item->parent_schema = parent->schemaname ? sg_arena_strdup(r->arena, parent->schemaname) : NULL;
    item->parent = sg_arena_strdup(r->arena, parent->relname);
}

/* Text of a DEFAULT expression: up to the comma, the parenthesis, or the next column constraint. */
static const char *default_text(struct sg_ddl_reader *r, const Node *raw_expr) {
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

static const char *type_text(struct sg_ddl_reader *r, const TypeName *type) {
    const char *name = strVal(llast(type->names));
    return sg_arena_printf(r->arena, "%s%s", name, type->arrayBounds ? "[]" : "");
}

static void ddl_column(struct sg_ddl_reader *r, const RangeVar *relation, const ColumnDef *def) {
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

static void ddl_create(struct sg_ddl_reader *r, const CreateStmt *create) {
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

static void ddl_alter(struct sg_ddl_reader *r, const AlterTableStmt *alter) {
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

static void ddl_view(struct sg_ddl_reader *r, const ViewStmt *view) {
    ddl_add(r, SG_DDL_TABLE, view->view)->view = true;
    ListCell *cell;
    foreach (cell, view->aliases) {
        struct sg_ddl_item *column = ddl_add(r, SG_DDL_COLUMN, view->view);
        column->name = sg_arena_strdup(r->arena, strVal(lfirst(cell)));
    }
}

void sg_convert_ddl(struct sg_ddl_reader *reader, const void *statement) {
    const Node *node = statement;
    if (IsA(node, CreateStmt))
        ddl_create(reader, (const CreateStmt *)node);
    else if (IsA(node, AlterTableStmt))
        ddl_alter(reader, (const AlterTableStmt *)node);
    else if (IsA(node, ViewStmt))
        ddl_view(reader, (const ViewStmt *)node);
}
