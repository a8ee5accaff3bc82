/*
 * convert — PostgreSQL's raw nodes into ours: expressions in convert_expr.c, queries in convert.c, statements around
 * them in convert_statement.c. Included only by files that include postgres.h.
 *
 * Nodes are passed as const void *: their types are PostgreSQL's, and not for headers of ours.
 */
#ifndef SEGUE_REWRITE_CONVERT_H
#define SEGUE_REWRITE_CONVERT_H

#include "ast.h"
#include "parse.h"
#include "segue/arena.h"
#include "spelling.h"

/* Deeper nesting than any person or ORM writes; the guard keeps hostile text off the stack's end. */
#define SG_CONVERT_MAX_DEPTH 1500
/* Of one text: each name in FROM is compared with all that are in sight, as it is by PostgreSQL. */
#define SG_CONVERT_MAX_CTES 10000

struct sg_convert {
    struct sg_arena *arena;
    const struct sg_spelling *spelling;
    const char *unsupported; /* set: what stopped the conversion */
    struct sg_constants constants;
    int depth;
    int ctes; /* so far */
};

/* A statement of any kind; out->at and out->len are the caller's to set. */
void sg_convert_statement(struct sg_convert *cv, struct sg_statement *out, const void *statement);

/* node: a SelectStmt, InsertStmt, UpdateStmt, DeleteStmt or MergeStmt. cv->unsupported is set if it is none. */
struct sg_query *sg_convert_query(struct sg_convert *cv, const void *node);
/* A RangeVar. */
struct sg_from *sg_convert_relation(struct sg_convert *cv, const void *range_var);

/* Any expression; never NULL. */
struct sg_node *sg_convert_expr(struct sg_convert *cv, const void *node);
struct sg_node *sg_convert_node(struct sg_convert *cv, enum sg_node_kind kind, int at);
/* A node that is nothing but its children; those that are NULL are left out. label: its fixed output name, or NULL. */
struct sg_node *sg_convert_generic(struct sg_convert *cv, const char *label, int at, const void *const *kids, size_t n);
#define GENERIC(label, at, ...)                                               \
    sg_convert_generic(cv, (label), (at), (const void *const[]){__VA_ARGS__}, \
                       sizeof((const void *const[]){__VA_ARGS__}) / sizeof(void *))

struct List;
struct sg_nodes sg_convert_exprs(struct sg_convert *cv, const struct List *list);
/* The Strings of a list; and one name or string of the parser's, as it is meant (spelling.h). */
struct sg_names sg_convert_names(struct sg_convert *cv, const struct List *list);
const char *sg_convert_name(struct sg_convert *cv, const char *name);

/* Records the first reason; answers false. */
bool sg_convert_give_up(struct sg_convert *cv, const char *what);

/* DDL for the catalog (convert_ddl.c): what the statements say is added to ddl. */
struct sg_ddl_reader {
    struct sg_arena *arena;
    struct sg_tokens tokens; /* of the whole text */
    struct sg_ddl ddl;
    size_t cap;
};
void sg_convert_ddl(struct sg_ddl_reader *reader, const void *statement);

#endif
