/*
 * cache — plans by statement text, least recently used out first, bounded in bytes.
 *
 * A key is everything a plan depends on: text, serial of the snapshot, star, search_path and the session's settings; so
 * a plan of another epoch or database can never be served. Belongs to one thread.
 */
#ifndef SEGUE_REWRITE_CACHE_H
#define SEGUE_REWRITE_CACHE_H

#include "plan.h"

struct sg_cache;

struct sg_cache *sg_cache_new(size_t max_bytes);
void sg_cache_free(struct sg_cache *cache);

uint64_t sg_cache_hash(const struct sg_request *request, uint64_t serial);
/* NULL: not there. The plan stays the cache's. */
struct sg_full_plan *sg_cache_find(struct sg_cache *cache, uint64_t hash, const struct sg_request *request,
                                   uint64_t serial);
/* Takes a reference of its own; may evict others, and does not keep a plan larger than a quarter of the bound. */
void sg_cache_add(struct sg_cache *cache, uint64_t hash, struct sg_full_plan *plan);

void sg_cache_stats(const struct sg_cache *cache, struct sg_rewriter_stats *stats);

#endif
