/*
 * context — one statement text on its way through the rewriter: what every step reads, and the two things steps write:
 * edits, or a refusal.
 *
 * A step that cannot prove its rewrite calls sg_refuse and returns; steps after it may still run, but the first refusal
 * stands and no edit is used.
 */
#ifndef SEGUE_REWRITE_CONTEXT_H
#define SEGUE_REWRITE_CONTEXT_H

#include "ast.h"
#include "catalog.h"
#include "charset.h"
#include "edits.h"
#include "parse.h"
#include "segue/copy.h"
#include "segue/rewrite.h"
#include "spelling.h"
#include "token.h"

struct sg_context {
    struct sg_arena *arena;
    const struct sg_snapshot *snapshot;
    const struct sg_request *request;
    struct sg_tokens tokens;
    struct sg_spelling spelling;
    struct sg_edits edits;
    bool refused;
    struct sg_error *error;
    unsigned row_selects;      /* assignments that were made (a, b) = (SELECT ...) */
    const char *stored;        /* what of the text is kept by the server beyond it, a view: "CREATE VIEW"; or NULL */
    struct sg_copy *copy;      /* what becomes of the data of the text's first COPY FROM STDIN that is changed */
    struct sg_copy *last_copy; /* and of its last */
    unsigned copies_in;        /* so many there are */
    uint64_t used_old, used_new, used_star;
    uint64_t concerned;            /* mappings that the refusal is about */
    struct sg_constants constants; /* of the text, whose values nobody saw */
    bool literal_read;             /* somebody read a literal's text after all */
    bool effect_read;              /* somebody read words (sg_text_effect), which may stand in literals, too */
    bool may_run_apart;            /* a statement of the text may be one that no other may be sent with: CONCURRENTLY */
    struct sg_question *questions; /* latest first */
    bool has_facts;                /* an answer was used */
    bool is_shifting;              /* an earlier statement of the text may change what names mean */
    bool hides_names;              /* a statement of the text may make a table that hides a mapped one */
};

/* "segue cannot rewrite <what>"; detail names the table's mappings (table may be NULL), at: byte offset or -1. */
void sg_refuse(struct sg_context *cx, int at, const struct sg_table *table, const char *hint, const char *what, ...)
    __attribute__((format(printf, 5, 6)));
/* An error that PostgreSQL itself would raise if the table had one column with two names. */
void sg_fail(struct sg_context *cx, int at, enum sg_sqlstate state, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* SQL text of a name, and SQL of the catalog, as the client would write them. Refuses what the client's encoding has no
 * characters for. */
const char *sg_ident(struct sg_context *cx, const char *name);
const char *sg_catalog_sql(struct sg_context *cx, const char *sql);

/* Records that the text used this name of the mapping. Refuses what the server would keep: it would name one phase's
 * column for good, and stand in the way of both CONTRACT and ROLLBACK. */
void sg_note_use(struct sg_context *cx, const struct sg_table_mapping *m, const char *name);
void sg_note_star(struct sg_context *cx, const struct sg_table *table);

/* 1-based character position of a byte offset. */
int sg_position(const struct sg_context *cx, size_t at);

#endif
