/* cancel — a CancelRequest on a connection of its own. */
#ifndef SEGUE_NET_CANCEL_H
#define SEGUE_NET_CANCEL_H

#include "segue/span.h"

#include <stdbool.h>

struct sg_session;
struct sg_worker;

/* Whose request it is. Called from the loop, never from within sg_cancel_start. */
struct sg_cancel_owner {
    bool (*is_moot)(void *arg);               /* just before it is sent: no more needed? NULL: it is */
    void (*on_done)(void *arg, bool is_sent); /* once. is_sent: the server has got it, and has closed behind it */
    void *arg;
};

/* Sends the packet, which is copied, to the session's server, and waits for that to close: it does so when the signal
 * has been sent. of NULL: nobody here knows the key; it goes to every host of [databases], and means something to one
 * of them at most. */
void sg_cancel_start(struct sg_worker *worker, const struct sg_session *of, struct sg_span packet,
                     const struct sg_cancel_owner *owner);

/* The worker stops: those under way end now. */
void sg_cancel_stop_all(struct sg_worker *worker);

#endif
