/*
 * lease — this proxy's row in segue.proxy: which row epoch it has acknowledged, and until when it may be counted on.
 *
 *   proxy                                                  any other, at a barrier (barrier.c)
 *   join:  INSERT, epoch 0 --read mappings--> serve        DELETE the rows that are over; wait for all that are left
 *   renew: UPDATE its row, every third of the lease
 *          no row is there: passed by --> join anew
 *
 * Invariants. Time is the monotonic clock of the one who measures (sg_hub_clock_ms), or the database's own.
 *   1. The row's being there is the lease. It is taken away by deleting it, and no renewal brings it back: of the two,
 *      which lock the row, one comes first. So a proxy whose renewal has succeeded has been passed by by nobody.
 *   2. A proxy counts on its lease for two thirds of its length, from before the write that renewed it was sent; the
 *      others wait for the whole length from when it was carried out. The third between is for what was sent last to
 *      arrive. It is all that the two clocks may differ by: a database whose clock is set forward by more, or a standby
 *      that is promoted with more than that missing, ends a lease too early.
 *   3. When it cannot count on its lease, a proxy forwards nothing that might concern a mapping, in sessions old or new
 *      (session_lease.c). What a mapping is may have changed by then, so that is every statement.
 *   4. A proxy joins with epoch 0, which holds up every barrier, before it reads the mappings; so no phase can pass it
 * by between its reading and its first word.
 *   5. When the row was gone, phases may have come and gone: a transaction that began before that can be ended, but not
 *      gone on with, unless the epoch is still the one it began in.
 *   6. What was forwarded in time and is still on its way after a third of the lease (a pipeline, a server that stood
 *      still, a network that holds a packet back) is out of the proxy's hands. Those that run hold locks, which
 * barriers wait for; those that have yet to begin are waited for, too, where the proxy's host is known (barrier.c).
 * Behind that stands the guard, which repairs what they write, and a column that is no longer there.
 */
#ifndef SEGUE_MIGRATION_LEASE_H
#define SEGUE_MIGRATION_LEASE_H

#include "proxy/migration/db.h"

struct sg_lease {
    char id[40]; /* uuid; a new one for every process */
    int lease_ms;
    uint64_t epoch;     /* as last written */
    int64_t renewed_ms; /* of sg_hub_clock_ms, read before the write was sent */
    bool is_held;
};

/* *ret_was_held: the row has been there all the time since the last write. */
bool sg_lease_join(PGconn *conn, struct sg_lease *lease, bool *ret_was_held, struct sg_error *reterr);
/* Writes when the epoch is news or a third of the lease has gone. *ret_is_held false: the row has gone; join anew. */
bool sg_lease_renew(PGconn *conn, struct sg_lease *lease, uint64_t epoch, bool *ret_is_held, struct sg_error *reterr);
void sg_lease_leave(PGconn *conn, struct sg_lease *lease);
/* Until when this side may count on it. */
int64_t sg_lease_end_ms(const struct sg_lease *lease);

int64_t sg_now_ms(void); /* monotonic */

#endif
