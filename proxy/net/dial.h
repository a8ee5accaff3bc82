/*
 * dial — getting a stream to one of an upstream's servers: the route that is followed, and the way along it.
 *
 * A route is the order in which the hosts are tried and how long. A dial goes along it from where it stands, every
 * address of every host in turn, encrypting the connection where that is asked for, and begins anew while there is hope
 * and time left. When what answers there turns out not to do (it is starting up, it is a standby), whoever dialled
 * hangs up, says so to the route, and starts another dial on it.
 *
 * A dial works on one loop; its result comes by callback, once, when nothing of the dial is in use any more.
 */
#ifndef SEGUE_NET_DIAL_H
#define SEGUE_NET_DIAL_H

#include "outq.h"
#include "segue/error.h"
#include "upstream.h"

#include <netdb.h>
#include <sys/socket.h>
#include <uv.h>

/* A client or server socket: TCP or unix. */
union sg_stream {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
};

struct sg_route {
    const struct sg_upstream *upstream;
    uint8_t order[SG_HOSTS_MAX];
    uint8_t len, at;                 /* of order; the next to be tried */
    bool is_last_resort;             /* prefer-standby: none was found, any will do */
    bool has_hope;                   /* something in this round failed that may pass by itself */
    uint64_t until_ms;               /* of the clock uv_hrtime shows; UINT64_MAX: no limit */
    unsigned pause_ms;               /* between two rounds; 0: there is one round only */
    int status;                      /* libuv's: why the last one failed */
    struct sg_error error;           /* likewise, where more is known; message "": status says it all */
    const char *failed_label;        /* the host that is about */
    void (*on_exhausted)(void *arg); /* out of descriptors: if something can be given back, do. NULL: it cannot */
    void *on_exhausted_arg;
};

/* wait_ms: how long to go on; 0: no limit. */
void sg_route_begin(struct sg_route *route, const struct sg_upstream *upstream, unsigned wait_ms, unsigned pause_ms);
/* To one of the hosts alone, once. */
void sg_route_to(struct sg_route *route, const struct sg_upstream *upstream, size_t host, unsigned wait_ms);
/* The server that a dial led to will not do: go on behind it. may_pass: it may do in a moment. */
void sg_route_reject(struct sg_route *route, const char *label, const struct sg_error *why, bool may_pass);

struct sg_dial {
    struct sg_route *route; /* the caller's; NULL: to one address only */
    const struct sg_host *host;
    uv_loop_t *loop;
    union sg_stream *stream; /* the caller's; not initialised before, connected or closed after */
    void (*on_done)(struct sg_dial *dial, int status);
    uv_getaddrinfo_t lookup;
    uv_connect_t connect;
    uv_timer_t timer;
    struct addrinfo *addresses, *next;
    size_t addresses_left;
    int status;
    bool is_looking_up, is_connecting, is_pausing, is_given_up, is_final;

    struct sg_tls_context *context; /* NULL: the connection stays in the clear */
    struct sg_tls *tls;             /* on_done with status 0: the caller's, to encrypt the stream with, or NULL */
    struct sg_error error;          /* what went wrong, where status alone does not say */
    struct sg_outq out;             /* the handshake's */
    bool is_shaken;
    uint8_t input[4096];
};

/* context: a reference that is taken over; NULL: no encryption. on_done: status 0 with stream connected to host, or a
 * libuv error with stream closed. Never called from within. */
void sg_dial_start(struct sg_dial *dial, uv_loop_t *loop, struct sg_route *route, struct sg_tls_context *context,
                   union sg_stream *stream, void (*on_done)(struct sg_dial *dial, int status));
/* To where a connection has led before; of a host on a unix socket, address is not looked at. */
void sg_dial_again(struct sg_dial *dial, uv_loop_t *loop, const struct sg_host *host, const struct sockaddr *address,
                   struct sg_tls_context *context, union sg_stream *stream,
                   void (*on_done)(struct sg_dial *dial, int status));
/* on_done follows with UV_ECANCELED. */
void sg_dial_cancel(struct sg_dial *dial);

#endif
