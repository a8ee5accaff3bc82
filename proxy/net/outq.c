#include "outq.h"

#include <string.h>

static void start_sending(struct sg_outq *q);

void sg_outq_init(struct sg_outq *q, uv_stream_t *stream, void (*on_clear)(struct sg_outq *q)) {
    *q = (struct sg_outq){.stream = stream, .on_clear = on_clear};
    q->req.data = q;
}

void sg_outq_free(struct sg_outq *q) {
    sg_buf_free(&q->sending);
    sg_buf_free(&q->waiting);
}

static void on_written(uv_write_t *req, int status) {
    struct sg_outq *q = req->data;
    sg_buf_free(&q->sending);
    q->is_sending = false;
    if (status < 0 && q->error == 0) {
        q->error = status;
    }
    if (q->error != 0) {
        sg_buf_free(&q->waiting);
    }
    if (q->waiting.len > 0) {
        start_sending(q);
    }
    if (!q->is_sending) {
        q->on_clear(q);
    }
}

static void start_sending(struct sg_outq *q) {
    q->sending = q->waiting;
    q->waiting = (struct sg_buf){0};
    uv_buf_t buf = uv_buf_init((char *)q->sending.data, (unsigned)q->sending.len);
    int rc = uv_write(&q->req, q->stream, &buf, 1, on_written);
    if (rc < 0) {
        q->error = q->error ? q->error : rc;
        sg_buf_free(&q->sending);
        return;
    }
    q->is_sending = true;
}

static void keep_rest(struct sg_outq *q, const uv_buf_t *bufs, unsigned n, size_t skip) {
    for (unsigned i = 0; i < n; i++) {
        if (skip >= bufs[i].len) {
            skip -= bufs[i].len;
            continue;
        }
        sg_buf_put(&q->waiting, bufs[i].base + skip, bufs[i].len - skip);
        skip = 0;
    }
}

void sg_outq_write(struct sg_outq *q, const uv_buf_t *bufs, unsigned n) {
    size_t sent = 0;
    if (q->error != 0 || n == 0) {
        return;
    }
    if (!q->is_sending) {
        int rc = uv_try_write(q->stream, bufs, n);
        if (rc < 0 && rc != UV_EAGAIN) {
            q->error = rc;
            return;
        }
        sent = rc > 0 ? (size_t)rc : 0;
    }
    keep_rest(q, bufs, n, sent);
    if (q->waiting.len > 0 && !q->is_sending) {
        start_sending(q);
    }
}

bool sg_gather_add(struct sg_gather *gather, const void *bytes, size_t len) {
    if (len == 0) {
        return true;
    }
    if (gather->n > 0) {
        uv_buf_t *last = &gather->bufs[gather->n - 1];
        if (last->base + last->len == (const char *)bytes) {
            last->len += len;
            return true;
        }
    }
    if (gather->n == SG_GATHER_MAX) {
        return false;
    }
    gather->bufs[gather->n++] = uv_buf_init((char *)bytes, (unsigned)len);
    return true;
}
