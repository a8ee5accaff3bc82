#include "segue/rewrite.h"

#include "cache.h"
#include "statement.h"

#include <stdlib.h>

struct sg_rewriter {
    struct sg_arena scratch; /* of the statement in hand */
    struct sg_cache *cache;
    struct sg_full_plan *last; /* keeps the latest answer alive until the next */
    struct sg_rewriter_stats stats;
};

static const char *const star_names[] = {[SG_STAR_BOTH] = "both", [SG_STAR_OLD] = "old", [SG_STAR_NEW] = "new"};

const char *sg_star_name(enum sg_star star) {
    return star_names[star];
}

bool sg_star_from_name(const char *name, enum sg_star *ret_star) {
    for (size_t i = 0; i < sizeof star_names / sizeof *star_names; i++) {
        if (strcmp(star_names[i], name) == 0) {
            *ret_star = (enum sg_star)i;
            return true;
        }
    }
    return false;
}

struct sg_rewriter *sg_rewriter_new(size_t cache_bytes) {
    struct sg_rewriter *rw = calloc(1, sizeof *rw);
    if (!rw)
        abort();
    sg_arena_init(&rw->scratch, 32 << 10);
    rw->cache = sg_cache_new(cache_bytes);
    return rw;
}

void sg_rewriter_free(struct sg_rewriter *rw) {
    if (!rw)
        return;
    if (rw->last)
        sg_plan_unref(&rw->last->plan);
    sg_cache_free(rw->cache);
    sg_arena_free(&rw->scratch);
    free(rw);
}

static void refuse_internal(struct sg_plan *plan) {
    plan->action = SG_REFUSE;
    sg_error_set(&plan->error, SG_SQLSTATE_FEATURE_NOT_SUPPORTED,
                 "segue cannot rewrite this statement: two of its changes overlap");
    sg_error_hint(&plan->error,
                  "This is a fault of segue; please report the statement. Nothing was sent to the server.");
}

static struct sg_full_plan *plan_cold(struct sg_rewriter *rw, const struct sg_snapshot *snapshot,
                                      const struct sg_request *request) {
    struct sg_plan plan = {.action = SG_PASS, .epoch = snapshot->epoch};
    struct sg_context cx = {.arena = &rw->scratch, .snapshot = snapshot, .request = request, .error = &plan.error};
    struct sg_span text = {sg_arena_strndup(&rw->scratch, request->sql.ptr, request->sql.len), request->sql.len};
    sg_rewrite_text(&cx, text);
    if (cx.refused) {
        plan.action = SG_REFUSE;
    } else if (cx.edits.n) {
        plan.action = SG_REWRITE;
        if (!sg_edits_render(&cx.edits, text, &plan.sql, &plan.edits, &plan.edits_len))
            refuse_internal(&plan);
        else if (sg_span_eq(plan.sql, text))
            plan.action = SG_PASS;
        else
            plan.copy = cx.copy;
    }
    plan.used_old = cx.used_old;
    plan.used_new = cx.used_new;
    plan.used_star = cx.used_star;
    struct sg_full_plan *full = sg_plan_make(&plan, request, snapshot->serial);
    sg_arena_reset(&rw->scratch);
    return full;
}

static void keep_last(struct sg_rewriter *rw, struct sg_full_plan *plan) {
    if (rw->last)
        sg_plan_unref(&rw->last->plan);
    rw->last = plan;
}

const struct sg_plan *sg_rewriter_plan(struct sg_rewriter *rw, struct sg_snapshot *snapshot,
                                       const struct sg_request *request) {
    if (!snapshot || !sg_prefilter_may_match(snapshot, request->sql)) {
        rw->stats.prefilter_pass++;
        return NULL;
    }
    uint64_t hash = sg_cache_hash(request, snapshot->serial);
    struct sg_full_plan *plan = sg_cache_find(rw->cache, hash, request, snapshot->serial);
    if (plan) {
        rw->stats.cache_hit++;
        sg_plan_ref(&plan->plan);
    } else {
        rw->stats.cold++;
        plan = plan_cold(rw, snapshot, request);
        sg_cache_add(rw->cache, hash, plan);
    }
    rw->stats.rewritten += plan->plan.action == SG_REWRITE;
    rw->stats.refused += plan->plan.action == SG_REFUSE;
    keep_last(rw, plan);
    return &plan->plan;
}

void sg_rewriter_stats(const struct sg_rewriter *rw, struct sg_rewriter_stats *ret_stats) {
    *ret_stats = rw->stats;
    sg_cache_stats(rw->cache, ret_stats);
}
