/*
 * scope — what a name means at one place of a query (PostgreSQL docs, sections 4.2.1, 7.2; parse_relation.c).
 *
 * Each query level has a scope: the entries of its FROM, and the level outside. An entry is one thing a qualified name
 * can start with. Mapped tables are entries with a table; everything else only says which columns it has, so that an
 * unqualified name can be proved to mean a mapped column, or not to.
 */
#ifndef SEGUE_REWRITE_SCOPE_H
#define SEGUE_REWRITE_SCOPE_H

#include "context.h"
#include "relation.h"

/* The output of a query or FROM item, as far as it is known. */
struct sg_output {
    struct sg_output_column {
        const char *name;
        bool extra; /* a new name that `*` added: not there when columns are counted */
    } * v;
    size_t n, cap;
    bool unknown;                 /* there are columns whose names cannot be known from the text and the catalog */
    bool extras;                  /* some column is extra */
    struct sg_question *question; /* unknown: its answer would tell */
};

void sg_output_add(struct sg_context *cx, struct sg_output *output, const char *name, bool extra);
void sg_output_append(struct sg_context *cx, struct sg_output *output, const struct sg_output *more);
bool sg_output_has(const struct sg_output *output, const char *name);
void sg_output_unknown(struct sg_output *output, bool unknown, struct sg_question *question);

struct sg_entry {
    const char *name;                   /* NULL: columns can be named, the entry cannot */
    const char *schema;                 /* of a table without an alias */
    const struct sg_table *table;       /* a mapped table, under its own column names */
    const struct sg_table *behind;      /* a mapped table, also when an alias column list hides its names */
    const struct sg_relation *relation; /* any other table in the catalog, likewise */
    struct sg_output output;            /* neither: derived tables, CTEs, functions, joins with an alias */
    const struct sg_from *from;
    struct sg_names merged; /* column names that USING or NATURAL merged with another entry's */
    bool is_target;         /* of UPDATE, DELETE, INSERT, MERGE; or another row of it: cannot become a sub-select */
    bool hidden;            /* inside a join with an alias */
    bool qualified_only;    /* EXCLUDED, old, new: not found by unqualified names */
    /* Replaced by a sub-select that has every name: for whole rows, USING, column alias lists. Changes of single names
     * inside it are then dropped (sg_change.unless). */
    bool replaced;
    bool replaced_as_old; /* the sub-select has the old shape, because columns are counted */
    bool uses_system, uses_new, is_whole_row;
    bool needs_names;     /* only a sub-select will do: USING, NATURAL, a column alias list, a star that relies on it */
    bool named_by_schema; /* some reference is public.users.nickname */
    bool needs_key;       /* GROUP BY may rely on the table's primary key */
};

struct sg_cte_name {
    const struct sg_cte_name *outer;
    const char *name;
    struct sg_output output;
};

struct sg_scope {
    const struct sg_scope *outer;
    struct sg_entry **entries;
    size_t n, cap;
    struct sg_froms items;          /* the FROM clause itself */
    const struct sg_cte_name *ctes; /* visible here */
    bool joins_by_name;             /* USING or NATURAL is used */
    bool joins_outer;               /* LEFT, RIGHT or FULL is: a whole row may be NULL itself */
    bool reads_old;                 /* the old column for as long as it is written (see read_name) */
    const struct sg_output *labels; /* ORDER BY: a bare name would mean one of these first */
};

void sg_scope_add(struct sg_context *cx, struct sg_scope *scope, struct sg_entry *entry);
/* Another row of the same table, under a name of its own: EXCLUDED, and RETURNING's old and new. */
void sg_scope_add_row(struct sg_context *cx, struct sg_scope *scope, const struct sg_entry *table, const char *name);
bool sg_entry_has(const struct sg_entry *entry, const char *name);
/* All its columns in order, as clients count them. */
void sg_entry_output(struct sg_context *cx, const struct sg_entry *entry, bool counted, struct sg_output *output);

enum sg_lookup {
    SG_LOOKUP_NONE,      /* no such column */
    SG_LOOKUP_OTHER,     /* somebody else's */
    SG_LOOKUP_MAPPED,    /* a column of a mapped table */
    SG_LOOKUP_AMBIGUOUS, /* as PostgreSQL would say, with a mapped table among the candidates */
    SG_LOOKUP_SHARED,    /* a mapping's name on one mapped table, and a column of one other entry */
    SG_LOOKUP_UNSURE,    /* may belong to an entry whose columns are not known */
};

/*
 * SHARED: under one of the two schemas, before or after the rename, the mapped table has no column of this name. Only
 * an application written for that schema can send the name unqualified, and it means the other entry: *ret_entry is
 * that one.
 */
enum sg_lookup sg_lookup_column(const struct sg_scope *scope, const char *name, struct sg_entry **ret_entry);
/* The nearest entry of this name; schema may be NULL. */
struct sg_entry *sg_lookup_entry(const struct sg_scope *scope, const char *schema, const char *name);

const struct sg_cte_name *sg_lookup_cte(const struct sg_cte_name *ctes, const char *name);

bool sg_is_system_column(const char *name);

#endif
