/*
 * lease — this proxy's row in segue.proxy: which row epoch it has acknowledged, and until when it may be counted on.
 *
 * A proxy joins with epoch 0, which holds up every barrier, before it reads the mappings; so no phase can pass it by
 * between its reading and its first word. It must stop serving mapped tables before the lease it last wrote runs out.
 */
#ifndef SEGUE_MIGRATION_LEASE_H
#define SEGUE_MIGRATION_LEASE_H

#include "proxy/migration/db.h"

struct sg_lease {
    char id[40]; /* uuid; a new one for every process */
    int lease_ms;
    uint64_t epoch;     /* as last written */
    int64_t renewed_ms; /* local monotonic clock, read before the write was sent */
    bool is_held;
};

bool sg_lease_join(PGconn *conn, struct sg_lease *lease, struct sg_error *reterr);
/* Writes when the epoch is news or a third of the lease has gone. */
bool sg_lease_renew(PGconn *conn, struct sg_lease *lease, uint64_t epoch, struct sg_error *reterr);
void sg_lease_leave(PGconn *conn, struct sg_lease *lease);
/* Two thirds of the lease are over: nobody may rely on it any longer from this side. */
bool sg_lease_is_running_out(const struct sg_lease *lease);

int64_t sg_now_ms(void); /* monotonic */

#endif
