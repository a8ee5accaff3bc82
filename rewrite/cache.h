/*
 * cache — what is known of a text: its plan, or the pattern of its shape. Least recently used out first, bounded in
 * bytes.
 *
 * A key is everything a plan depends on: the bytes, the serial of the snapshot, and every field of the request; so a
 * plan of another epoch, database or session can never be served. Belongs to one thread.
 */
#ifndef SEGUE_REWRITE_CACHE_H
#define SEGUE_REWRITE_CACHE_H

#include "pattern.h"
#include "plan.h"

/* Made by sg_plan_key and nowhere else. */
struct sg_plan_key {
    struct sg_span bytes; /* the text; or, when literals is not 0, the key of its shape */
    size_t literals;
    uint64_t serial;         /* of the snapshot: unlike its epoch, no two in a process share one */
    const char *search_path; /* NULL: not known */
    struct sg_span facts;
    bool can_ask, is_doubtful;
    enum sg_star star;
    enum sg_encoding encoding;
    bool backslash_quotes, extended;
};

struct sg_plan_key sg_plan_key(const struct sg_request *request, uint64_t serial);
/* The same question about the shape of its text. */
struct sg_plan_key sg_plan_key_of_shape(const struct sg_plan_key *key, const struct sg_shape *shape);
uint64_t sg_plan_key_hash(const struct sg_plan_key *key);

struct sg_cache;

/* One of the two. */
struct sg_known {
    struct sg_full_plan *plan;
    struct sg_pattern *pattern;
};

struct sg_cache *sg_cache_new(size_t max_bytes);
void sg_cache_free(struct sg_cache *cache);

/* NULL: nothing known. Valid until the next sg_cache_add. */
const struct sg_known *sg_cache_find(struct sg_cache *cache, uint64_t hash, const struct sg_plan_key *key);
/* Takes a reference of the plan, and the pattern itself. Replaces what was known; may evict others, and does not keep
 * what is larger than a quarter of the bound. */
void sg_cache_add(struct sg_cache *cache, uint64_t hash, const struct sg_plan_key *key, struct sg_known known);

void sg_cache_stats(const struct sg_cache *cache, struct sg_rewriter_stats *stats);

#endif
