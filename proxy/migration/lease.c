#include "proxy/migration/lease.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int64_t sg_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool make_id(PGconn *conn, struct sg_lease *lease, struct sg_error *reterr) {
    PGresult *row = sg_db_query(conn, "SELECT gen_random_uuid()", 0, NULL, reterr);
    if (!row) {
        return false;
    }
    snprintf(lease->id, sizeof(lease->id), "%s", PQgetvalue(row, 0, 0));
    PQclear(row);
    return true;
}

static bool write_row(PGconn *conn, struct sg_lease *lease, uint64_t epoch, struct sg_error *reterr) {
    char host[256] = "";
    gethostname(host, sizeof(host) - 1);
    struct sg_num epoch_text = sg_num_of((int64_t)epoch), lease_text = sg_num_of(lease->lease_ms);
    int64_t sent_ms = sg_now_ms();
    if (!sg_db_run(conn,
                   "INSERT INTO segue.proxy (id, host, epoch, expires_at)"
                   " VALUES ($1, $2, $3, clock_timestamp() + $4::float8 * interval '1 ms')"
                   " ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, expires_at = excluded.expires_at",
                   SG_ARGS(lease->id, host, epoch_text.text, lease_text.text), reterr)) {
        return false;
    }
    lease->epoch = epoch;
    lease->renewed_ms = sent_ms;
    lease->is_held = true;
    return true;
}

bool sg_lease_join(PGconn *conn, struct sg_lease *lease, struct sg_error *reterr) {
    return (lease->id[0] || make_id(conn, lease, reterr)) && write_row(conn, lease, 0, reterr) &&
           /* Rows of processes long gone; a live one would write its own again. */
           sg_db_exec(conn, "DELETE FROM segue.proxy WHERE expires_at < clock_timestamp() - interval '1 hour'", reterr);
}

bool sg_lease_renew(PGconn *conn, struct sg_lease *lease, uint64_t epoch, struct sg_error *reterr) {
    bool is_due = sg_now_ms() - lease->renewed_ms >= lease->lease_ms / 3;
    return (epoch == lease->epoch && !is_due) || write_row(conn, lease, epoch, reterr);
}

void sg_lease_leave(PGconn *conn, struct sg_lease *lease) {
    struct sg_error ignored;
    if (lease->is_held) {
        sg_db_run(conn, "DELETE FROM segue.proxy WHERE id = $1", SG_ARGS(lease->id), &ignored);
        lease->is_held = false;
    }
}

bool sg_lease_is_running_out(const struct sg_lease *lease) {
    return lease->is_held && sg_now_ms() - lease->renewed_ms >= (int64_t)lease->lease_ms * 2 / 3;
}
