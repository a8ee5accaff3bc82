/*
 * splice — a rewrite as instructions: which of the client's bytes, and which of ours, make the new text, in order.
 *
 * A place in the client's text is counted from the end of the literal before it. So instructions that were made for one
 * text also make the new text of another one that differs from it in its literals only (pattern.h).
 */
#ifndef SEGUE_REWRITE_SPLICE_H
#define SEGUE_REWRITE_SPLICE_H

#include "segue/arena.h"
#include "segue/rewrite.h"
#include "shape.h"

struct sg_place {
    uint32_t literals; /* that end at or before it */
    uint32_t bytes;    /* since the last of them ended, or since the text began */
};

/* One run of bytes. Never an empty one. */
struct sg_splice_op {
    union {
        struct sg_span own;
        struct {
            struct sg_place from, to;
        } client;
    };
    uint32_t edits; /* so many have begun: the last of them accounts for what is put */
    bool is_own;
    bool is_kept; /* the client's bytes where they were */
    bool is_seam; /* comes from another place than what was put before */
};

struct sg_splice_edit {
    struct sg_place at, end; /* removed */
};

struct sg_splice {
    const struct sg_splice_op *ops;
    size_t ops_len;
    const struct sg_splice_edit *edits;
    size_t edits_len;
    bool is_wide; /* a byte under 0x80 may be the second of a character */
};

/* No byte of a run can lie further: the most that sg_splice_run puts, for a text with these literals. */
size_t sg_splice_max_bytes(const struct sg_splice *splice, const struct sg_shape *shape);

/* Puts the new text, without a NUL, and its edits; answers its length. shape: of text; empty when the splice is not
 * relative. */
size_t sg_splice_run(const struct sg_splice *splice, struct sg_span text, const struct sg_shape *shape, char *ret_text,
                     struct sg_edit *ret_edits);

/* Makes places that were counted from the beginning of the text relative to its literals: a copy in arena. False when
 * one lies inside a literal. */
bool sg_splice_relate(struct sg_arena *arena, const struct sg_splice *splice, const struct sg_shape *shape,
                      struct sg_splice *ret_relative);

#endif
