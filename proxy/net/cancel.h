/* cancel — one CancelRequest on a connection of its own. */
#ifndef SEGUE_NET_CANCEL_H
#define SEGUE_NET_CANCEL_H

#include "segue/span.h"

struct sg_worker;

/* Sends the packet, which is copied, to the worker's upstream, and waits for the server to close: it does so when the
 * signal has been sent. on_done (may be NULL) is called once, from the loop, whatever the outcome: a client that
 * cancels is told nothing either. */
void sg_cancel_start(struct sg_worker *worker, struct sg_span packet, void (*on_done)(void *arg), void *arg);

/* The worker stops: those under way end now. */
void sg_cancel_stop_all(struct sg_worker *worker);

#endif
