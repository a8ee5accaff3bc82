/*
 * parse — the only door to libpg_query: text in, our own small tree out (ast.h). Nothing else in the house includes
 * postgres.h.
 *
 * libpg_query keeps its memory contexts per thread, so any thread may parse; the tree it builds is converted and thrown
 * away before sg_parse returns.
 */
#ifndef SEGUE_REWRITE_PARSE_H
#define SEGUE_REWRITE_PARSE_H

#include "ast.h"
#include "segue/arena.h"
#include "segue/error.h"
#include "segue/span.h"
#include "spelling.h"

/* Where the constants stand whose values the tree does not hold: byte offsets, in no order. */
struct sg_constants {
    int *v;
    size_t n, cap;
};

struct sg_parse_tree {
    struct sg_statement *v;
    size_t n;
    struct sg_constants constants;
};

enum sg_parse_result {
    SG_PARSE_OK,
    SG_PARSE_SYNTAX,      /* *reterr: PostgreSQL's own message and position (1-based character) */
    SG_PARSE_UNSUPPORTED, /* valid, but with a construct this house does not know; *reterr names it */
};

/* Parses the spelling's mask. An error's place is that of the mask. */
enum sg_parse_result sg_parse(struct sg_arena *arena, const struct sg_spelling *spelling,
                              struct sg_parse_tree *ret_tree, struct sg_error *reterr);

/* What the DDL in a text makes of tables and their columns, in order. */
enum sg_ddl_kind {
    SG_DDL_TABLE,       /* there is such a table, perhaps without columns */
    SG_DDL_COLUMN,      /* it has this column, and all tables below it have */
    SG_DDL_DROP_COLUMN, /* no longer, likewise */
    SG_DDL_LIKE,        /* it has the columns of `parent` */
    SG_DDL_INHERIT,     /* likewise, and stays below it */
};
struct sg_ddl_item {
    enum sg_ddl_kind kind;
    const char *schema, *table; /* schema NULL when not given */
    const char *parent_schema, *parent;
    const char *name;
    const char *type; /* as written: text of the type name; NULL: as inherited */
    const char *default_sql;
    bool is_generated, is_identity, partitioned, view;
};
struct sg_ddl {
    struct sg_ddl_item *v;
    size_t n;
};
enum sg_parse_result sg_parse_ddl(struct sg_arena *arena, struct sg_span sql, struct sg_ddl *ret_ddl,
                                  struct sg_error *reterr);

/* True for words that PostgreSQL's quote_ident() would quote. */
bool sg_keyword_needs_quotes(const char *word);
/* True for words that are no name of anything without quotes, but after a dot. */
bool sg_keyword_is_reserved(const char *word);

#endif
