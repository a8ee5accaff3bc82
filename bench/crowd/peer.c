#include "bench/crowd/peer.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK_BYTES 65536
#define READS_MAX   16 /* then the others have their turn */

static void watch(struct sg_peer *peer, bool out) {
    struct epoll_event event = {.events = EPOLLIN | (out ? EPOLLOUT : 0u), .data = {.ptr = peer}};
    if (!peer->is_closed && peer->wants_out != out) {
        peer->wants_out = out;
        epoll_ctl(peer->epoll, EPOLL_CTL_MOD, peer->fd, &event);
    }
}

struct sg_peer *sg_peer_new(int epoll, int fd, const struct sg_peer_handlers *handlers, void *owner) {
    struct sg_peer *peer = calloc(1, sizeof(*peer));
    if (!peer) {
        abort();
    }
    *peer = (struct sg_peer){.fd = fd,
                             .epoll = epoll,
                             .is_starting = true,
                             .scanner = {.max_body_bytes = UINT32_MAX},
                             .handlers = handlers,
                             .owner = owner};
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = peer}};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    return peer;
}

void sg_peer_encrypt(struct sg_peer *peer, SSL_CTX *context, bool accepts) {
    peer->ssl = SSL_new(context);
    if (!peer->ssl || SSL_set_fd(peer->ssl, peer->fd) != 1) {
        abort();
    }
    if (accepts) {
        SSL_set_accept_state(peer->ssl);
    } else {
        SSL_set_connect_state(peer->ssl);
    }
}

void sg_peer_close(struct sg_peer *peer) {
    if (!peer->is_closed) {
        peer->is_closed = true;
        close(peer->fd);
    }
}

void sg_peer_free(struct sg_peer *peer) {
    sg_peer_close(peer);
    SSL_free(peer->ssl);
    sg_buf_free(&peer->out);
    free(peer);
}

static bool would_block(const struct sg_peer *peer, int result) {
    if (!peer->ssl) {
        return result < 0 && (errno == EAGAIN || errno == EINTR);
    }
    int error = SSL_get_error(peer->ssl, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/* ---- Reading ---- */

static void keep_text(struct sg_peer *peer, const uint8_t *bytes, size_t len) {
    size_t room = SG_PEER_TEXT_BYTES - peer->text_len;
    len = len < room ? len : room;
    memcpy(peer->text + peer->text_len, bytes, len);
    peer->text_len += len;
}

static bool take_messages(struct sg_peer *peer, const uint8_t *bytes, size_t len) {
    while (len > 0) {
        size_t taken = len;
        enum sg_scan_event event = sg_scan(&peer->scanner, bytes, len, &taken);
        if (event == SG_SCAN_BAD) {
            return false;
        }
        if (event == SG_SCAN_HEAD) {
            peer->text_len = 0;
        } else if (event == SG_SCAN_BODY) {
            keep_text(peer, bytes, taken);
        }
        bytes += taken;
        len -= taken;
        if (event != SG_SCAN_MORE && peer->scanner.left == 0) {
            peer->handlers->on_message(peer, peer->scanner.frame.type);
        }
    }
    return true;
}

static bool take(struct sg_peer *peer, const uint8_t *bytes, size_t len) {
    if (!peer->is_starting) {
        return take_messages(peer, bytes, len);
    }
    if (len > SG_PEER_TEXT_BYTES - peer->text_len) {
        return false; /* neither end of ours says so much before the first message */
    }
    keep_text(peer, bytes, len);
    while (peer->is_starting && !peer->is_closed && peer->text_len > 0 && peer->handlers->on_packet(peer)) {
    }
    if (peer->is_starting || peer->text_len == 0) {
        return true;
    }
    uint8_t rest[SG_PEER_TEXT_BYTES];
    size_t rest_len = peer->text_len;
    memcpy(rest, peer->text, rest_len);
    return take_messages(peer, rest, rest_len);
}

static bool read_all(struct sg_peer *peer) {
    static uint8_t chunk[CHUNK_BYTES];
    for (int i = 0; i < READS_MAX && !peer->is_closed; i++) {
        ERR_clear_error();
        ssize_t got = peer->ssl ? SSL_read(peer->ssl, chunk, sizeof(chunk)) : recv(peer->fd, chunk, sizeof(chunk), 0);
        if (got <= 0) {
            return would_block(peer, (int)got);
        }
        if (!take(peer, chunk, (size_t)got)) {
            return false;
        }
        if (!peer->ssl && got < CHUNK_BYTES) {
            return true;
        }
    }
    return true;
}

/* ---- Writing ---- */

void sg_peer_fill(struct sg_peer *peer, size_t max) {
    static const uint8_t filling[CHUNK_BYTES] = {0};
    size_t len = peer->filling < max ? (size_t)peer->filling : max;
    sg_buf_put(&peer->out, filling, len);
    peer->filling -= len;
}

static bool write_all(struct sg_peer *peer) {
    size_t at = 0;
    bool is_good = true;
    for (int i = 0; i < READS_MAX && is_good; i++) {
        if (peer->out.len == 0) {
            peer->handlers->refill(peer);
        }
        if (peer->out.len == 0) {
            break;
        }
        ERR_clear_error();
        ssize_t put = peer->ssl ? SSL_write(peer->ssl, peer->out.data + at, (int)(peer->out.len - at))
                                : send(peer->fd, peer->out.data + at, peer->out.len - at, MSG_NOSIGNAL);
        if (put <= 0) {
            is_good = would_block(peer, (int)put);
            break;
        }
        at += (size_t)put;
        if (at == peer->out.len) {
            peer->out.len = at = 0;
        }
    }
    if (at > 0) {
        memmove(peer->out.data, peer->out.data + at, peer->out.len - at);
        peer->out.len -= at;
    }
    if (peer->out.len == 0 && peer->filling == 0) {
        sg_buf_free(&peer->out);
    }
    watch(peer, peer->out.len > 0 || peer->filling > 0);
    return is_good;
}

/* 1: done, 0: not yet, -1: failed. */
static int shake(struct sg_peer *peer) {
    ERR_clear_error();
    int result = SSL_do_handshake(peer->ssl);
    peer->is_shaken = result == 1;
    return result == 1 ? 1 : would_block(peer, result) ? 0 : -1;
}

void sg_peer_ready(struct sg_peer *peer) {
    bool is_good = true;
    if (!peer->ssl || peer->is_shaken) {
        is_good = read_all(peer);
    }
    /* What was read last may have begun the encryption. */
    int shaken = peer->ssl && !peer->is_shaken && is_good && !peer->is_closed ? shake(peer) : 1;
    if (shaken > 0 && is_good && !peer->is_closed) {
        is_good = write_all(peer);
    }
    if (!is_good || shaken < 0 || peer->is_closed) {
        sg_peer_close(peer);
        peer->handlers->on_end(peer);
    }
}
