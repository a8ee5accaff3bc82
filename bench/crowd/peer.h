/*
 * peer — one end of a PostgreSQL connection, never blocking, in the clear or through TLS: thousands of them in one
 * thread, for little memory. Of each message it shows the type and the first bytes of the body; the rest is dropped.
 *
 *      sg_peer_ready (from epoll) --> handshake --> read: on_packet while is_starting, else on_message
 *                                          \------> write: out, then what refill adds to it, until it adds nothing
 */
#ifndef SEGUE_BENCH_CROWD_PEER_H
#define SEGUE_BENCH_CROWD_PEER_H

#include "segue/protocol.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#define SG_PEER_TEXT_BYTES 512

struct sg_peer {
    int fd, epoll;
    SSL *ssl; /* NULL: in the clear */
    bool is_shaken, is_closed, is_starting, wants_out;
    bool is_copying; /* for refill */
    struct sg_scanner scanner;
    size_t text_len;
    uint8_t text[SG_PEER_TEXT_BYTES]; /* of the message, or packet, being read */
    struct sg_buf out;
    uint64_t filling; /* for refill: bytes still to send */
    const struct sg_peer_handlers *handlers;
    void *owner;
    const struct sg_place *place; /* of a client: where it logs in (login.h) */
};

struct sg_peer_handlers {
    /* is_starting: bytes outside of messages are in text. False: more must come. What it takes it removes. */
    bool (*on_packet)(struct sg_peer *peer);
    void (*on_message)(struct sg_peer *peer, uint8_t type);
    void (*refill)(struct sg_peer *peer);
    /* The other end has gone, or spoke what is no PostgreSQL. The peer is closed already. */
    void (*on_end)(struct sg_peer *peer);
};

/* fd, non-blocking, is taken over and watched by epoll with the peer as its data. */
struct sg_peer *sg_peer_new(int epoll, int fd, const struct sg_peer_handlers *handlers, void *owner);
/* From here on its bytes are TLS. Call from on_packet. */
void sg_peer_encrypt(struct sg_peer *peer, SSL_CTX *context, bool accepts);
/* What the events of epoll make possible. */
void sg_peer_ready(struct sg_peer *peer);
void sg_peer_close(struct sg_peer *peer);
void sg_peer_free(struct sg_peer *peer);

/* For refill: adds bytes of filling to out, as many as are left but at most max (65536). */
void sg_peer_fill(struct sg_peer *peer, size_t max);

#endif
