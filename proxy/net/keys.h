/*
 * keys — which session of this process a cancel key is of.
 *
 * The key is the server's own, so a CancelRequest for a session of another process can be forwarded as it is. One for a
 * session of ours is better given to it: it knows what runs (session_cancel.h). One lock, taken when a session gets its
 * key, when its server connection ends, and for each CancelRequest: never for a message.
 */
#ifndef SEGUE_NET_KEYS_H
#define SEGUE_NET_KEYS_H

#include "segue/span.h"

#include <pthread.h>
#include <stdint.h>

struct sg_session;
struct sg_worker;

#define SG_KEY_BUCKETS 1024u /* by the server's process id */

struct sg_keys {
    pthread_mutex_t lock;
    struct sg_session *buckets[SG_KEY_BUCKETS];
};

void sg_keys_init(struct sg_keys *keys);
void sg_keys_free(struct sg_keys *keys);

/* The session's thread. The session's key does not change between the two. */
void sg_keys_add(struct sg_keys *keys, struct sg_session *session);
void sg_keys_remove(struct sg_keys *keys, struct sg_session *session);

/* Any thread: whose session it is; NULL: nobody's here. The answer may be outdated at once. */
struct sg_worker *sg_keys_worker(struct sg_keys *keys, uint32_t pid, struct sg_span key);
/* The worker's thread: the session, if it is one of the worker's. */
struct sg_session *sg_keys_session(struct sg_keys *keys, const struct sg_worker *worker, uint32_t pid,
                                   struct sg_span key);

#endif
