/*
 * expect — what the server still has to answer: one byte for each frontend message that elicits a reply, in order.
 *
 * Only entries with something special carry side data, in a queue beside the ring in the same order. A short queue
 * lives in the struct itself; one that has become empty owns no memory.
 */
#ifndef SEGUE_NET_EXPECT_H
#define SEGUE_NET_EXPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sg_expect_kind {
    SG_EXPECT_STARTUP, /* StartupMessage: until the first ReadyForQuery */
    SG_EXPECT_PARSE,
    SG_EXPECT_BIND,
    SG_EXPECT_DESCRIBE,
    SG_EXPECT_CLOSE,
    SG_EXPECT_EXECUTE,
    SG_EXPECT_SYNC,
    SG_EXPECT_QUERY,
    SG_EXPECT_FUNCTION,
    SG_EXPECT_COPY_END, /* CopyDone or CopyFail sent before the server asked for data: a marker, has no reply */
};

/* What becomes of the reply. */
enum sg_disposition {
    SG_REPLY_FORWARD,
    SG_REPLY_SWALLOW,       /* the message was ours: the client does not see its completion. Errors it does see */
    SG_REPLY_REPLACE_ERROR, /* the message was made to fail: its error is replaced by ours */
    SG_REPLY_HIDE,          /* the message was ours, and what follows fails if it did: the client sees nothing of it */
};

struct sg_side; /* session.h */

struct sg_expectation {
    enum sg_expect_kind kind;
    enum sg_disposition disposition;
    struct sg_side *side; /* NULL: nothing special */
};

#define SG_EXPECT_INLINE 16u
#define SG_EXPECT_MAX    65536u /* the client is not read while there are as many */

struct sg_expect {
    uint8_t *ring; /* NULL: the in-line one. Capacity is a power of two */
    uint8_t inline_ring[SG_EXPECT_INLINE];
    uint32_t head, len, cap;
    uint32_t runs; /* Query, Execute and FunctionCall entries: those that may change the transaction's state */
    struct sg_side *first_side, *last_side;
};

void sg_expect_init(struct sg_expect *expect);
void sg_expect_push(struct sg_expect *expect, enum sg_expect_kind kind, enum sg_disposition disposition,
                    struct sg_side *side);
/* False when empty. The side stays with the entry. */
bool sg_expect_front(const struct sg_expect *expect, struct sg_expectation *ret);
bool sg_expect_is_front(const struct sg_expect *expect, enum sg_expect_kind kind);
/* False when empty. The side, if any, is the caller's now. */
bool sg_expect_pop(struct sg_expect *expect, struct sg_expectation *ret);
/* The server has entered copy-in for the entry at the front. It ignores Sync until the data ends: takes out every Sync
 * up to the first COPY_END, and that as well. True if a COPY_END was there: the client has sent all of its data. */
bool sg_expect_copy_in(struct sg_expect *expect);
/* Nothing, or a message that the server answers without being asked to hurry, is the last entry. */
bool sg_expect_ends_batch(const struct sg_expect *expect);
void sg_expect_free(struct sg_expect *expect);

#endif
