/*
 * prepared — SQL that makes, runs and ends prepared statements by name: PREPARE, EXECUTE (also in EXPLAIN and CREATE
 * TABLE AS), DEALLOCATE, DISCARD ALL. Whoever keeps track of a session's prepared statements learns here what a text
 * does to them. Pure; read from the tokens, so that also a text that only a newer server can parse is understood.
 */
#ifndef SEGUE_PREPARED_H
#define SEGUE_PREPARED_H

#include "segue/arena.h"
#include "segue/encoding.h"
#include "segue/span.h"

#include <stdbool.h>
#include <stddef.h>

enum sg_prepared_kind { SG_PREPARED_MAKE, SG_PREPARED_RUN, SG_PREPARED_END, SG_PREPARED_END_ALL };

struct sg_prepared_op {
    enum sg_prepared_kind kind;
    const char *name;   /* as the server stores it: folded, cut to 63 bytes. NULL: not known for certain, or END_ALL */
    struct sg_span sql; /* the statement it is, without its semicolon; the whole text where that is one statement */
};

struct sg_prepared_ops {
    struct sg_prepared_op *v; /* in the order of the text, at most one a statement */
    size_t n;
    size_t statements; /* of the text, those included that do nothing here, or stand in a function's body */
};

/* Does the text hold one of the words at all? False is certain. Most texts cost no more than this. */
bool sg_prepared_may_match(struct sg_span sql);

/* Names live in the arena, in the client's own bytes, as in messages; spans point into sql. encoding and
 * backslash_quotes as in sg_request. */
void sg_prepared_read(struct sg_arena *arena, struct sg_span sql, enum sg_encoding encoding, bool backslash_quotes,
                      struct sg_prepared_ops *ret_ops);

/* The tag with which the server completes such a statement; NULL for RUN, whose tag is that of what was run. */
const char *sg_prepared_tag(enum sg_prepared_kind kind);

#endif
