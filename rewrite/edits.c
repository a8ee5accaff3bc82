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
    return x->order < y->order ? -1 : 1;
}

struct renderer {
    const struct sg_edits *edits;
    struct sg_span text;
    char *out; /* NULL while measuring */
    size_t len;
    int depth;
    bool bad;
    bool seam;           /* what comes next is from another place than what came last */
    char last;           /* byte put */
    struct sg_edit *map; /* NULL while measuring. Outermost changes, as they came out */
    size_t map_len;
};

static bool is_word_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
           (unsigned char)c >= 0x80;
}

/* Would the two read as one token, or change each other? `SELECT"nickname"FROM` needs no blanks; an unquoted name in
 * its place does. */
static bool must_stay_apart(char a, char b) {
    return (is_word_byte(a) && (is_word_byte(b) || b == '\'')) || (a == b && (a == '"' || a == '\''));
}

static void put(struct renderer *r, const char *ptr, size_t len) {
    if (len == 0)
        return;
    if (r->seam && r->len > 0 && must_stay_apart(r->last, ptr[0])) {
        if (r->out)
            r->out[r->len] = ' ';
        r->len++;
    }
    if (r->out)
        memcpy(r->out + r->len, ptr, len);
    r->len += len;
    r->last = ptr[len - 1];
    r->seam = false;
}

static void render_range(struct renderer *r, size_t from, size_t to);

static void render_change(struct renderer *r, const struct sg_change *change) {
    for (size_t i = 0; i < sizeof change->pieces / sizeof *change->pieces; i++) {
        const struct sg_piece *piece = &change->pieces[i];
        r->seam = true;
        if (piece->text.ptr)
            put(r, piece->text.ptr, piece->text.len);
        else
            render_range(r, piece->from, piece->to);
    }
    r->seam = true;
}

/* A blank that is put before the text belongs to the change that made it necessary. */
static void put_original(struct renderer *r, size_t from, size_t to) {
    size_t before = r->len;
    put(r, r->text.ptr + from, to - from);
    if (r->map && r->depth == 1 && r->map_len > 0)
        r->map[r->map_len - 1].inserted += r->len - before - (to - from);
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
static void render_range(struct renderer *r, size_t from, size_t to) {
    if (++r->depth > MAX_COPY_DEPTH) {
        r->bad = true;
        r->depth--;
        return;
    }
    size_t at = from;
    bool whole = from == 0 && to == r->text.len;
    for (size_t i = first_at(r->edits, from); i < r->edits->n && !r->bad; i++) {
        const struct sg_change *change = &r->edits->v[i];
        if ((change->unless && *change->unless) || (change->not_in_copies && r->depth > 1))
            continue;
        if (change->at >= to && !(whole && change->at == to))
            break;
        if (change->at < at || change->at + change->removed > to) {
            r->bad = true;
            break;
        }
        put_original(r, at, change->at);
        size_t before = r->len;
        render_change(r, change);
        if (r->map && r->depth == 1)
            r->map[r->map_len++] = (struct sg_edit){change->at, change->removed, r->len - before};
        at = change->at + change->removed;
    }
    put_original(r, at, to);
    r->depth--;
}

bool sg_edits_render(struct sg_edits *edits, struct sg_span text, struct sg_span *ret_text,
                     const struct sg_edit **ret_edits, size_t *ret_edits_len) {
    if (edits->n)
        qsort(edits->v, edits->n, sizeof *edits->v, compare_changes);
    struct renderer r = {.edits = edits, .text = text};
    render_range(&r, 0, text.len);
    if (r.bad)
        return false;
    char *out = sg_arena_alloc(edits->arena, r.len + 1);
    struct sg_edit *map = sg_arena_array(edits->arena, struct sg_edit, edits->n);
    r = (struct renderer){.edits = edits, .text = text, .out = out, .map = map};
    render_range(&r, 0, text.len);
    *ret_text = (struct sg_span){out, r.len};
    *ret_edits = map;
    *ret_edits_len = r.map_len;
    return true;
}
