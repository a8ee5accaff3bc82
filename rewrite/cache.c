#include "cache.h"

#include <stdlib.h>
#include <xxhash.h>

struct slot {
    uint64_t hash;
    struct sg_full_plan *plan;
    struct slot *chain;         /* same bucket */
    struct slot *newer, *older; /* order of use */
};

struct sg_cache {
    struct slot **buckets;
    size_t buckets_len; /* a power of two */
    size_t plans, bytes, max_bytes;
    uint64_t evicted;
    struct slot *newest, *oldest;
};

enum { FIRST_BUCKETS = 256 };

struct sg_cache *sg_cache_new(size_t max_bytes) {
    struct sg_cache *cache = calloc(1, sizeof *cache);
    if (!cache || !(cache->buckets = calloc(FIRST_BUCKETS, sizeof *cache->buckets)))
        abort();
    cache->buckets_len = FIRST_BUCKETS;
    cache->max_bytes = max_bytes;
    return cache;
}

uint64_t sg_cache_hash(const struct sg_request *request, uint64_t serial) {
    uint64_t seed = serial * 64 + (uint64_t)request->star * 16 + (request->backslash_quotes ? 8u : 0u) +
                    (request->unsafe_encoding ? 4u : 0u) + (request->utf8 ? 2u : 0u) + (request->extended ? 1u : 0u);
    return XXH3_64bits_withSeed(request->sql.ptr, request->sql.len, seed);
}

static bool same_key(const struct sg_request *a, const struct sg_request *b) {
    bool paths = a->search_path && b->search_path ? strcmp(a->search_path, b->search_path) == 0
                                                  : a->search_path == b->search_path;
    return paths && a->star == b->star && a->backslash_quotes == b->backslash_quotes &&
           a->unsafe_encoding == b->unsafe_encoding && a->utf8 == b->utf8 && a->extended == b->extended &&
           sg_span_eq(a->sql, b->sql);
}

static void unlink_use(struct sg_cache *cache, struct slot *slot) {
    if (slot->newer)
        slot->newer->older = slot->older;
    else
        cache->newest = slot->older;
    if (slot->older)
        slot->older->newer = slot->newer;
    else
        cache->oldest = slot->newer;
}

static void link_newest(struct sg_cache *cache, struct slot *slot) {
    slot->newer = NULL;
    slot->older = cache->newest;
    *(cache->newest ? &cache->newest->newer : &cache->oldest) = slot;
    cache->newest = slot;
}

static struct slot **bucket_of(struct sg_cache *cache, uint64_t hash) {
    return &cache->buckets[hash & (cache->buckets_len - 1)];
}

struct sg_full_plan *sg_cache_find(struct sg_cache *cache, uint64_t hash, const struct sg_request *request,
                                   uint64_t serial) {
    for (struct slot *slot = *bucket_of(cache, hash); slot; slot = slot->chain) {
        if (slot->hash != hash || slot->plan->serial != serial || !same_key(&slot->plan->key, request))
            continue;
        if (slot != cache->newest) {
            unlink_use(cache, slot);
            link_newest(cache, slot);
        }
        return slot->plan;
    }
    return NULL;
}

static void evict(struct sg_cache *cache, struct slot *slot) {
    struct slot **link = bucket_of(cache, slot->hash);
    while (*link != slot)
        link = &(*link)->chain;
    *link = slot->chain;
    unlink_use(cache, slot);
    cache->plans--;
    cache->bytes -= slot->plan->bytes + sizeof *slot;
    sg_plan_unref(&slot->plan->plan);
    free(slot);
}

static void grow(struct sg_cache *cache) {
    size_t n = cache->buckets_len * 2;
    struct slot **buckets = calloc(n, sizeof *buckets);
    if (!buckets)
        return; /* longer chains are no error */
    for (size_t i = 0; i < cache->buckets_len; i++) {
        for (struct slot *slot = cache->buckets[i], *next; slot; slot = next) {
            next = slot->chain;
            slot->chain = buckets[slot->hash & (n - 1)];
            buckets[slot->hash & (n - 1)] = slot;
        }
    }
    free(cache->buckets);
    cache->buckets = buckets;
    cache->buckets_len = n;
}

void sg_cache_add(struct sg_cache *cache, uint64_t hash, struct sg_full_plan *plan) {
    size_t bytes = plan->bytes + sizeof(struct slot);
    if (bytes > cache->max_bytes / 4)
        return;
    while (cache->oldest && cache->bytes + bytes > cache->max_bytes) {
        evict(cache, cache->oldest); /* NOLINT(clang-analyzer-unix.Malloc): evict moves oldest on */
        cache->evicted++;
    }
    if (cache->plans >= cache->buckets_len)
        grow(cache);
    struct slot *slot = calloc(1, sizeof *slot);
    if (!slot)
        abort();
    slot->hash = hash;
    slot->plan = plan;
    sg_plan_ref(&plan->plan);
    struct slot **bucket = bucket_of(cache, hash);
    slot->chain = *bucket;
    *bucket = slot;
    link_newest(cache, slot);
    cache->plans++;
    cache->bytes += bytes;
}

void sg_cache_free(struct sg_cache *cache) {
    if (!cache)
        return;
    for (struct slot *slot = cache->oldest, *newer; slot; slot = newer) {
        newer = slot->newer;
        sg_plan_unref(&slot->plan->plan);
        free(slot);
    }
    free(cache->buckets);
    free(cache);
}

void sg_cache_stats(const struct sg_cache *cache, struct sg_rewriter_stats *stats) {
    stats->cache_bytes = cache->bytes;
    stats->cache_plans = cache->plans;
    stats->evicted = cache->evicted;
}
