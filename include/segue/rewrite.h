/*
 * rewrite — SQL in, SQL out: the statements that name a mapped column are edited so that both columns are written
 * and the right one is read. The contract is docs/semantics.md.
 *
 * Pure: text and an immutable snapshot in, an immutable plan out. A rewriter (scratch memory and plan cache) belongs to
 * one thread; snapshots are shared.
 *
 *      text -> pre-filter -> plan cache -> lex + parse -> resolve names -> edits -> splice -> plan
 *              (no mapped     (known text: done.                                      ^
 *               name: PASS)    known shape: its splice is run on this text) ----------+
 */
#ifndef SEGUE_REWRITE_H
#define SEGUE_REWRITE_H

#include "segue/catalog.h"
#include "segue/encoding.h"
#include "segue/span.h"

#include <stdbool.h>
#include <stdint.h>

/* What `*` means to this client: both names, or one version's shape. */
enum sg_star { SG_STAR_BOTH, SG_STAR_OLD, SG_STAR_NEW };

const char *sg_star_name(enum sg_star star);
bool sg_star_from_name(const char *name, enum sg_star *ret_star);

struct sg_request {
    struct sg_span sql; /* as the client sent it; need not be NUL-terminated */
    enum sg_star star;
    const char *search_path; /* comma-separated, as SHOW search_path prints it; NULL: not known */
    /* Which table a name means may depend on what only the session's server knows: its search_path, its temporary
     * tables, what was made a moment ago. can_ask: the plan may be SG_ASK; plan again with the answers. */
    bool can_ask;
    bool is_doubtful;     /* and something may hide tables whose names are unique in the snapshot */
    struct sg_span facts; /* the answers so far: see below */
    /* The session's settings that change what the text means. */
    enum sg_encoding encoding; /* client_encoding */
    bool backslash_quotes;     /* standard_conforming_strings = off */
    bool extended;             /* from Parse: one statement only */
};

struct sg_copy;

enum sg_action {
    SG_PASS,    /* forward the client's bytes */
    SG_REWRITE, /* send plan->sql instead */
    SG_REFUSE,  /* answer with plan->error; nothing reaches the server */
    SG_ASK,     /* no answer yet: ask the server what plan->asks mean, and plan again with the facts */
};

/* How a text was changed: [at, at + removed) of the client's text became inserted bytes. Sorted by at. */
struct sg_edit {
    size_t at, removed, inserted;
};

/* Immutable once returned. Reference-counted, not atomically: a plan stays in the thread of its rewriter. */
struct sg_plan {
    enum sg_action action;
    struct sg_span sql; /* SG_REWRITE: the new text, NUL-terminated */
    const struct sg_edit *edits;
    size_t edits_len;
    /* SG_REWRITE: how the data of the text's COPYs FROM STDIN must be changed on their way, in their order
     * (segue/copy.h). NULL: not. */
    const struct sg_copy *copy;
    const struct sg_error *error; /* SG_REFUSE */
    /* SG_ASK: names of tables, quoted as to_regclass takes them, in UTF-8. */
    const struct sg_span *asks;
    size_t asks_len;
    bool has_facts;            /* made with facts: right only while they are */
    bool hides_names;          /* the text may make a table that hides one under migration */
    uint64_t fingerprint;      /* of the text without its literals, where those do not matter */
    enum sg_encoding encoding; /* in which characters count: the client's, unless the server looks at bytes only */
    uint64_t epoch;            /* of the snapshot it was made for */
    /* Which names of mappings the text used, for SHOW REFERENCES: bit i is mapping i of the snapshot (i < 64). */
    uint64_t used_old, used_new, used_star;
    uint64_t concerned; /* SG_REFUSE: on account of which mappings, likewise */
};

struct sg_rewriter;

/* cache_bytes bounds the memory of cached plans. */
struct sg_rewriter *sg_rewriter_new(size_t cache_bytes);
void sg_rewriter_free(struct sg_rewriter *rewriter);

/*
 * The one entry point. snapshot may be NULL (no control connection: everything passes).
 * The result is valid until the next call on this rewriter; sg_plan_ref keeps it longer.
 * NULL means PASS decided by the pre-filter: the commonest answer costs no plan.
 */
const struct sg_plan *sg_rewriter_plan(struct sg_rewriter *rewriter, struct sg_snapshot *snapshot,
                                       const struct sg_request *request);
const struct sg_plan *sg_plan_ref(const struct sg_plan *plan);
void sg_plan_unref(const struct sg_plan *plan);

/*
 * Facts: `ask=answer;` for each name that was asked, in the order of asking. An answer is empty where there is no such
 * table. Otherwise it is its schema, and then a space before each of its columns, or a question mark where they cannot
 * be told; all names in double quotes, quotes in them doubled: `"users"="tenant_1" "id" "nickname";"nope"=;`
 */

/* What running a text may do to the answers. */
enum sg_effect {
    SG_EFFECT_NONE,
    SG_EFFECT_ENDS,    /* ends a transaction, or runs a cursor: gives up what has been changed in it */
    SG_EFFECT_CHANGES, /* search_path, role, temporary tables, settings: anything may have changed */
};
/* Looks at the words, not at the meaning: in doubt it says CHANGES. What functions do is not seen. */
enum sg_effect sg_text_effect(struct sg_span sql);

/* Can the text, of a client of this encoding, concern a mapping at all? False is certain; true is a maybe. */
bool sg_prefilter_may_match(const struct sg_snapshot *snapshot, struct sg_span sql, enum sg_encoding encoding);

/* The server's error position (1-based character in plan->sql) as one in the client's text. Positions inside inserted
 * text map to the place of the edit. */
int sg_plan_map_position(const struct sg_plan *plan, struct sg_span client_sql, int position);

/* cache_hit: the very text was known; shape_hit: a text that differs from it in its literals only. */
struct sg_rewriter_stats {
    uint64_t prefilter_pass, cache_hit, shape_hit, cold, rewritten, refused, cache_bytes, cache_plans, evicted;
};
void sg_rewriter_stats(const struct sg_rewriter *rewriter, struct sg_rewriter_stats *ret_stats);

/* Splits a text into statements on top-level semicolons, as psql would: for `segue rewrite`. *cursor starts at 0. Each
 * span includes its semicolon and what precedes the statement; the spans together are the text. */
bool sg_split_next(struct sg_span text, size_t *cursor, struct sg_span *ret_statement);

/* SQL quoting, for whoever builds SQL: an identifier, quoted only where PostgreSQL would need it, and a literal. */
void sg_quote_ident(struct sg_arena *arena, const char *name, struct sg_span *ret_quoted);
void sg_quote_literal(struct sg_arena *arena, const char *value, struct sg_span *ret_quoted);

#endif
