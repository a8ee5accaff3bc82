#include "edits.h"

#include <stdlib.h>

enum { MAX_COPY_DEPTH = 64 };

void sg_edits_init(struct sg_edits *edits, struct sg_arena *arena) {
    *edits = (struct sg_edits){.arena = arena};
}

static struct sg_change *add(struct sg_edits *edits, size_t at, size_t removed) {
    if (edits->n == edits->cap) {
        size_t cap = edits->cap ? edits->cap * 2 : 16;
        struct sg_change *bigger = sg_arena_array(edits->arena, struct sg_change, cap);
        if (edits->n)
            memcpy(bigger, edits->v, sizeof *bigger * edits->n);
        edits->v = bigger;
        edits->cap = cap;
    }
    struct sg_change *change = &edits->v[edits->n];
    *change = (struct sg_change){.at = at, .removed = removed, .order = edits->n++};
    for (size_t i = 0; i < sizeof change->pieces / sizeof *change->pieces; i++)
        change->pieces[i].text = SG_SPAN_LIT("");
    return change;
}

struct sg_change *sg_edit_replace(struct sg_edits *edits, size_t at, size_t removed, struct sg_span text) {
    struct sg_change *change = add(edits, at, removed);
    change->pieces[0].text = text;
    return change;
}

struct sg_change *sg_edit_insert(struct sg_edits *edits, size_t at, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    struct sg_change *change = add(edits, at, 0);
    change->pieces[0].text = sg_span_of(sg_arena_vprintf(edits->arena, fmt, args));
    va_end(args);
    return change;
}

void sg_edit_copy(struct sg_edits *edits, size_t at, const char *prefix, size_t from, size_t to, const char *suffix) {
    struct sg_change *change = add(edits, at, 0);
    change->pieces[0].text = sg_span_of(prefix);
    change->pieces[1] = (struct sg_piece){.from = from, .to = to};
    change->pieces[2].text = sg_span_of(suffix);
}

static int compare_changes(const void *a, const void *b) {
    const struct sg_change *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    if (!x->removed != !y->removed)
        return !x->removed ? -1 : 1; /* what is inserted in front of a name stands in front of what it becomes */
    if (x->drops != y->drops)
        return x->drops ? -1 : 1;
    if (x->sticks != y->sticks)
        return x->sticks ? 1 : -1;
    return x->order < y->order ? -1 : 1;
}

struct compiler {
    struct sg_arena *arena;
    const struct sg_edits *edits;
    struct sg_span text;
    struct sg_splice_op *ops;
    size_t ops_len, ops_cap;
    struct sg_splice_edit *map; /* outermost changes, as they came out */
    size_t map_len;
    int depth;
    bool bad;
    bool seam; /* what comes next is from another place than what came last */
};

static struct sg_splice_op *put(struct compiler *c) {
    if (c->ops_len == c->ops_cap) {
        size_t cap = c->ops_cap ? c->ops_cap * 2 : 32;
        struct sg_splice_op *bigger = sg_arena_array(c->arena, struct sg_splice_op, cap);
        if (c->ops_len)
            memcpy(bigger, c->ops, sizeof *bigger * c->ops_len);
        c->ops = bigger;
        c->ops_cap = cap;
    }
    struct sg_splice_op *op = &c->ops[c->ops_len++];
    op->is_seam = c->seam;
    op->edits = (uint32_t)c->map_len;
    c->seam = false;
    return op;
}

static void put_own(struct compiler *c, struct sg_span text) {
    if (text.len == 0)
        return;
    struct sg_splice_op *op = put(c);
    op->is_own = true;
    op->own = text;
}

static struct sg_place place_at(size_t at) {
    return (struct sg_place){.bytes = (uint32_t)at};
}

static void put_original(struct compiler *c, size_t from, size_t to) {
    if (from >= to)
        return;
    struct sg_splice_op *op = put(c);
    op->is_kept = c->depth == 1;
    op->client.from = place_at(from);
    op->client.to = place_at(to);
}

static void compile_range(struct compiler *c, size_t from, size_t to);

static void compile_change(struct compiler *c, const struct sg_change *change) {
    if (c->depth == 1)
        c->map[c->map_len++] = (struct sg_splice_edit){place_at(change->at), place_at(change->at + change->removed)};
    for (size_t i = 0; i < sizeof change->pieces / sizeof *change->pieces; i++) {
        const struct sg_piece *piece = &change->pieces[i];
        c->seam = true;
        if (piece->text.ptr)
            put_own(c, piece->text);
        else
            compile_range(c, piece->from, piece->to);
    }
    c->seam = true;
}

/* The changes are sorted by place; a copy of a value must not walk over all that stand before it. */
static size_t first_at(const struct sg_edits *edits, size_t from) {
    size_t lo = 0, hi = edits->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (edits->v[mid].at < from)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Changes that begin in [from, to); one that inserts at `to` belongs to what follows. */
static void compile_range(struct compiler *c, size_t from, size_t to) {
    if (++c->depth > MAX_COPY_DEPTH) {
        c->bad = true;
        c->depth--;
        return;
    }
    size_t at = from, dropped_to = from;
    bool whole = from == 0 && to == c->text.len;
    for (size_t i = first_at(c->edits, from); i < c->edits->n && !c->bad; i++) {
        const struct sg_change *change = &c->edits->v[i];
        if ((change->unless && *change->unless) || (change->when && !*change->when) || (change->drops && c->depth > 1))
            continue;
        if (change->at >= to && !(whole && change->at == to))
            break;
        if (change->at < dropped_to && change->at + change->removed <= dropped_to)
            continue;
        if (change->at < at || change->at + change->removed > to) {
            c->bad = true;
            break;
        }
        put_original(c, at, change->at);
        compile_change(c, change);
        at = change->at + change->removed;
        if (change->drops)
            dropped_to = at;
    }
    put_original(c, at, to);
    c->depth--;
}

bool sg_edits_compile(struct sg_edits *edits, struct sg_span text, struct sg_splice *ret_splice) {
    if (edits->n)
        qsort(edits->v, edits->n, sizeof *edits->v, compare_changes);
    struct compiler c = {.arena = edits->arena, .edits = edits, .text = text};
    c.map = sg_arena_array(edits->arena, struct sg_splice_edit, edits->n);
    compile_range(&c, 0, text.len);
    if (!c.bad)
        *ret_splice = (struct sg_splice){c.ops, c.ops_len, c.map, c.map_len, false};
    return !c.bad;
}
