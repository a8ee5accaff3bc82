/*
 * client — one client of one app version: takes a range, works on its rows for a while, gives it back.
 *
 * Invariants
 *  1. A row is written only by the client that holds its range's lock, so the model is exact between statements.
 *  2. Before a statement goes out, the journal holds each row as it was and the model as it will be; so whatever
 *     happens to the statement, the outcome is one of two known states.
 *  3. The journal is empty when the range is given back.
 *
 *              take_range            sg_client_touch             settle
 *     [no range] ----> [idle, journal empty] ----> [written] ----------> [idle]
 *         ^                   |                        | error: undo ----^
 *         +---- give_range ---+                        | lost: resolve --^   (looks which of the two states holds)
 */
#ifndef SEGUE_BENCH_CLIENT_H
#define SEGUE_BENCH_CLIENT_H

#include "bench/load/model.h"
#include "bench/load/session.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* What the server makes up is not known until it answers. */
#define SG_TEXT_UNKNOWN "?"

enum sg_work {
    SG_WORK_READ,
    SG_WORK_INSERT,
    SG_WORK_UPDATE,
    SG_WORK_UPSERT,
    SG_WORK_DELETE,
    SG_WORK_TRANSACTION,
    SG_WORK_HOT,
    SG_WORKS
};

const char *sg_work_name(enum sg_work work);

struct sg_mix {
    unsigned weight[SG_WORKS];
};

struct sg_journal_entry {
    size_t row;
    struct sg_row before;
};

struct sg_client {
    struct sg_session session;
    pthread_t thread;
    bool started;
    const atomic_bool *stop;
    const struct sg_mix *mix;
    atomic_uint *hot_version; /* shared by all */
    struct sg_range *ranges;  /* of the pair; not owned */
    size_t ranges_len;
    struct sg_range *range; /* held, or NULL */
    struct sg_journal_entry *journal;
    size_t journal_len, journal_cap;
};

/* The thread. arg is a struct sg_client; returns NULL when *stop is set or the connection cannot be had. */
void *sg_client_main(void *arg);
void sg_client_free(struct sg_client *client);

/* Journals a row of the held range and gives it its next state (inv. 2). */
void sg_client_touch(struct sg_client *client, size_t row, enum sg_row_kind kind, const char *text);

#endif
