#include "bench/crowd/login.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

bool sg_place_open(struct sg_place *place) {
    place->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (place->is_encrypted) {
        place->context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_mode(place->context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                             SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }
    return place->epoll >= 0;
}

static void put_startup(struct sg_peer *peer) {
    const struct sg_place *place = peer->place;
    sg_msg_begin(&peer->out, 0);
    sg_buf_put_u32(&peer->out, 3u << 16);
    sg_buf_put_cstr(&peer->out, "user");
    sg_buf_put_cstr(&peer->out, place->user);
    sg_buf_put_cstr(&peer->out, "database");
    sg_buf_put_cstr(&peer->out, place->database);
    sg_buf_put_cstr(&peer->out, "application_name");
    sg_buf_put_cstr(&peer->out, "segue-crowd");
    sg_buf_put_u8(&peer->out, 0);
    sg_msg_end(&peer->out);
    peer->is_starting = false;
}

/* The answer to SSLRequest. */
bool sg_login_on_packet(struct sg_peer *peer) {
    if (peer->text_len != 1 || peer->text[0] != 'S') {
        fprintf(stderr, "segue-crowd: encryption is refused\n");
        sg_peer_close(peer);
        return false;
    }
    peer->text_len = 0;
    sg_peer_encrypt(peer, peer->place->context, false);
    put_startup(peer);
    return true;
}

struct sg_peer *sg_login(const struct sg_place *place, const struct sg_peer_handlers *handlers, void *owner) {
    static const uint8_t request[] = {0, 0, 0, 8, 4, 210, 22, 47}; /* SSLRequest */
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)place->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        perror("segue-crowd: connect");
        return NULL;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct sg_peer *peer = sg_peer_new(place->epoll, fd, handlers, owner);
    peer->place = place;
    if (place->is_encrypted) {
        sg_buf_put(&peer->out, request, sizeof(request));
    } else {
        put_startup(peer);
    }
    return peer;
}

bool sg_place_serve(const struct sg_place *place, int wait_ms) {
    struct epoll_event events[256];
    int n = epoll_wait(place->epoll, events, 256, wait_ms);
    for (int i = 0; i < n; i++) {
        sg_peer_ready(events[i].data.ptr);
    }
    return n >= 0 || errno == EINTR;
}
