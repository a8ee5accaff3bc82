/*
 * cancel_order — a client's CancelRequest on its way to the worker whose session it is for, with the connection it came
 * by. Closing that connection tells the client that the cancel has been carried out, so it stays open until then.
 *
 *      worker that was asked --sg_cancel_order_new--> the session's worker --sg_cancel_order_done--> closed
 */
#ifndef SEGUE_NET_CANCEL_ORDER_H
#define SEGUE_NET_CANCEL_ORDER_H

#include "segue/span.h"

#include <stdint.h>

struct sg_tls;

struct sg_cancel_order {
    struct sg_cancel_order *next; /* of whoever has it */
    int fd;
    struct sg_tls *tls; /* NULL: in the clear */
    uint32_t pid;
    uint16_t key_bytes;
    uint8_t key[];
};

/* fd and tls are taken over. */
struct sg_cancel_order *sg_cancel_order_new(int fd, struct sg_tls *tls, uint32_t pid, struct sg_span key);
/* The order and all behind it. NULL is fine. */
void sg_cancel_order_done(struct sg_cancel_order *orders);

#endif
