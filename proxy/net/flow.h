/*
 * flow — one direction of a session: a stream of messages walked without copying, where each message is forwarded,
 * dropped, or held until enough of it is there to decide.
 *
 *      chunk --scan--> head --decide--> FORWARD: its bytes go into the gather, straight from the chunk
 *                        |              ABSORB:  its bytes are dropped; decide may have emitted others
 *                        |              DIVERT:  its body goes to divert, piece by piece, instead
 *                        |              STALL:   nothing more is taken; feed again later with the rest
 *                        |              STOP:    the stream has ended for us
 *                        +--need more--> held (copied) until need() is content
 *
 * Invariants:
 *   1. held is empty unless a message spans chunks and decide wants more of it than has come.
 *   2. Output order is input order: what decide emits comes before the message it was called for.
 *   3. After sg_flow_feed returns, nothing in the gather points anywhere: all is written or in the outq.
 */
#ifndef SEGUE_NET_FLOW_H
#define SEGUE_NET_FLOW_H

#include "outq.h"
#include "segue/arena.h"
#include "segue/protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sg_verdict { SG_FORWARD, SG_ABSORB, SG_DIVERT, SG_STALL, SG_STOP };

struct sg_message {
    uint8_t type;
    uint32_t body_bytes;
    const uint8_t *body; /* the first have bytes of it */
    size_t have;
};

/* Shared by all flows of a worker; only one flow is fed at a time. */
struct sg_flow_desk {
    struct sg_gather gather;
    struct sg_arena scratch; /* what the gather points to, besides the chunk */
};

enum sg_flow_body { SG_BODY_FORWARD, SG_BODY_ABSORB, SG_BODY_DIVERT, SG_BODY_HOLD };

struct sg_flow {
    struct sg_scanner scanner;
    struct sg_buf held; /* header and the first part of the body */
    enum sg_flow_body body;
    bool is_waiting; /* stalled or stopped at a message whose header has been taken */
    /* How many bytes of the body decide must see: at most m->have if it has enough. */
    size_t (*need)(void *owner, const struct sg_message *m);
    enum sg_verdict (*decide)(void *owner, const struct sg_message *m);
    /* Asked before anything is written; false: it is dropped, and so is all that would follow. NULL: always. */
    bool (*may_send)(void *owner);
    bool is_barred;
    /* The body of a diverted message. */
    void (*divert)(void *owner, const uint8_t *bytes, size_t len);
    void *owner;
    struct sg_outq *out;
    struct sg_flow_desk *desk;
};

enum sg_feed { SG_FEED_OK, SG_FEED_STALLED, SG_FEED_STOPPED, SG_FEED_BAD };

/* Takes a prefix of the chunk: all of it when OK, less otherwise. After STALLED, feed the rest, even an empty one. */
enum sg_feed sg_flow_feed(struct sg_flow *flow, const uint8_t *chunk, size_t len, size_t *ret_taken);
/* From decide: bytes that go out before the message. Copied. */
void sg_flow_emit(struct sg_flow *flow, const void *bytes, size_t len);
/* At any time: bytes that go out now, whole messages at a boundary. Not copied. */
void sg_flow_write(struct sg_flow *flow, const void *bytes, size_t len);
/* True when all that was forwarded ends with a whole message. */
bool sg_flow_at_boundary(const struct sg_flow *flow);
void sg_flow_free(struct sg_flow *flow);

#endif
