/*
 * hub_seat — the workers' side of the hub. A seat is one worker's place there: a mailbox for snapshots, what the worker
 * reports back, and its latency histogram.
 *
 *      attach (caller's thread) -> take, report, latency (the worker's thread) -> quiet -> detach (caller's thread)
 */
#ifndef SEGUE_NET_HUB_SEAT_H
#define SEGUE_NET_HUB_SEAT_H

#include "hub.h"

#include <stdbool.h>
#include <stdint.h>

struct sg_hub_seat;

/* wake(arg) is called from any thread whenever the mailbox was filled; it must not block. */
struct sg_hub_seat *sg_hub_attach(struct sg_hub *hub, void (*wake)(void *arg), void *arg);
/* No wake comes after this returns. What the worker reported last still counts: its sessions may still be ending. */
void sg_hub_quiet(struct sg_hub *hub, struct sg_hub_seat *seat);
void sg_hub_detach(struct sg_hub *hub, struct sg_hub_seat *seat);

/* The newest snapshot not yet taken, with its reference; NULL when there is none. */
struct sg_snapshot *sg_hub_take(struct sg_hub_seat *seat);
/* The oldest epoch this worker serves or has a session pinned to. Call only when it changed. */
void sg_hub_report(struct sg_hub_seat *seat, uint64_t oldest_epoch);
void sg_hub_latency(struct sg_hub_seat *seat, uint64_t now_ns, uint64_t elapsed_ns);

/* NULL: a plain proxy. Fixed for the hub's life. */
const char *sg_hub_database(const struct sg_hub *hub);
/* The lease holds at this moment: the clock is read, not remembered. True: *ret_min_epoch is what goes with it. */
bool sg_hub_is_granted(const struct sg_hub *hub, uint64_t *ret_min_epoch);

#endif
