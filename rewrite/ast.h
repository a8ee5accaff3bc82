/*
 * ast — the part of PostgreSQL's raw parse tree that a rewrite needs, in small types of our own.
 *
 * Everything lives in the statement's arena; names are folded and unquoted; `at` is a byte offset into the text, -1
 * when PostgreSQL records none. An expression keeps its column references, sub-queries and function calls at any depth;
 * the rest of it is "some expression with these children".
 */
#ifndef SEGUE_REWRITE_AST_H
#define SEGUE_REWRITE_AST_H

#include <stdbool.h>
#include <stddef.h>

struct sg_query;

enum sg_node_kind {
    SG_NODE_EXPR,    /* anything with children; name: fixed output label, or NULL */
    SG_NODE_COLUMN,  /* names[], star: the last part is * */
    SG_NODE_TEXT,    /* a constant of unknown type: 'x' or NULL */
    SG_NODE_CONST,   /* any other constant */
    SG_NODE_PARAM,   /* $n */
    SG_NODE_CALL,    /* name: function */
    SG_NODE_CAST,    /* kids[0]; name: type */
    SG_NODE_CASE,    /* kids; last: the ELSE expression or NULL */
    SG_NODE_COLLATE, /* kids[0] */
    SG_NODE_FIELD,   /* (kids[0]).name, kids[0][...]: name NULL without a field */
    SG_NODE_SUBLINK, /* query; sublink; kids[0]: test expression */
    SG_NODE_ROW,     /* kids */
    SG_NODE_DEFAULT, /* DEFAULT */
    SG_NODE_MULTI,   /* (a, b) = source: kids[0]: the source, shared by all its columns; number: 1-based column */
    SG_NODE_CURRENT_OF,
    SG_NODE_XML_ITEM, /* kids[0] of xmlforest or xmlattributes, named by its column */
};

enum sg_sublink { SG_SUBLINK_EXISTS, SG_SUBLINK_EXPR, SG_SUBLINK_ARRAY, SG_SUBLINK_ANY_ALL };

struct sg_nodes {
    struct sg_node **v;
    size_t n;
};

struct sg_names {
    const char **v;
    size_t n;
};

struct sg_node {
    enum sg_node_kind kind;
    int at;
    bool star;
    enum sg_sublink sublink;
    int number;
    const char *name;
    struct sg_names names;
    struct sg_nodes kids;
    struct sg_node *last;
    struct sg_query *query;
    /* COLUMN, FIELD: set when the text now names another column than the client wrote; the change is void when
     * *renamed. */
    const bool *renamed;
    bool keeps_row; /* COLUMN: an argument of a function that may want the table's own row type */
};

/* `u.*` and `(x).*`: more than one column, or none. */
static inline bool sg_node_expands(const struct sg_node *node) {
    return node && node->star && (node->kind == SG_NODE_COLUMN || node->kind == SG_NODE_FIELD);
}

/* One output column, one assignment, or one name of an INSERT's column list. */
struct sg_target {
    const char *name; /* label or column; NULL when none is given */
    int at;           /* select: of the expression; otherwise of the name */
    bool indirect;    /* the name is followed by [..] or .field */
    struct sg_node *expr;
    struct sg_nodes subscripts;
};

struct sg_targets {
    struct sg_target *v;
    size_t n;
};

enum sg_from_kind { SG_FROM_TABLE, SG_FROM_QUERY, SG_FROM_JOIN, SG_FROM_FUNCTION, SG_FROM_VALUES };

struct sg_from {
    enum sg_from_kind kind;
    int at;             /* TABLE: of the name */
    const char *schema; /* TABLE */
    const char *name;   /* TABLE; FUNCTION: of the first function */
    const char *alias;
    struct sg_names columns; /* alias column list, or the names of a column definition list */
    bool defines_columns;    /* FUNCTION: the latter: these are all there are */
    bool only, sampled, lateral, ordinality;
    struct sg_query *query;
    struct sg_nodes exprs; /* FUNCTION: arguments; JOIN: ON; sampled: arguments */
    struct sg_from *left, *right;
    bool natural, outer;
    struct sg_names using;
    const char *using_alias;
};

struct sg_froms {
    struct sg_from **v;
    size_t n;
};

