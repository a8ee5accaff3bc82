#include "outq.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

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

/* As uv_try_write, but for one piece, which is the rule, by the shorter way through the kernel that sockets have. */
static ssize_t write_now(struct sg_outq *q, const uv_buf_t *bufs, unsigned n) {
    uv_os_fd_t fd;
    if (n != 1 || uv_fileno((const uv_handle_t *)q->stream, &fd) < 0) {
        return uv_try_write(q->stream, bufs, n);
    }
    ssize_t sent;
    do {
        sent = send(fd, bufs[0].base, bufs[0].len, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? uv_translate_sys_error(errno) : sent;
}

static size_t try_write(struct sg_outq *q, const uv_buf_t *bufs, unsigned n) {
    ssize_t rc = q->is_sending ? UV_EAGAIN : write_now(q, bufs, n);
    if (rc < 0 && rc != UV_EAGAIN) {
        q->error = (int)rc;
    }
    return rc > 0 ? (size_t)rc : 0;
}

static void send_waiting(struct sg_outq *q) {
    if (q->error != 0) {
        sg_buf_free(&q->waiting);
    } else if (q->waiting.len > 0 && !q->is_sending) {
        start_sending(q);
    }
}

void sg_outq_flush_tls(struct sg_outq *q) {
    struct sg_buf *records = q->tls ? sg_tls_records(q->tls) : NULL;
    if (!records || records->len == 0) {
        return;
    }
    if (q->error == 0) {
        uv_buf_t buf = uv_buf_init((char *)records->data, (unsigned)records->len);
        keep_rest(q, &buf, 1, try_write(q, &buf, 1));
        send_waiting(q);
    }
    records->len = 0;
}

/* A record for each piece would be mostly overhead: as many pieces as a record holds go into one. */
static bool encrypt(struct sg_tls *tls, const uv_buf_t *bufs, unsigned n) {
    enum { RECORD_BYTES = 16384 };
    uint8_t record[RECORD_BYTES];
    size_t len = 0;
    for (unsigned i = 0; i < n; i++) {
        for (size_t done = 0; done < bufs[i].len;) {
            size_t part = bufs[i].len - done < RECORD_BYTES - len ? bufs[i].len - done : RECORD_BYTES - len;
            memcpy(record + len, bufs[i].base + done, part);
            len += part;
            done += part;
            if (len == RECORD_BYTES && !sg_tls_write(tls, record, len)) {
                return false;
            }
            len = len == RECORD_BYTES ? 0 : len;
        }
    }
    return sg_tls_write(tls, record, len);
}

void sg_outq_write(struct sg_outq *q, const uv_buf_t *bufs, unsigned n) {
    if (q->error != 0 || n == 0) {
        return;
    }
    if (!q->tls) {
        keep_rest(q, bufs, n, try_write(q, bufs, n));
        send_waiting(q);
    } else if (encrypt(q->tls, bufs, n)) {
        sg_outq_flush_tls(q);
    } else {
        q->error = UV_EPROTO;
        sg_outq_flush_tls(q);
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
