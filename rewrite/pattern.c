#include "pattern.h"

#include <stdlib.h>

struct bound {
    uint32_t literal; /* which */
    struct sg_span bytes;
};

struct sg_pattern {
    struct sg_arena arena; /* all that follows */
    struct sg_splice splice;
    struct bound *bound;
    size_t bound_len;
    bool by_words;
    struct sg_full_plan *plan; /* every text's; for SG_REWRITE what they share, without text and edits */
};

/* The first literal that begins at or after byte at. */
static size_t literal_from(const struct sg_shape *shape, size_t at) {
    size_t lo = 0, hi = shape->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (shape->v[mid].at < at)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The literal that became the constant at this place; shape->n if it is none. `- 5` is one constant, and begins with
 * its sign. */
static size_t literal_of(struct sg_span text, const struct sg_shape *shape, size_t at) {
    size_t i = literal_from(shape, at);
    if (i == shape->n || shape->v[i].at == at)
        return i;
    if (text.ptr[at++] != '-')
        return shape->n;
    while (at < shape->v[i].at && (text.ptr[at] == ' ' || text.ptr[at] == '\n'))
        at++;
    return at == shape->v[i].at ? i : shape->n;
}

static size_t mark_free(struct sg_span text, const struct sg_shape *shape, const struct sg_constants *constants,
                        bool *ret_free) {
    size_t marked = 0;
    for (size_t k = 0; k < constants->n; k++) {
        int at = constants->v[k];
        size_t i = at >= 0 && (size_t)at < text.len ? literal_of(text, shape, (size_t)at) : shape->n;
        if (i < shape->n && !ret_free[i]) {
            ret_free[i] = true;
            marked++;
        }
    }
    return marked;
}

static void note_bound(struct sg_pattern *pattern, struct sg_span text, const struct sg_shape *shape,
                       const bool *free) {
    pattern->bound = sg_arena_array(&pattern->arena, struct bound, shape->n);
    for (size_t i = 0; i < shape->n; i++) {
        if (free[i])
            continue;
        size_t len = shape->v[i].end - shape->v[i].at;
        pattern->bound[pattern->bound_len++] =
            (struct bound){(uint32_t)i, {sg_arena_strndup(&pattern->arena, text.ptr + shape->v[i].at, len), len}};
    }
}

struct sg_pattern *sg_pattern_new(const struct sg_plan *plan, const struct sg_splice *splice, struct sg_span text,
                                  const struct sg_shape *shape, const struct sg_constants *constants, bool by_words) {
    if (plan->action == SG_REFUSE || plan->copy || (by_words && sg_text_effect(text) != SG_EFFECT_NONE))
        return NULL;
    struct sg_pattern *pattern = calloc(1, sizeof *pattern);
    bool *free_ones = calloc(shape->n, sizeof *free_ones);
    if (!pattern || !free_ones)
        abort();
    sg_arena_init(&pattern->arena, 512);
    pattern->by_words = by_words;
    bool shared = mark_free(text, shape, constants, free_ones) > 0;
    if (shared && plan->action == SG_REWRITE)
        shared = sg_splice_relate(&pattern->arena, splice, shape, &pattern->splice);
    if (shared) {
        note_bound(pattern, text, shape, free_ones);
        pattern->plan = sg_plan_new(plan, 0, 0);
    } else {
        sg_pattern_free(pattern);
        pattern = NULL;
    }
    free(free_ones);
    return pattern;
}

void sg_pattern_free(struct sg_pattern *pattern) {
    if (pattern->plan)
        sg_plan_unref(&pattern->plan->plan);
    sg_arena_free(&pattern->arena);
    free(pattern);
}

size_t sg_pattern_bytes(const struct sg_pattern *pattern) {
    return sizeof *pattern + sg_arena_bytes(&pattern->arena) + pattern->plan->bytes;
}

static bool fits(const struct sg_pattern *pattern, struct sg_span text, const struct sg_shape *shape) {
    for (size_t i = 0; i < pattern->bound_len; i++) {
        const struct sg_literal *literal = &shape->v[pattern->bound[i].literal];
        if (!sg_span_eq((struct sg_span){text.ptr + literal->at, literal->end - literal->at}, pattern->bound[i].bytes))
            return false;
    }
    return !pattern->by_words || sg_text_effect(text) == SG_EFFECT_NONE;
}

struct sg_full_plan *sg_pattern_plan(struct sg_pattern *pattern, struct sg_span text, const struct sg_shape *shape) {
    if (!fits(pattern, text, shape))
        return NULL;
    const struct sg_plan *plan = &pattern->plan->plan;
    if (plan->action != SG_REWRITE) {
        sg_plan_ref(plan);
        return pattern->plan;
    }
    struct sg_full_plan *full =
        sg_plan_new(plan, sg_splice_max_bytes(&pattern->splice, shape), pattern->splice.edits_len);
    sg_plan_splice(full, &pattern->splice, text, shape);
    if (!sg_span_eq(full->plan.sql, text))
        return full;
    sg_plan_unref(&full->plan); /* the edits cancel out for these values: the text passes, and is planned as such */
    return NULL;
}
