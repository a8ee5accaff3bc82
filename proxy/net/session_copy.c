#include "session_copy.h"

#include "segue/copy.h"

#include <stdlib.h>
#include <string.h>

#define MESSAGE_BYTES 65536u /* of CopyData that we make: what the client sends may be smaller, or larger */

struct sg_side *sg_copy_side(struct sg_session *s, const struct sg_portal *portal) {
    struct sg_side *side = sg_worker_side(s->worker);
    side->plan = sg_plan_ref(portal->plan);
    side->text = sg_text_ref(portal->text);
    side->is_copy = true;
    return side;
}

/* ---- The data ---- */

static void put(void *owner, const uint8_t *bytes, size_t len) {
    struct sg_session *s = owner;
    struct sg_buf *out = &s->worker->copied;
    while (len > 0) {
        if (out->len == 0) {
            sg_buf_reserve(out, MESSAGE_BYTES);
            sg_msg_begin(out, 'd');
        }
        size_t room = MESSAGE_BYTES - out->len;
        size_t n = len < room ? len : room;
        sg_buf_put(out, bytes, n);
        bytes += n;
        len -= n;
        if (out->len == MESSAGE_BYTES) {
            sg_copy_flush(s);
        }
    }
}

void sg_copy_flush(struct sg_session *s) {
    struct sg_buf *out = &s->worker->copied;
    if (out->len > 0) {
        sg_msg_end(out);
        sg_flow_write(&s->from_client, out->data, out->len);
        out->len = 0;
    }
}

/* The client counts the columns that it names, or that the table had when it was made. */
static void send_response(struct sg_session *s, uint8_t format, uint16_t columns) {
    struct sg_buf *message = &s->worker->message;
    sg_msg_begin(message, 'G');
    sg_buf_put_u8(message, format);
    sg_buf_put_u16(message, columns);
    for (uint16_t i = 0; i < columns; i++) {
        sg_buf_put_u16(message, format);
    }
    sg_msg_end(message);
    sg_flow_emit(&s->from_server, message->data, message->len);
    message->len = 0;
}

/* The server asks for the data of the statement's next COPY. NULL: they are not changed. */
static const struct sg_copy *take_copy(struct sg_side *side) {
    uint32_t index = side->copies_begun++;
    const struct sg_copy *copy = side->plan->copy;
    while (copy && copy->index < index) {
        copy = copy->next;
    }
    bool is_it = copy && copy->index == index;
    side->is_copy = copy && (!is_it || copy->next);
    return is_it ? copy : NULL;
}

enum sg_verdict sg_copy_begin(struct sg_session *s, const struct sg_message *m, bool is_open) {
    struct sg_expectation front;
    sg_copy_stop(s);
    if (!sg_expect_front(&s->expect, &front) || !front.side || !front.side->is_copy) {
        return SG_FORWARD;
    }
    const struct sg_copy *copy = take_copy(front.side);
    if (!copy || m->have == 0) {
        return SG_FORWARD;
    }
    if (is_open) {
        s->copy.plan = sg_plan_ref(front.side->plan);
        s->copy.stream = sg_copy_stream_new(copy, put, s);
    }
    send_response(s, m->body[0], copy->columns);
    return SG_ABSORB;
}

static bool is_to_come(const struct sg_session *s) {
    for (const struct sg_side *side = s->expect.first_side; side; side = side->next) {
        if (side->is_copy) {
            return true;
        }
    }
    return false;
}

enum sg_verdict sg_copy_data(struct sg_session *s) {
    if (s->copy.stream) {
        return SG_DIVERT;
    }
    if (s->is_copy_in) {
        return SG_FORWARD; /* of a COPY that is not changed */
    }
    /* Sent before the server has asked for it: it waits until the server has, or has refused the statement. Either is
     * known soon, for the server sends both without being asked to. */
    return is_to_come(s) ? sg_session_stall(s, UINT32_MAX) : SG_FORWARD;
}

void sg_copy_divert(void *owner, const uint8_t *bytes, size_t len) {
    struct sg_session *s = owner;
    if (s->copy.stream) {
        sg_copy_stream_feed(s->copy.stream, bytes, len);
    } /* otherwise the COPY has failed in the middle of a message: the server drops what comes */
}

void sg_copy_end(struct sg_session *s) {
    if (s->copy.stream) {
        sg_copy_stream_end(s->copy.stream);
        sg_copy_flush(s);
        sg_copy_stop(s);
    }
}

void sg_copy_stop(struct sg_session *s) {
    if (s->copy.stream) {
        sg_copy_stream_free(s->copy.stream);
        sg_plan_unref(s->copy.plan);
        s->copy.stream = NULL;
        s->copy.plan = NULL;
    }
}
