/*
 * upstream — where the server is, and how to get a stream to it.
 *
 * A dial tries every address of the host in turn, and encrypts the connection if it is asked to; it works on one loop,
 * and its result comes by callback, once, when nothing of the dial is in use any more.
 */
#ifndef SEGUE_NET_UPSTREAM_H
#define SEGUE_NET_UPSTREAM_H

#include "outq.h"
#include "segue/error.h"

#include <netdb.h>
#include <stdbool.h>
#include <uv.h>

/* A client or server socket: TCP or unix. */
union sg_stream {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
};

struct sg_upstream {
    char host[256]; /* name, address, or directory of a unix socket */
    char port[16];
    char name[256];  /* what the server's certificate must be for: the host as it was given */
    char label[300]; /* "host:port" or the socket's path, for messages */
    bool is_unix;
    unsigned connect_timeout_ms; /* 0: none */
};

/* What libpq would make of it: environment and built-in defaults fill in. Of several hosts the first counts. */
bool sg_upstream_parse(const char *conninfo, struct sg_upstream *ret_upstream, struct sg_error *reterr);

struct sg_dial {
    const struct sg_upstream *upstream;
    uv_loop_t *loop;
    union sg_stream *stream; /* the caller's; not initialised before, connected or closed after */
    void (*on_done)(struct sg_dial *dial, int status);
    uv_getaddrinfo_t lookup;
    uv_connect_t connect;
    uv_timer_t timer;
    struct addrinfo *addresses, *next;
    int status;
    bool is_looking_up, is_connecting, is_given_up;

    struct sg_tls_context *context; /* NULL: the connection stays in the clear */
    struct sg_tls *tls;             /* on_done with status 0: the caller's, to encrypt the stream with, or NULL */
    struct sg_error error;          /* status UV_EPROTO: what went wrong with the encryption */
    struct sg_outq out;             /* the handshake's */
    bool is_shaken;
    uint8_t input[4096];
};

/* context is taken over; NULL: no encryption. on_done: status 0 with stream connected, or a libuv error with stream
 * closed. Never called from within. */
void sg_dial_start(struct sg_dial *dial, uv_loop_t *loop, const struct sg_upstream *upstream,
                   struct sg_tls_context *context, union sg_stream *stream,
                   void (*on_done)(struct sg_dial *dial, int status));
/* on_done follows with UV_ECANCELED. */
void sg_dial_cancel(struct sg_dial *dial);

#endif
