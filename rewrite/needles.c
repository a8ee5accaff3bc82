#include "needles.h"

#include "segue/limits.h"

#include <stdint.h>
#include <stdlib.h>

typedef uint8_t bytes16 __attribute__((vector_size(16)));

static uint8_t fold(char c) {
    return c >= 'A' && c <= 'Z' ? (uint8_t)c | 0x20 : (uint8_t)c;
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
           (uint8_t)c >= 0x80;
}

/* In E'from\nusers', which a function may execute, the letter before the word is part of an escape. */
static bool begins_word(struct sg_span text, const char *p) {
    return p == text.ptr || !is_word(p[-1]) || (p - text.ptr >= 2 && p[-2] == '\\');
}

/* PostgreSQL cuts names at 63 bytes, at a character's end: from this length on, a longer name may mean the same. */
enum { CUT_BYTES = SG_NAME_BYTES - 4 };

static bool match_at(struct sg_span text, const char *p, struct sg_needle needle) {
    for (size_t i = 0; i < needle.len; i++)
        if (fold(p[i]) != fold(needle.ptr[i]))
            return false;
    if (!needle.is_whole)
        return true;
    const char *end = p + needle.len;
    return begins_word(text, p) && (end == text.ptr + text.len || needle.len >= CUT_BYTES || !is_word(*end));
}

static bytes16 splat(uint8_t c) {
    return (bytes16){c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c};
}

static bytes16 load(const char *p) {
    bytes16 v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* The first of 16 places. Setting bit 5 folds letters; it also makes a few other bytes look alike, which match_at sorts
 * out. */
static const char *find_in_block(struct sg_span text, const char *p, struct sg_needle needle) {
    const bytes16 bit = splat(0x20);
    const bytes16 first = splat((uint8_t)needle.ptr[0] | 0x20);
    const bytes16 last = splat((uint8_t)needle.ptr[needle.len - 1] | 0x20);
    bytes16 hits = (bytes16)((load(p) | bit) == first) & (bytes16)((load(p + needle.len - 1) | bit) == last);
    uint64_t halves[2];
    memcpy(halves, &hits, sizeof halves);
    if ((halves[0] | halves[1]) == 0)
        return NULL;
    for (size_t i = 0; i < 16; i++)
        if (hits[i] && match_at(text, p + i, needle))
            return p + i;
    return NULL;
}

/* The first place from p on. */
static const char *find_from(struct sg_span text, const char *p, struct sg_needle needle) {
    size_t len = needle.len;
    if ((size_t)(text.ptr + text.len - p) < len || len == 0)
        return len == 0 ? p : NULL;
    const char *start = p, *last_start = text.ptr + text.len - len, *found = NULL;
    for (; last_start - p >= 15 && !found; p += 16)
        found = find_in_block(text, p, needle);
    if (found || last_start - start >= 15) /* what is left, with some places that have been looked at */
        return found ? found : p <= last_start ? find_in_block(text, last_start - 15, needle) : NULL;
    for (uint8_t first = (uint8_t)needle.ptr[0] | 0x20; p <= last_start; p++)
        if (((uint8_t)*p | 0x20) == first && match_at(text, p, needle))
            return p;
    return NULL;
}

const char *sg_needle_find(struct sg_span text, struct sg_needle needle) {
    return find_from(text, text.ptr, needle);
}

/* ---- Many ---- */

/* Names that begin alike. With one member: that, as it is. */
struct group {
    struct sg_needle common; /* what all of them begin with */
    const struct sg_needle *v;
    size_t n;
};

struct sg_needles {
    struct group *v;
    size_t n;
};

/* Fewer bytes in common stand in too many other words. */
enum { COMMON_BYTES = 4 };

static int compare(struct sg_span a, struct sg_span b) {
    for (size_t i = 0; i < a.len && i < b.len; i++)
        if (fold(a.ptr[i]) != fold(b.ptr[i]))
            return fold(a.ptr[i]) < fold(b.ptr[i]) ? -1 : 1;
    return a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
}

static struct sg_span span_of(struct sg_needle needle) {
    return (struct sg_span){needle.ptr, needle.len};
}

static int compare_needles(const void *a, const void *b) {
    const struct sg_needle *x = a, *y = b;
    int order = compare(span_of(*x), span_of(*y));
    return order ? order : (int)x->is_whole - (int)y->is_whole;
}

static size_t common_bytes(struct sg_span a, struct sg_span b) {
    size_t n = 0;
    while (n < a.len && n < b.len && fold(a.ptr[n]) == fold(b.ptr[n]))
        n++;
    return n;
}

/* Only names that are found or not by a whole word of the text can share a search. */
static bool is_plain(const struct sg_needle *needle) {
    bool plain = needle->is_whole && needle->len < CUT_BYTES;
    for (size_t i = 0; plain && i < needle->len; i++)
        plain = is_word(needle->ptr[i]);
    return plain;
}

const struct sg_needles *sg_needles_new(struct sg_arena *arena, const struct sg_needle *v, size_t n) {
    struct sg_needle *sorted = sg_arena_copy(arena, v, sizeof *v * n);
    struct sg_needles *needles = sg_arena_new(arena, struct sg_needles);
    needles->v = sg_arena_array(arena, struct group, n);
    if (n)
        qsort(sorted, n, sizeof *sorted, compare_needles);
    for (size_t i = 0; i < n; i++) {
        struct group *group = needles->n ? &needles->v[needles->n - 1] : NULL;
        const struct sg_needle *before = group ? &group->v[group->n - 1] : NULL;
        if (before && compare(span_of(*before), span_of(sorted[i])) == 0)
            continue; /* the one that is not whole comes first, and finds more */
        size_t common = before ? common_bytes(span_of(group->common), span_of(sorted[i])) : 0;
        if (before && is_plain(before) && is_plain(&sorted[i]) && common >= COMMON_BYTES) {
            group->common = (struct sg_needle){group->common.ptr, common, false};
        } else {
            group = &needles->v[needles->n++];
            *group = (struct group){.common = sorted[i], .v = &sorted[i]};
        }
        group->n = (size_t)(&sorted[i] - group->v) + 1;
    }
    return needles;
}

static bool has_word(const struct group *group, struct sg_span word) {
    size_t lo = 0, hi = group->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order = compare(word, span_of(group->v[mid]));
        if (order == 0)
            return true;
        if (order < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return false;
}

static bool match_group(const struct group *group, struct sg_span text) {
    const char *p = text.ptr, *end = text.ptr + text.len;
    while ((p = find_from(text, p, group->common))) {
        if (group->n == 1)
            return true;
        const char *word_end = p + group->common.len;
        while (word_end < end && is_word(*word_end))
            word_end++;
        if (begins_word(text, p) && has_word(group, (struct sg_span){p, (size_t)(word_end - p)}))
            return true;
        p++;
    }
    return false;
}

bool sg_needles_match(const struct sg_needles *needles, struct sg_span text) {
    for (size_t i = 0; i < needles->n; i++)
        if (match_group(&needles->v[i], text))
            return true;
    return false;
}
