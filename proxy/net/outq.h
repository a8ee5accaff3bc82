/*
 * outq — what is written to one stream: straight from the caller's buffers while the socket takes it, copied only when
 * it does not.
 *
 *      sg_outq_write --> socket                         (clear: nothing held, the usual case)
 *               \------> unsent rest, copied --> uv_write --> on_clear
 *
 * Encrypted, what is written becomes records of TLS first; what those leave unsent is what is held.
 *
 * Whoever fills a queue must stop reading its source while the queue is not clear; so it holds no more than one chunk
 * and what was synthesised with it. A clear queue owns no memory.
 */
#ifndef SEGUE_NET_OUTQ_H
#define SEGUE_NET_OUTQ_H

#include "proxy/tls.h"
#include "segue/protocol.h"

#include <stdbool.h>
#include <uv.h>

struct sg_outq {
    uv_stream_t *stream;
    struct sg_tls *tls;                  /* NULL: in the clear. The owner's */
    void (*on_clear)(struct sg_outq *q); /* the rest has gone out; or it failed, see error */
    uv_write_t req;
    struct sg_buf sending; /* owned by libuv until the write is over */
    struct sg_buf waiting; /* added meanwhile */
    bool is_sending;
    int error; /* the first libuv error; everything written afterwards is dropped */
};

void sg_outq_init(struct sg_outq *q, uv_stream_t *stream, void (*on_clear)(struct sg_outq *q));
void sg_outq_write(struct sg_outq *q, const uv_buf_t *bufs, unsigned n);
/* Sends what the encryption itself has to say: handshake, alerts. */
void sg_outq_flush_tls(struct sg_outq *q);
static inline bool sg_outq_is_clear(const struct sg_outq *q) {
    return !q->is_sending;
}
/* After the stream's close callback. */
void sg_outq_free(struct sg_outq *q);

/* Pieces of one chunk's output, gathered so that they leave in one system call. Adjacent pieces are joined. */
#define SG_GATHER_MAX 64
struct sg_gather {
    uv_buf_t bufs[SG_GATHER_MAX];
    unsigned n;
};
/* False when it is full: write it out first. */
bool sg_gather_add(struct sg_gather *gather, const void *bytes, size_t len);

#endif