struct sg_cte {
    const char *name;
    struct sg_names columns;
    struct sg_query *query;
    bool search_or_cycle;
};

struct sg_with {
    struct sg_cte *v;
    size_t n;
    bool recursive;
};

struct sg_conflict {
    bool present, update, on_constraint;
    struct sg_names columns; /* of the target; NULL where the item is an expression */
    struct sg_nodes exprs;   /* expression items and the target's WHERE */
    struct sg_targets set;
    struct sg_node *where;
};

/* One WHEN of a MERGE. */
struct sg_merge_arm {
    bool matched, inserts, updates;
    struct sg_node *condition;
    struct sg_targets targets; /* INSERT: columns; UPDATE: assignments */
    struct sg_nodes values;    /* INSERT */
};

enum sg_query_kind { SG_QUERY_SELECT, SG_QUERY_INSERT, SG_QUERY_UPDATE, SG_QUERY_DELETE, SG_QUERY_MERGE };

struct sg_query {
    enum sg_query_kind kind;
    struct sg_with with;
    /* SELECT */
    struct sg_query *left, *right; /* of a set operation */
    struct sg_targets targets;     /* also RETURNING */
    struct sg_nodes *rows;         /* VALUES */
    size_t rows_len;
    struct sg_nodes distinct, group, order, windows, tail; /* tail: LIMIT, OFFSET */
    struct sg_node *having;
    bool is_distinct, locking;
    struct sg_from *into; /* SELECT INTO, CREATE TABLE AS: the table that is made */
    /* SELECT, UPDATE, DELETE, MERGE */
    struct sg_froms from;  /* FROM, USING, the MERGE source */
    struct sg_node *where; /* MERGE: the join condition */
    /* INSERT, UPDATE, DELETE, MERGE */
    struct sg_from *target;
    struct sg_targets set;   /* INSERT: column list; UPDATE: assignments */
    struct sg_query *source; /* INSERT; NULL: DEFAULT VALUES */
    bool overriding;
    struct sg_conflict conflict;
    struct sg_merge_arm *arms;
    size_t arms_len;
};

enum sg_statement_kind {
    SG_STATEMENT_QUERY,        /* query */
    SG_STATEMENT_EXPLAIN,      /* query; or utility if NULL */
    SG_STATEMENT_CURSOR,       /* DECLARE: query */
    SG_STATEMENT_CREATE_AS,    /* CREATE TABLE AS: query */
    SG_STATEMENT_STORED,       /* CREATE [MATERIALIZED] VIEW, CREATE FUNCTION ... BEGIN ATOMIC: queries */
    SG_STATEMENT_COPY_QUERY,   /* COPY (query) TO */
    SG_STATEMENT_COPY_TABLE,   /* target, copy_* */
    SG_STATEMENT_NAMES_TABLES, /* utility that concerns whole tables: LOCK, TRUNCATE, VACUUM ... */
    SG_STATEMENT_HARMLESS,     /* utility that names no table: SET, BEGIN ... */
    SG_STATEMENT_BODY,         /* text in another language: DO, CREATE FUNCTION */
    SG_STATEMENT_DEFINITION,   /* DDL that is as good on a mapped table, unless it names a mapped column */
    SG_STATEMENT_NEW_TABLE,    /* CREATE TABLE, its columns its own */
    SG_STATEMENT_OTHER,
};

/* An option of COPY. Deprecated spellings look like the current ones, their place apart. */
struct sg_copy_option {
    const char *name;
    const char *value;     /* NULL: none, or a list */
    struct sg_names names; /* a list of columns */
    int at;                /* of the name */
};

struct sg_statement {
    enum sg_statement_kind kind;
    const char *what; /* for messages: "CREATE VIEW" */
    size_t at, len;   /* bytes of the text */
    struct sg_query *query;
    struct sg_queries {
        struct sg_query **v;
        size_t n;
    } queries;              /* STORED */
    struct sg_from *target; /* COPY_TABLE; STORED, NEW_TABLE: what is made */
    struct sg_names columns;
    bool copy_from, copy_server_file;
    bool if_not_exists, unique;     /* DEFINITION: of an index; NEW_TABLE: the former */
    struct sg_copy_option *options; /* COPY_TABLE */
    size_t options_len;
    struct sg_node *where; /* COPY_TABLE FROM */
};

#endif
