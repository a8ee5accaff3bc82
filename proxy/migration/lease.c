#include "proxy/migration/lease.h"

#include "proxy/net/hub.h"

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

/* What was written holds. */
static void note_write(struct sg_lease *lease, uint64_t epoch, int64_t sent_ms) {
    lease->epoch = epoch;
    lease->renewed_ms = sent_ms;
    lease->is_held = true;
}

static bool insert_row(PGconn *conn, struct sg_lease *lease, bool *ret_was_held, struct sg_error *reterr) {
    char host[256] = "";
    gethostname(host, sizeof(host) - 1);
    struct sg_num lease_text = sg_num_of(lease->lease_ms);
    int64_t sent_ms = sg_hub_clock_ms();
    PGresult *row = sg_db_query(conn,
                                "INSERT INTO segue.proxy (id, host, epoch, expires_at, address)"
                                " VALUES ($1, $2, 0, clock_timestamp() + $3::float8 * interval '1 ms',"
                                "   inet_client_addr())"
                                " ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch,"
                                "   expires_at = excluded.expires_at, address = excluded.address RETURNING xmax <> 0",
                                SG_ARGS(lease->id, host, lease_text.text), reterr);
    if (!row) {
        return false;
    }
    *ret_was_held = lease->is_held && PQntuples(row) == 1 && *PQgetvalue(row, 0, 0) == 't';
    PQclear(row);
    note_write(lease, 0, sent_ms);
    return true;
}

bool sg_lease_join(PGconn *conn, struct sg_lease *lease, bool *ret_was_held, struct sg_error *reterr) {
    return (lease->id[0] || make_id(conn, lease, reterr)) && insert_row(conn, lease, ret_was_held, reterr) &&
           /* Rows of processes long gone, of which no barrier has taken notice. */
           sg_db_exec(conn, "DELETE FROM segue.proxy WHERE expires_at < clock_timestamp() - interval '1 hour'", reterr);
}

bool sg_lease_renew(PGconn *conn, struct sg_lease *lease, uint64_t epoch, bool *ret_is_held, struct sg_error *reterr) {
    *ret_is_held = true;
    if (epoch == lease->epoch && sg_hub_clock_ms() - lease->renewed_ms < lease->lease_ms / 3) {
        return true;
    }
    struct sg_num epoch_text = sg_num_of((int64_t)epoch), lease_text = sg_num_of(lease->lease_ms);
    int64_t sent_ms = sg_hub_clock_ms();
    PGresult *done = sg_db_query(conn,
                                 "UPDATE segue.proxy SET epoch = $2,"
                                 " expires_at = clock_timestamp() + $3::float8 * interval '1 ms' WHERE id = $1",
                                 SG_ARGS(lease->id, epoch_text.text, lease_text.text), reterr);
    if (!done) {
        return false;
    }
    *ret_is_held = strcmp(PQcmdTuples(done), "1") == 0;
    PQclear(done);
    if (*ret_is_held) {
        note_write(lease, epoch, sent_ms);
    }
    return true;
}

void sg_lease_leave(PGconn *conn, struct sg_lease *lease) {
    struct sg_error ignored;
    if (lease->is_held) {
        sg_db_run(conn, "DELETE FROM segue.proxy WHERE id = $1", SG_ARGS(lease->id), &ignored);
        lease->is_held = false;
    }
}

int64_t sg_lease_end_ms(const struct sg_lease *lease) {
    return lease->renewed_ms + (int64_t)lease->lease_ms * 2 / 3;
}
