#include "segue/rewrite.h"

#include "cache.h"
#include "relation.h"
#include "statement.h"

#include <stdlib.h>

/* Of texts that were answered by their shape: one that comes again is worth a plan of its own. Different texts may
 * share a place; then they are remembered later, or a little too soon. */
enum { SEEN = 1024 };

struct sg_rewriter {
    struct sg_arena scratch; /* of the statement in hand */
    struct sg_shape shape;   /* of the statement in hand */
    struct sg_cache *cache;
    uint64_t seen[SEEN];       /* hashes */
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
    sg_shape_free(&rw->shape);
    sg_arena_free(&rw->scratch);
    free(rw);
}

/* ---- A text never seen before ---- */

static void refuse_internal(struct sg_error *error) {
    sg_error_set(error, SG_SQLSTATE_FEATURE_NOT_SUPPORTED,
                 "segue cannot rewrite this statement: two of its changes overlap");
    sg_error_hint(error, "This is a fault of segue; please report the statement. Nothing was sent to the server.");
}

/* What the server must be asked first. False: nothing, or it is too late to ask. */
static bool must_ask(struct sg_context *cx, struct sg_plan *plan) {
    struct sg_span *asks;
    plan->has_facts = cx->has_facts;
    plan->hides_names = cx->hides_names;
    bool is_late = sg_questions_refuse_late(cx);
    plan->asks_len = is_late ? 0 : sg_questions_wanted(cx, &asks);
    plan->asks = plan->asks_len > 0 ? asks : NULL;
    return plan->asks_len > 0;
}

/* What becomes of the text, now that every step has said what it wants. */
static struct sg_full_plan *settle(struct sg_context *cx, struct sg_span text, struct sg_plan *plan,
                                   struct sg_splice *ret_splice) {
    static const struct sg_shape unshaped;
    plan->used_old = cx->used_old;
    plan->used_new = cx->used_new;
    plan->used_star = cx->used_star;
    plan->concerned = cx->concerned | cx->used_old | cx->used_new | cx->used_star;
    if (must_ask(cx, plan)) {
        plan->action = SG_ASK; /* also where it was refused: that may have come of not knowing */
        return sg_plan_new(plan, 0, 0);
    }
    if (!cx->refused && cx->edits.n && !sg_edits_compile(&cx->edits, text, ret_splice)) {
        cx->refused = true;
        refuse_internal(cx->error);
    }
    ret_splice->is_wide = sg_encoding_is_wide(plan->encoding);
    plan->action = cx->refused ? SG_REFUSE : cx->edits.n ? SG_REWRITE : SG_PASS;
    plan->error = cx->refused ? cx->error : NULL;
    if (plan->action != SG_REWRITE)
        return sg_plan_new(plan, 0, 0);
    plan->copy = cx->copy;
    struct sg_full_plan *full = sg_plan_new(plan, sg_splice_max_bytes(ret_splice, &unshaped), ret_splice->edits_len);
    sg_plan_splice(full, ret_splice, text, &unshaped);
    if (!sg_span_eq(full->plan.sql, text))
        return full;
    sg_plan_unref(&full->plan);
    plan->action = SG_PASS;
    plan->copy = NULL;
    return sg_plan_new(plan, 0, 0);
}

/* ret_pattern: what the texts of this shape have in common; NULL if nothing is, or the text has no shape. */
static struct sg_full_plan *plan_cold(struct sg_rewriter *rw, const struct sg_snapshot *snapshot,
                                      const struct sg_request *request, const struct sg_shape *shape,
                                      struct sg_pattern **ret_pattern) {
    struct sg_error error = {.position = 0};
    struct sg_plan plan = {.encoding = sg_charset_encoding(&snapshot->catalog->charset, request->encoding),
                           .epoch = snapshot->epoch};
    struct sg_context cx = {.arena = &rw->scratch, .snapshot = snapshot, .request = request, .error = &error};
    struct sg_span text = {sg_arena_strndup(&rw->scratch, request->sql.ptr, request->sql.len), request->sql.len};
    struct sg_splice splice = {NULL, 0, NULL, 0, false};
    sg_rewrite_text(&cx, text);
    struct sg_full_plan *full = settle(&cx, text, &plan, &splice);
    bool shares = shape && !cx.literal_read;
    *ret_pattern = shares ? sg_pattern_new(&plan, &splice, text, shape, &cx.constants, cx.effect_read) : NULL;
    sg_arena_reset(&rw->scratch);
    return full;
}

