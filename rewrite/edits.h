/*
 * edits — a rewrite as a list of changes to the client's text.
 *
 * A change replaces [at, at + removed) by pieces: literal text, or a copy of another part of the text *as changed* (so
 * that `SET nickname = upper(username)` can repeat its value with the names inside already right). Everything else
 * keeps its bytes.
 */
#ifndef SEGUE_REWRITE_EDITS_H
#define SEGUE_REWRITE_EDITS_H

#include "segue/arena.h"
#include "segue/rewrite.h"
#include "splice.h"

struct sg_piece {
    struct sg_span text; /* literal; or, when ptr is NULL, a copy of [from, to) */
    size_t from, to;
};

struct sg_change {
    size_t at, removed;
    size_t order; /* changes at one place: insertions first, then in the order they were made */
    struct sg_piece pieces[3];
    const bool *unless; /* dropped when true at render time; NULL: never */
    const bool *when;   /* dropped when false; likewise */
    bool sticks;        /* an insertion that belongs to the name behind it: what wraps the name goes in front */
    bool drops;         /* removes its range with all changes in it; copies of the place still have it */
};

struct sg_edits {
    struct sg_arena *arena;
    struct sg_change *v;
    size_t n, cap;
};

void sg_edits_init(struct sg_edits *edits, struct sg_arena *arena);

/* The returned change may be given a condition (unless, when). Valid until the next call. */
struct sg_change *sg_edit_replace(struct sg_edits *edits, size_t at, size_t removed, struct sg_span text);
struct sg_change *sg_edit_insert(struct sg_edits *edits, size_t at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Inserts prefix, a copy of [from, to), suffix. */
void sg_edit_copy(struct sg_edits *edits, size_t at, const char *prefix, size_t from, size_t to, const char *suffix);

/* The changes as instructions, places counted from the beginning of the text. They point to the changes' own text.
 * False when changes overlap: a bug, to be answered with a refusal. */
bool sg_edits_compile(struct sg_edits *edits, struct sg_span text, struct sg_splice *ret_splice);

#endif
