#include "cache.h"

#include <stdlib.h>
#include <xxhash.h>

struct slot {
    uint64_t hash;
    struct sg_plan_key key; /* with its own copies of bytes, search_path and facts, behind the slot */
    struct sg_known known;
    size_t bytes;
    struct slot *chain;         /* same bucket */
    struct slot *newer, *older; /* order of use */
    char room[];
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

/* A field of the request that is missing here would let one session have the plan of another: it belongs into the key,
 * into its hash and into same_key. */
_Static_assert(sizeof(struct sg_request) == 64, "sg_request has changed: so must sg_plan_key");

struct sg_plan_key sg_plan_key(const struct sg_request *request, uint64_t serial) {
    return (struct sg_plan_key){
        .bytes = request->sql,
        .serial = serial,
        .search_path = request->search_path,
        .facts = request->facts,
        .can_ask = request->can_ask,
        .is_doubtful = request->is_doubtful,
        .star = request->star,
        .backslash_quotes = request->backslash_quotes,
        .encoding = request->encoding,
        .extended = request->extended,
    };
}

struct sg_plan_key sg_plan_key_of_shape(const struct sg_plan_key *key, const struct sg_shape *shape) {
    struct sg_plan_key of_shape = *key;
    of_shape.bytes = sg_shape_key(shape);
    of_shape.literals = shape->n;
    return of_shape;
}

uint64_t sg_plan_key_hash(const struct sg_plan_key *key) {
    uint64_t seed = key->serial * 4096 + (key->can_ask ? 2048u : 0u) + (key->is_doubtful ? 1024u : 0u) +
                    (uint64_t)key->encoding * 16 + (uint64_t)key->star * 4 + (key->backslash_quotes ? 2u : 0u) +
                    (key->extended ? 1u : 0u);
    /* Tenants with a schema each send the same texts. */
    if (key->search_path)
        seed = XXH3_64bits_withSeed(key->search_path, strlen(key->search_path), seed);
    if (key->facts.len)
        seed = XXH3_64bits_withSeed(key->facts.ptr, key->facts.len, seed);
    return XXH3_64bits_withSeed(key->bytes.ptr, key->bytes.len, seed ^ key->literals);
}

static bool same_key(const struct sg_plan_key *a, const struct sg_plan_key *b) {
    bool paths = a->search_path && b->search_path ? strcmp(a->search_path, b->search_path) == 0
                                                  : a->search_path == b->search_path;
    return paths && a->literals == b->literals && a->serial == b->serial && a->star == b->star &&
           a->can_ask == b->can_ask && a->is_doubtful == b->is_doubtful && a->backslash_quotes == b->backslash_quotes &&
           a->encoding == b->encoding && a->extended == b->extended && sg_span_eq(a->facts, b->facts) &&
           sg_span_eq(a->bytes, b->bytes);
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

static struct slot *find(struct sg_cache *cache, uint64_t hash, const struct sg_plan_key *key) {
    for (struct slot *slot = *bucket_of(cache, hash); slot; slot = slot->chain)
        if (slot->hash == hash && same_key(&slot->key, key))
            return slot;
    return NULL;
}

const struct sg_known *sg_cache_find(struct sg_cache *cache, uint64_t hash, const struct sg_plan_key *key) {
    struct slot *slot = find(cache, hash, key);
    if (slot && slot != cache->newest) {
        unlink_use(cache, slot);
        link_newest(cache, slot);
    }
    return slot ? &slot->known : NULL;
}

static void forget(struct sg_known *known) {
    if (known->plan)
        sg_plan_unref(&known->plan->plan);
    if (known->pattern)
        sg_pattern_free(known->pattern);
}

static void evict(struct sg_cache *cache, struct slot *slot) {
    struct slot **link = bucket_of(cache, slot->hash);
    while (*link != slot)
        link = &(*link)->chain;
    *link = slot->chain;
    unlink_use(cache, slot);
    cache->plans--;
    cache->bytes -= slot->bytes;
    forget(&slot->known);
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

static struct slot *new_slot(const struct sg_plan_key *key) {
    size_t path_bytes = key->search_path ? strlen(key->search_path) + 1 : 0;
    size_t bytes = sizeof(struct slot) + key->bytes.len + path_bytes + key->facts.len;
    struct slot *slot = malloc(bytes);
    if (!slot)
        abort();
    *slot = (struct slot){.key = *key, .bytes = bytes};
    memcpy(slot->room, key->bytes.ptr, key->bytes.len);
    slot->key.bytes.ptr = slot->room;
    if (key->search_path)
        slot->key.search_path = memcpy(slot->room + key->bytes.len, key->search_path, path_bytes);
    if (key->facts.len)
        slot->key.facts.ptr = memcpy(slot->room + key->bytes.len + path_bytes, key->facts.ptr, key->facts.len);
    return slot;
}

void sg_cache_add(struct sg_cache *cache, uint64_t hash, const struct sg_plan_key *key, struct sg_known known) {
    struct slot *slot = new_slot(key), *before = find(cache, hash, key);
    slot->hash = hash;
    slot->known = known;
    slot->bytes += known.plan ? known.plan->bytes : sg_pattern_bytes(known.pattern);
    if (known.plan)
        sg_plan_ref(&known.plan->plan);
    if (before)
        evict(cache, before);
    if (slot->bytes > cache->max_bytes / 4) {
        forget(&slot->known);
        free(slot);
        return;
    }
    while (cache->oldest && cache->bytes + slot->bytes > cache->max_bytes) {
        evict(cache, cache->oldest); /* NOLINT(clang-analyzer-unix.Malloc): evict moves oldest on */
        cache->evicted++;
    }
    if (cache->plans >= cache->buckets_len)
        grow(cache);
    struct slot **bucket = bucket_of(cache, hash);
    slot->chain = *bucket;
    *bucket = slot;
    link_newest(cache, slot);
    cache->plans++;
    cache->bytes += slot->bytes;
}

void sg_cache_free(struct sg_cache *cache) {
    if (!cache)
        return;
    for (struct slot *slot = cache->oldest, *newer; slot; slot = newer) {
        newer = slot->newer;
        forget(&slot->known);
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
