/*
 * handover — a running process gives its listening sockets to the one that is to take its place, so that no client is
 * ever refused or reset: a connection is in the sockets' queue until one of the two accepts it.
 *
 *      the new process                    over handover_socket               the running one
 *      sg_takeover_ask         -- "segue-handover 1 want" ----------------->
 *                              <-- "segue-handover 1 sockets", descriptors --  offer
 *      starts, reads mappings,                                                accepts and serves as ever
 *      until it could serve
 *      sg_takeover_finish      -- "take" ---------------------------------->  taken: accepts no more, gives up its
 *                              <-- "yours" ---------------------------------  pid file; serves its sessions to their
 * end accepts
 *
 * Invariants:
 *   1. Until "take" nothing has changed for the running process: if the new one fails or dies, it goes on.
 *   2. At most one new process is talked to at a time.
 *   3. Both sides look at who the other is: only the same user, or root, gives and takes.
 *
 * The two may be of different versions: the words are fixed, and what follows the version number may grow.
 */
#ifndef SEGUE_HANDOVER_H
#define SEGUE_HANDOVER_H

#include "proxy/net/listener.h"

#include <sys/types.h>

/* ---- The running process. Main thread ---- */

struct sg_handover;

struct sg_handover_events {
    /* A new process wants them. False: not now, *reterr says why. */
    bool (*offer)(void *arg, struct sg_sockets *ret_sockets, struct sg_error *reterr);
    /* It is about to accept. sg_handover_close is to be called from within. */
    void (*taken)(void *arg, pid_t by);
    void *arg;
};

/* Waits at path, a Unix socket that only this user can reach. NULL: *reterr. */
struct sg_handover *sg_handover_open(uv_loop_t *loop, const char *path, const struct sg_handover_events *events,
                                     struct sg_error *reterr);
/* Removes the socket; memory goes when the handles have closed on the loop. NULL is nothing. */
void sg_handover_close(struct sg_handover *handover);

/* ---- The new process. Blocks, for seconds at most ---- */

struct sg_takeover {
    int fd; /* to the running process; -1: there is none */
    pid_t from;
    struct sg_sockets sockets;
};

/* True with fd -1: nobody is there to be replaced. False: somebody is, and did not give them; *reterr. */
bool sg_takeover_ask(const char *path, struct sg_takeover *ret_takeover, struct sg_error *reterr);
/* Everything is ready to accept. False: the running process may still be accepting too, which does no harm. */
bool sg_takeover_finish(struct sg_takeover *takeover, struct sg_error *reterr);
/* Changed its mind: the running process goes on as if nothing had been. */
void sg_takeover_drop(struct sg_takeover *takeover);

#endif
