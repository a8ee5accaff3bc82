#include "flow.h"

static void dispatch(struct sg_flow *flow) {
    struct sg_gather *gather = &flow->desk->gather;
    flow->is_barred = flow->is_barred || (flow->may_send && !flow->may_send(flow->owner));
    if (!flow->is_barred) {
        sg_outq_write(flow->out, gather->bufs, gather->n);
    }
    gather->n = 0;
}

static void write_out(struct sg_flow *flow) {
    if (flow->desk->gather.n > 0) {
        dispatch(flow);
    }
    sg_arena_reset(&flow->desk->scratch);
}

static void pass(struct sg_flow *flow, const void *bytes, size_t len) {
    if (!sg_gather_add(&flow->desk->gather, bytes, len)) {
        dispatch(flow);
        sg_gather_add(&flow->desk->gather, bytes, len);
    }
}

void sg_flow_emit(struct sg_flow *flow, const void *bytes, size_t len) {
    pass(flow, sg_arena_copy(&flow->desk->scratch, bytes, len), len);
}

void sg_flow_write(struct sg_flow *flow, const void *bytes, size_t len) {
    pass(flow, bytes, len);
    write_out(flow);
}

static struct sg_message message_of(const struct sg_flow *flow, const uint8_t *body, size_t have) {
    return (struct sg_message){flow->scanner.frame.type, flow->scanner.frame.body_bytes, body, have};
}

static enum sg_feed judge(struct sg_flow *flow, const struct sg_message *m) {
    enum sg_verdict verdict = flow->decide(flow->owner, m);
    flow->is_waiting = verdict == SG_STALL || verdict == SG_STOP;
    switch (verdict) {
    case SG_FORWARD:
        flow->body = SG_BODY_FORWARD;
        return SG_FEED_OK;
    case SG_ABSORB:
        flow->body = SG_BODY_ABSORB;
        return SG_FEED_OK;
    case SG_DIVERT:
        flow->body = SG_BODY_DIVERT;
        return SG_FEED_OK;
    case SG_STALL:
        return SG_FEED_STALLED;
    case SG_STOP:
        break;
    }
    return SG_FEED_STOPPED;
}

/* A header was taken. in_chunk: its five bytes where they lie in one piece, or NULL. *ret_taken: how much of the rest
 * was dealt with as well. */
static enum sg_feed on_head(struct sg_flow *flow, const uint8_t *in_chunk, const uint8_t *rest, size_t len,
                            size_t *ret_taken) {
    size_t left = flow->scanner.left;
    struct sg_message m = message_of(flow, rest, len < left ? len : left);
    *ret_taken = 0;
    if (flow->need && m.have < m.body_bytes && flow->need(flow->owner, &m) > m.have) {
        sg_buf_put(&flow->held, flow->scanner.header, SG_FRAME_HEADER_BYTES);
        flow->body = SG_BODY_HOLD;
        flow->is_waiting = false;
        return SG_FEED_OK;
    }
    enum sg_feed result = judge(flow, &m);
    if (result != SG_FEED_OK || flow->body != SG_BODY_FORWARD) {
        return result;
    }
    if (in_chunk && m.have == left) { /* the usual case: the message is all there, in one piece */
        pass(flow, in_chunk, SG_FRAME_HEADER_BYTES + left);
        sg_scan_skip_body(&flow->scanner);
        *ret_taken = left;
    } else if (in_chunk) {
        pass(flow, in_chunk, SG_FRAME_HEADER_BYTES);
    } else {
        sg_flow_emit(flow, flow->scanner.header, SG_FRAME_HEADER_BYTES);
    }
    return result;
}

/* More of a held message has come, or its stall is over. */
static enum sg_feed on_held(struct sg_flow *flow) {
    struct sg_message m =
        message_of(flow, flow->held.data + SG_FRAME_HEADER_BYTES, flow->held.len - SG_FRAME_HEADER_BYTES);
    if (m.have < m.body_bytes && flow->need(flow->owner, &m) > m.have) {
        return SG_FEED_OK;
    }
    enum sg_feed result = judge(flow, &m);
    if (result != SG_FEED_OK) {
        return result;
    }
    if (flow->body == SG_BODY_FORWARD) {
        pass(flow, flow->held.data, flow->held.len);
    }
    write_out(flow); /* before the memory it points to goes */
    sg_buf_free(&flow->held);
    return SG_FEED_OK;
}

static enum sg_feed on_body(struct sg_flow *flow, const uint8_t *bytes, size_t len) {
    switch (flow->body) {
    case SG_BODY_FORWARD:
        pass(flow, bytes, len);
        break;
    case SG_BODY_ABSORB:
        break;
    case SG_BODY_DIVERT:
        flow->divert(flow->owner, bytes, len);
        break;
    case SG_BODY_HOLD:
        sg_buf_put(&flow->held, bytes, len);
        return on_held(flow);
    }
    return SG_FEED_OK;
}

static enum sg_feed step(struct sg_flow *flow, const uint8_t *chunk, size_t len, size_t *at) {
    size_t bytes = 0;
    const uint8_t *here = chunk + *at;
    switch (sg_scan(&flow->scanner, here, len - *at, &bytes)) {
    case SG_SCAN_HEAD: {
        size_t taken;
        *at += bytes;
        enum sg_feed result =
            on_head(flow, bytes == SG_FRAME_HEADER_BYTES ? here : NULL, here + bytes, len - *at, &taken);
        *at += taken;
        return result;
    }
    case SG_SCAN_BODY:
        *at += bytes;
        return on_body(flow, here, bytes);
    case SG_SCAN_MORE:
        *at = len;
        return SG_FEED_OK;
    case SG_SCAN_BAD:
        break;
    }
    return SG_FEED_BAD;
}

enum sg_feed sg_flow_feed(struct sg_flow *flow, const uint8_t *chunk, size_t len, size_t *ret_taken) {
    enum sg_feed result = SG_FEED_OK;
    size_t at = 0;
    if (flow->is_waiting) {
        size_t taken; /* the header went out of its own: nothing more */
        result = flow->held.len > 0 ? on_held(flow) : on_head(flow, NULL, chunk, len, &taken);
    }
    while (result == SG_FEED_OK && at < len) {
        result = step(flow, chunk, len, &at);
    }
    write_out(flow);
    *ret_taken = at;
    return result;
}

bool sg_flow_at_boundary(const struct sg_flow *flow) {
    /* What is held, dropped or not yet decided has not been forwarded: the other side still sees a boundary. */
    return !flow->is_barred && (flow->scanner.left == 0 || flow->is_waiting || flow->body != SG_BODY_FORWARD);
}

void sg_flow_free(struct sg_flow *flow) {
    sg_buf_free(&flow->held);
}