/* ---- The three ways to a plan ---- */

static void keep_last(struct sg_rewriter *rw, struct sg_full_plan *plan) {
    if (rw->last)
        sg_plan_unref(&rw->last->plan);
    rw->last = plan;
}

static bool is_ascii(struct sg_span text) {
    uint64_t high = 0, bytes;
    size_t i = 0;
    for (; i + sizeof bytes <= text.len; i += sizeof bytes) {
        memcpy(&bytes, text.ptr + i, sizeof bytes);
        high |= bytes;
    }
    for (; i < text.len; i++)
        high |= (unsigned char)text.ptr[i];
    return (high & 0x8080808080808080) == 0;
}

/* Where a quote ends must be plain from the bytes alone; and they must be characters. */
static bool read_shape(struct sg_rewriter *rw, const struct sg_snapshot *snapshot, const struct sg_request *request) {
    if (!is_ascii(request->sql) && sg_text_is_invalid(snapshot, request->encoding, request->sql))
        return false;
    return !request->backslash_quotes && !sg_encoding_is_wide(request->encoding) &&
           sg_shape_read(&rw->shape, request->sql);
}

static bool seen_before(struct sg_rewriter *rw, uint64_t hash) {
    uint64_t *place = &rw->seen[hash % SEEN];
    bool seen = *place == hash;
    *place = hash;
    return seen;
}

/* The text is not known. */
static struct sg_full_plan *plan_by_shape(struct sg_rewriter *rw, const struct sg_snapshot *snapshot,
                                          const struct sg_request *request, const struct sg_plan_key *key,
                                          uint64_t hash) {
    bool shaped = read_shape(rw, snapshot, request);
    struct sg_plan_key shape_key = shaped ? sg_plan_key_of_shape(key, &rw->shape) : *key;
    uint64_t shape_hash = shaped ? sg_plan_key_hash(&shape_key) : 0;
    const struct sg_known *known = shaped ? sg_cache_find(rw->cache, shape_hash, &shape_key) : NULL;
    struct sg_full_plan *plan = known ? sg_pattern_plan(known->pattern, request->sql, &rw->shape) : NULL;
    if (plan) {
        plan->plan.fingerprint = shape_hash;
        rw->stats.shape_hit++;
        if (seen_before(rw, hash))
            sg_cache_add(rw->cache, hash, key, (struct sg_known){.plan = plan});
        return plan;
    }
    rw->stats.cold++;
    struct sg_pattern *pattern;
    plan = plan_cold(rw, snapshot, request, shaped ? &rw->shape : NULL, &pattern);
    plan->plan.fingerprint = shaped ? shape_hash : hash;
    if (pattern)
        sg_cache_add(rw->cache, shape_hash, &shape_key, (struct sg_known){.pattern = pattern});
    if (!pattern || seen_before(rw, hash))
        sg_cache_add(rw->cache, hash, key, (struct sg_known){.plan = plan});
    return plan;
}

const struct sg_plan *sg_rewriter_plan(struct sg_rewriter *rw, struct sg_snapshot *snapshot,
                                       const struct sg_request *request) {
    if (!snapshot || !sg_prefilter_may_match(snapshot, request->sql, request->encoding)) {
        rw->stats.prefilter_pass++;
        return NULL;
    }
    struct sg_plan_key key = sg_plan_key(request, snapshot->serial);
    uint64_t hash = sg_plan_key_hash(&key);
    const struct sg_known *known = sg_cache_find(rw->cache, hash, &key);
    struct sg_full_plan *plan = known ? known->plan : plan_by_shape(rw, snapshot, request, &key, hash);
    if (known) {
        rw->stats.cache_hit++;
        sg_plan_ref(&plan->plan);
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
