/*
 * hub — where the control side and the worker loops meet.
 *
 * The control side publishes snapshots; each worker installs the newest between two events and reports the oldest epoch
 * that any of its sessions is still pinned to. Nothing on the data path takes a lock.
 */
#ifndef SEGUE_NET_HUB_H
#define SEGUE_NET_HUB_H

#include "segue/catalog.h"

#include <stdint.h>

struct sg_hub;

/* database: the one whose sessions get the snapshots (the control connection's). NULL: none, a plain proxy. */
struct sg_hub *sg_hub_new(const char *database);
void sg_hub_free(struct sg_hub *hub);

/* Control side, any thread. Takes a reference of its own. Returns at once; workers follow. */
void sg_hub_publish(struct sg_hub *hub, struct sg_snapshot *snapshot);
/* The newest one published, with a reference for the caller; NULL while there is none. Any thread. */
struct sg_snapshot *sg_hub_current(struct sg_hub *hub);

/* Control side, any thread. No worker serves, and no session is pinned to, an epoch older than the result.
 * A session is pinned from the first message of a transaction until ReadyForQuery says idle. UINT64_MAX: no workers. */
uint64_t sg_hub_oldest_epoch(const struct sg_hub *hub);

/* True once the mappings are known: false makes new sessions on the control database be refused with 57P03, because
 * nothing may be forwarded before that. */
void sg_hub_set_ready(struct sg_hub *hub, bool ready);
bool sg_hub_is_ready(const struct sg_hub *hub);

/*
 * The lease, as the workers see it: until sg_hub_clock_ms shows until_ms, statements may be forwarded, under snapshots
 * of min_epoch or newer. What lies before min_epoch is a time of which this process does not know what others have done
 * in it: a transaction that began there cannot go on. Publish the snapshot first. Control side, one thread.
 */
void sg_hub_grant(struct sg_hub *hub, uint64_t min_epoch, int64_t until_ms);
#define SG_HUB_FOREVER INT64_MAX
/* Monotonic; goes on while the process is stopped or the system sleeps. */
int64_t sg_hub_clock_ms(void);

/* Client-visible latency of the recent past, for the backfill's throttle: p99 in microseconds over about a second, 0
 * when there was no traffic. Any thread. */
uint64_t sg_hub_p99_us(const struct sg_hub *hub);

#endif
