#include "keys.h"

#include "session.h"

void sg_keys_init(struct sg_keys *keys) {
    pthread_mutex_init(&keys->lock, NULL);
}

void sg_keys_free(struct sg_keys *keys) {
    pthread_mutex_destroy(&keys->lock);
}

static struct sg_session **bucket_of(struct sg_keys *keys, uint32_t pid) {
    return &keys->buckets[pid % SG_KEY_BUCKETS];
}

void sg_keys_add(struct sg_keys *keys, struct sg_session *s) {
    struct sg_session **bucket = bucket_of(keys, s->key_pid);
    pthread_mutex_lock(&keys->lock);
    s->key_next = *bucket;
    *bucket = s;
    pthread_mutex_unlock(&keys->lock);
}

void sg_keys_remove(struct sg_keys *keys, struct sg_session *s) {
    pthread_mutex_lock(&keys->lock);
    struct sg_session **link = bucket_of(keys, s->key_pid);
    while (*link && *link != s) {
        link = &(*link)->key_next;
    }
    if (*link) {
        *link = s->key_next;
    }
    pthread_mutex_unlock(&keys->lock);
}

/* In a time that does not tell how much of it is right. */
static bool is_same(const uint8_t *a, const char *b, size_t len) {
    unsigned differs = 0;
    for (size_t i = 0; i < len; i++) {
        differs |= a[i] ^ (uint8_t)b[i];
    }
    return differs == 0;
}

/* Under the lock. */
static struct sg_session *find(struct sg_keys *keys, uint32_t pid, struct sg_span key) {
    struct sg_session *s = *bucket_of(keys, pid);
    while (s && !(s->key_pid == pid && s->key_bytes == key.len && is_same(sg_session_key(s), key.ptr, key.len))) {
        s = s->key_next;
    }
    return s;
}

struct sg_worker *sg_keys_worker(struct sg_keys *keys, uint32_t pid, struct sg_span key) {
    pthread_mutex_lock(&keys->lock);
    struct sg_session *s = find(keys, pid, key);
    struct sg_worker *worker = s ? s->worker : NULL;
    pthread_mutex_unlock(&keys->lock);
    return worker;
}

struct sg_session *sg_keys_session(struct sg_keys *keys, const struct sg_worker *worker, uint32_t pid,
                                   struct sg_span key) {
    pthread_mutex_lock(&keys->lock);
    struct sg_session *s = find(keys, pid, key);
    pthread_mutex_unlock(&keys->lock);
    return s && s->worker == worker ? s : NULL;
}
