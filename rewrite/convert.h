/* convert — PostgreSQL's raw nodes into ours. Included only by files that include postgres.h (parse.c, convert.c). */
#ifndef SEGUE_REWRITE_CONVERT_H
#define SEGUE_REWRITE_CONVERT_H

#include "ast.h"
#include "segue/arena.h"

struct sg_convert {
    struct sg_arena *arena;
    const char *unsupported; /* set: what stopped the conversion */
    int depth;
};

struct Node;
struct RawStmt;
struct RangeVar;
/* node: a SelectStmt, InsertStmt, UpdateStmt, DeleteStmt or MergeStmt. NULL with cv->unsupported set otherwise. */
struct sg_query *sg_convert_query(struct sg_convert *cv, const void *node);
struct sg_from *sg_convert_relation(struct sg_convert *cv, const void *range_var);
struct sg_node *sg_convert_expr(struct sg_convert *cv, const void *node);

#endif
