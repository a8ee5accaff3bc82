/*
 * wire — a console client's socket: whole messages in, buffered messages out, blocking in poll(2).
 *
 * One thread uses a wire; any other may call sg_wire_wake.
 *
 *      in:  [consumed | message being looked at | bytes read ahead ...]
 *                       ^in_at
 */
#ifndef SEGUE_ADMIN_WIRE_H
#define SEGUE_ADMIN_WIRE_H

#include "proxy/tls.h"
#include "segue/protocol.h"

#define SG_WIRE_MESSAGE_MAX_BYTES (1u << 20) /* a console command is short; this bounds what a client makes us hold */

enum sg_wire_event {
    SG_WIRE_OK,    /* a message is there, or the time is up */
    SG_WIRE_WOKEN, /* sg_wire_wake was called */
    SG_WIRE_GONE,  /* the client has closed, or the socket failed */
    SG_WIRE_BAD,   /* a message longer than the limit, or a length that cannot be */
};

struct sg_wire {
    int fd;      /* owned */
    int wake_fd; /* eventfd, owned */
    struct sg_buf in;
    size_t in_at;
    struct sg_buf out;
    struct sg_tls *tls;    /* owned; NULL: in the clear */
    struct sg_buf records; /* out, encrypted, and not sent yet */
};

/* Takes fd over, and tls, through which its bytes then go (NULL: none). pending: bytes of the client that were read
 * before. */
void sg_wire_init(struct sg_wire *wire, int fd, struct sg_tls *tls, struct sg_span pending);
void sg_wire_free(struct sg_wire *wire);
void sg_wire_wake(struct sg_wire *wire);

/* The body is valid until the next call on this wire. */
enum sg_wire_event sg_wire_read(struct sg_wire *wire, struct sg_frame *ret_frame, const uint8_t **ret_body);
/* Waits, and notices meanwhile if the client goes away; messages that arrive are kept for sg_wire_read. */
enum sg_wire_event sg_wire_idle(struct sg_wire *wire, int wait_ms);
/* Sends everything in out. OK, WOKEN (the rest stays) or GONE. */
enum sg_wire_event sg_wire_flush(struct sg_wire *wire);
/* The last words of a session: sends what the socket takes at once, and says that no more comes. */
void sg_wire_part(struct sg_wire *wire);

#endif
