#include "proxy/admin/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READ_BYTES 8192

void sg_wire_init(struct sg_wire *wire, int fd, struct sg_tls *tls, struct sg_span pending) {
    *wire = (struct sg_wire){.fd = fd, .tls = tls, .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (wire->wake_fd < 0)
        abort();
    if (pending.len)
        sg_buf_put(&wire->in, pending.ptr, pending.len);
}

void sg_wire_free(struct sg_wire *wire) {
    close(wire->fd);
    close(wire->wake_fd);
    sg_buf_free(&wire->in);
    sg_buf_free(&wire->out);
    sg_buf_free(&wire->records);
    sg_tls_free(wire->tls);
}

void sg_wire_wake(struct sg_wire *wire) {
    uint64_t one = 1;
    if (write(wire->wake_fd, &one, sizeof(one)) < 0) {
        /* the counter is full: it is awake */
    }
}

/* Waits for one direction of the socket or the wake-up. OK also when the time is up (*ret_revents is 0 then). */
static enum sg_wire_event wait_for(struct sg_wire *wire, short events, int wait_ms, short *ret_revents) {
    struct pollfd fds[] = {{.fd = wire->wake_fd, .events = POLLIN},
                           {.fd = wire->fd, .events = (short)(events | POLLRDHUP)}};
    int n = poll(fds, 2, wait_ms);
    *ret_revents = 0;
    if (n < 0)
        return errno == EINTR ? SG_WIRE_OK : SG_WIRE_GONE;
    uint64_t count;
    if (fds[0].revents && read(wire->wake_fd, &count, sizeof(count)) > 0)
        return SG_WIRE_WOKEN;
    *ret_revents = fds[1].revents;
    return SG_WIRE_OK;
}

/* Bytes of the socket into in. */
static enum sg_wire_event decrypt(struct sg_wire *wire, const uint8_t *bytes, size_t n) {
    enum sg_tls_progress progress;
    bool is_closed;
    sg_tls_feed(wire->tls, bytes, n);
    do {
        sg_buf_reserve(&wire->in, READ_BYTES);
        progress = sg_tls_read(wire->tls, wire->in.data + wire->in.len, READ_BYTES, &n, &is_closed);
        wire->in.len += n;
    } while (progress == SG_TLS_DONE);
    return progress == SG_TLS_MORE ? SG_WIRE_OK : SG_WIRE_GONE;
}

/* Reads what is there. */
static enum sg_wire_event fill(struct sg_wire *wire) {
    if (wire->in_at == wire->in.len)
        wire->in.len = wire->in_at = 0;
    if (wire->in_at > wire->in.len / 2) {
        memmove(wire->in.data, wire->in.data + wire->in_at, wire->in.len - wire->in_at);
        wire->in.len -= wire->in_at;
        wire->in_at = 0;
    }
    uint8_t bytes[READ_BYTES];
    ssize_t n = recv(wire->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? SG_WIRE_OK : SG_WIRE_GONE;
    if (n > 0 && wire->tls)
        return decrypt(wire, bytes, (size_t)n);
    sg_buf_put(&wire->in, bytes, (size_t)n);
    return n ? SG_WIRE_OK : SG_WIRE_GONE;
}

enum sg_wire_event sg_wire_read(struct sg_wire *wire, struct sg_frame *ret_frame, const uint8_t **ret_body) {
    for (;;) {
        size_t have = wire->in.len - wire->in_at;
        const uint8_t *at = have ? wire->in.data + wire->in_at : NULL;
        struct sg_frame frame;
        enum sg_read read = have ? sg_frame_header(at, have, SG_WIRE_MESSAGE_MAX_BYTES, &frame) : SG_READ_MORE;
        if (read == SG_READ_BAD)
            return SG_WIRE_BAD;
        if (read == SG_READ_OK && have >= SG_FRAME_HEADER_BYTES + (size_t)frame.body_bytes) {
            *ret_frame = frame;
            *ret_body = at + SG_FRAME_HEADER_BYTES;
            wire->in_at += SG_FRAME_HEADER_BYTES + (size_t)frame.body_bytes;
            return SG_WIRE_OK;
        }
        short revents;
        enum sg_wire_event event = wait_for(wire, POLLIN, -1, &revents);
        if (event == SG_WIRE_OK && revents)
            event = fill(wire);
        if (event != SG_WIRE_OK)
            return event;
    }
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum sg_wire_event sg_wire_idle(struct sg_wire *wire, int wait_ms) {
    int64_t until = now_ms() + wait_ms;
    for (int64_t left = wait_ms; left > 0; left = until - now_ms()) {
        /* A client that sends on and on while it waits is not read beyond the bound; it is then noticed by RDHUP. */
        bool is_full = wire->in.len - wire->in_at > SG_WIRE_MESSAGE_MAX_BYTES;
        short revents;
        enum sg_wire_event event = wait_for(wire, is_full ? 0 : POLLIN, (int)left, &revents);
        if (event == SG_WIRE_OK && (revents & (POLLRDHUP | POLLHUP | POLLERR)))
            event = SG_WIRE_GONE;
        else if (event == SG_WIRE_OK && revents)
            event = fill(wire);
        if (event != SG_WIRE_OK)
            return event;
    }
    return SG_WIRE_OK;
}

/* What is to be sent, as the socket gets it. NULL: it cannot be encrypted any more. */
static struct sg_buf *sealed(struct sg_wire *wire) {
    if (!wire->tls)
        return &wire->out;
    bool good = sg_tls_write(wire->tls, wire->out.data, wire->out.len);
    wire->out.len = 0;
    sg_tls_take(wire->tls, &wire->records);
    return good ? &wire->records : NULL;
}

/* OK: some or nothing was sent; GONE. */
static enum sg_wire_event send_some(struct sg_wire *wire, const struct sg_buf *bytes, size_t *sent) {
    ssize_t n = send(wire->fd, bytes->data + *sent, bytes->len - *sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? SG_WIRE_OK : SG_WIRE_GONE;
    *sent += (size_t)n;
    return SG_WIRE_OK;
}

enum sg_wire_event sg_wire_flush(struct sg_wire *wire) {
    size_t sent = 0;
    struct sg_buf *bytes = sealed(wire);
    enum sg_wire_event event = bytes ? SG_WIRE_OK : SG_WIRE_GONE;
    while (bytes && sent < bytes->len && event == SG_WIRE_OK) {
        size_t before = sent;
        short revents;
        event = send_some(wire, bytes, &sent);
        if (event == SG_WIRE_OK && sent == before)
            event = wait_for(wire, POLLOUT, -1, &revents);
    }
    if (sent) {
        memmove(bytes->data, bytes->data + sent, bytes->len - sent);
        bytes->len -= sent;
    }
    return event;
}

void sg_wire_part(struct sg_wire *wire) {
    char unread[4096];
    size_t sent = 0;
    struct sg_buf *bytes = sealed(wire);
    if (bytes && wire->tls) {
        sg_tls_shutdown(wire->tls);
        sg_tls_take(wire->tls, bytes);
    }
    if (bytes && bytes->len) {
        send_some(wire, bytes, &sent);
        bytes->len = 0;
    }
    shutdown(wire->fd, SHUT_WR);
    /* A socket closed with bytes unread resets the connection, and the client may lose what was just sent. */
    for (int i = 0; i < 256 && recv(wire->fd, unread, sizeof(unread), MSG_DONTWAIT) > 0; i++) {
    }
}
