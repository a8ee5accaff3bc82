/*
 * tally — what a worker has carried for one database and user, since it started and as it stood at the last two marks.
 * PgBouncer calls the pair a pool, and sums up by database; so do SHOW STATS and SHOW POOLS.
 *
 * Belongs to the worker's thread: its numbers are plain. Others ask for a copy (survey.h). A tally is made when
 * somebody has logged in, and stays: there are no more of them than databases times users that the server lets in.
 */
#ifndef SEGUE_NET_TALLY_H
#define SEGUE_NET_TALLY_H

#include "segue/limits.h"
#include "segue/span.h"

#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

/* In the order of PgBouncer's SHOW STATS. Times are in ms of the loop's clock: the ends of an interval are both rounded
 * down, so single ones are off by less than 1 ms and their sum is right on average. */
#define SG_TALLY_SUMS(X)       \
    X(server_assignment_count) \
    X(xact_count)              \
    X(query_count)             \
    X(client_bytes)            \
    X(server_bytes)            \
    X(xact_time)               \
    X(query_time)              \
    X(wait_time)               \
    X(client_parse_count)      \
    X(server_parse_count)      \
    X(bind_count)

struct sg_tally_sums {
#define X(name) uint64_t name;
    SG_TALLY_SUMS(X)
#undef X
};

/* What there is at this moment: counted when somebody asks (session_row.h). */
struct sg_tally_here {
    uint64_t clients_active, clients_waiting, servers_active, servers_login, max_wait_ms;
};

struct sg_tally_name {
    char database[SG_NAME_BYTES], user[SG_NAME_BYTES]; /* padded with NUL: the pair is the hash's key */
};

struct sg_tally {
    UT_hash_handle hh;
    struct sg_tally_name name;
    struct sg_tally_sums now, newer, older; /* older: the mark before the last, from which averages are taken */
    struct sg_tally_here here;
};

struct sg_tallies {
    struct sg_tally *by_name;
    struct sg_tally nobody; /* of sessions that have not logged in; not shown */
    uint64_t newer_ms, older_ms;
};

void sg_tallies_init(struct sg_tallies *tallies, uint64_t now_ms);
void sg_tallies_free(struct sg_tallies *tallies);
struct sg_tally *sg_tallies_find(struct sg_tallies *tallies, const struct sg_tally_name *name);
/* A period of the averages is over. */
void sg_tallies_mark(struct sg_tallies *tallies, uint64_t now_ms);

/* Copies, of several workers. */
struct sg_tally_row {
    struct sg_tally_name name;
    struct sg_tally_sums sums, recent; /* recent: since older_ms */
    uint64_t recent_ms;                /* for so long */
    struct sg_tally_here here;
};
struct sg_tally_rows {
    struct sg_tally_row *v;
    size_t n, cap;
};

void sg_tally_rows_take(struct sg_tally_rows *rows, const struct sg_tallies *tallies, uint64_t now_ms);
/* By database, then user; rows of several workers about the same become one. */
void sg_tally_rows_settle(struct sg_tally_rows *rows);
/* The same, with one row for each database. */
void sg_tally_rows_by_database(struct sg_tally_rows *rows);
void sg_tally_rows_free(struct sg_tally_rows *rows);

#endif
