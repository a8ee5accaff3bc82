#include "cancel_order.h"

#include "proxy/tls.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct sg_cancel_order *sg_cancel_order_new(int fd, struct sg_tls *tls, uint32_t pid, struct sg_span key) {
    struct sg_cancel_order *order = malloc(sizeof(*order) + key.len);
    if (!order) {
        abort();
    }
    *order = (struct sg_cancel_order){.fd = fd, .tls = tls, .pid = pid, .key_bytes = (uint16_t)key.len};
    memcpy(order->key, key.ptr, key.len);
    return order;
}

static void say_goodbye(const struct sg_cancel_order *order) {
    struct sg_buf records = {0};
    sg_tls_shutdown(order->tls);
    if (sg_tls_take(order->tls, &records)) {
        ssize_t sent = send(order->fd, records.data, records.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)sent; /* a client that takes not even this does not wait for it */
    }
    sg_buf_free(&records);
}

void sg_cancel_order_done(struct sg_cancel_order *orders) {
    while (orders) {
        struct sg_cancel_order *order = orders;
        orders = order->next;
        if (order->tls) {
            say_goodbye(order);
            sg_tls_free(order->tls);
        }
        close(order->fd);
        free(order);
    }
}
