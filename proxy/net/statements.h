/*
 * statements — the prepared statements of one session, remembered so that they can be prepared again in a newer epoch.
 *
 * A name has a chain of versions, newest first: at most one that the server has confirmed, at the end, and before it
 * those whose Parse or Close is still in flight. The newest is what the name will mean if nothing fails in between.
 *
 *      Parse, Close --add--> pending --confirm (ParseComplete, CloseComplete)--> confirmed; older ones go
 *                               \-----undo (failed, or skipped after an error)--> gone; older ones stay
 *
 * Texts are interned per worker: a fleet of clients that prepares the same statements shares them.
 */
#ifndef SEGUE_NET_STATEMENTS_H
#define SEGUE_NET_STATEMENTS_H

#include "segue/protocol.h"
#include "segue/rewrite.h"
#include "segue/span.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

/* Text and parameter types of a Parse. Immutable; counted, not atomically. */
struct sg_text {
    struct sg_texts *owner;
    UT_hash_handle hh;
    uint32_t refs;
    uint16_t nparams;
    /* Of a Parse, by sg_text_judge: */
    bool is_judged;
    bool may_prepare;      /* it may be SQL that makes, runs or ends prepared statements (segue/prepared.h) */
    enum sg_effect effect; /* of running it */
    size_t sql_len;
    size_t key_len; /* of bytes */
    char bytes[];   /* text, NUL, nparams big-endian int32 */
};

struct sg_texts {
    struct sg_text *by_bytes;
    struct sg_buf key; /* under construction */
    /* What all sessions of the worker remember; written by it, read by any thread. */
    _Atomic uint64_t versions, bytes;
};

struct sg_text *sg_text_intern(struct sg_texts *texts, struct sg_span sql, uint16_t nparams, const uint8_t *param_oids);
/* What its words say of it: looked for once, however often it comes. */
void sg_text_judge(struct sg_text *text);
struct sg_text *sg_text_ref(struct sg_text *text);
void sg_text_unref(struct sg_text *text);
static inline struct sg_span sg_text_sql(const struct sg_text *text) {
    return (struct sg_span){text->bytes, text->sql_len};
}
static inline const uint8_t *sg_text_oids(const struct sg_text *text) {
    return (const uint8_t *)text->bytes + text->sql_len + 1;
}

/* Every text is gone. */
void sg_texts_free(struct sg_texts *texts);

struct sg_statement;

struct sg_version {
    struct sg_version *older;
    struct sg_statement *of;
    struct sg_text *text;       /* NULL: not remembered (too long), or is_gone */
    const struct sg_plan *plan; /* what the server has instead of text; NULL: the text itself */
    uint64_t epoch;             /* whose mappings plan is right for */
    uint64_t batch;             /* of the session, when it was sent */
    enum sg_star star;          /* for its whole life: the result shape must not change */
    struct sg_reading {         /* how text was meant when it was sent */
        enum sg_encoding encoding;
        bool backslash_quotes;
    } reading;
    uint32_t generation; /* of the facts that plan was made with */
    bool has_facts;      /* plan depends on them */
    bool is_doubted;     /* plan was made while names were in doubt */
    bool is_sql;         /* made by PREPARE in SQL, which is what text holds */
    bool is_pending;
    bool is_gone; /* Close */
    bool is_lost; /* the server no longer has it, and the client does not know */
};

struct sg_statement {
    UT_hash_handle hh;
    struct sg_version *newest;
    size_t name_len;
    char name[]; /* NUL-terminated */
};

struct sg_statements {
    struct sg_texts *texts;
    struct sg_statement *by_name; /* the unnamed one, too: its name is empty */
    size_t versions, rewritten;   /* of all names; those with a plan */
    size_t text_bytes;            /* a text counts once for each version */
    uint64_t uniform_epoch;       /* every version is of this epoch; 0: not known to be so */
};

void sg_statements_init(struct sg_statements *st, struct sg_texts *texts);
void sg_statements_free(struct sg_statements *st);

struct sg_statement *sg_statements_find(struct sg_statements *st, struct sg_span name);

/* Takes no references over: text and plan are referenced anew. text NULL with is_gone false: not remembered. */
struct sg_version *sg_statements_add(struct sg_statements *st, struct sg_span name, struct sg_text *text,
                                     const struct sg_plan *plan, uint64_t epoch);
struct sg_version *sg_statements_add_close(struct sg_statements *st, struct sg_span name);
void sg_statements_confirm(struct sg_statements *st, struct sg_version *version);
void sg_statements_undo(struct sg_statements *st, struct sg_version *version);
/* The server has closed the version; it is to be prepared again. */
void sg_statements_lost(struct sg_statements *st, struct sg_version *version);
/* The server forgot the confirmed version of this name: a simple Query ends the unnamed statement. */
void sg_statements_forget(struct sg_statements *st, struct sg_span name);
/* DEALLOCATE ALL, DISCARD ALL: every confirmed version goes. */
void sg_statements_forget_all(struct sg_statements *st);
/* The version was looked at in a newer epoch and means the same text there. */
void sg_version_carry_over(struct sg_statements *st, struct sg_version *version, const struct sg_plan *plan,
                           uint64_t epoch);

#endif
