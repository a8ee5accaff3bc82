/*
 * login — how a client of ours gets in: SSLRequest if it encrypts, then the StartupMessage. The server asks for nothing
 * more (trust); its answers come to the handlers, up to the first ReadyForQuery.
 */
#ifndef SEGUE_BENCH_CROWD_LOGIN_H
#define SEGUE_BENCH_CROWD_LOGIN_H

#include "bench/crowd/peer.h"

struct sg_place {
    int port; /* on loopback */
    bool is_encrypted;
    const char *user, *database;
    int epoll;        /* which watches the peers */
    SSL_CTX *context; /* is_encrypted */
};

/* False: the machine does not give what is needed. */
bool sg_place_open(struct sg_place *place);
/* on_packet of the handlers of every such peer. */
bool sg_login_on_packet(struct sg_peer *peer);
/* NULL: cannot connect, said so. place outlives the peer. */
struct sg_peer *sg_login(const struct sg_place *place, const struct sg_peer_handlers *handlers, void *owner);
/* Lets every peer do what it can; waits for that, wait_ms at most (-1: for ever). False: failed. */
bool sg_place_serve(const struct sg_place *place, int wait_ms);

#endif
