/*
 * drive — clients that send one statement after the other for a while, and what that cost the proxy between.
 */
#ifndef SEGUE_BENCH_CROWD_DRIVE_H
#define SEGUE_BENCH_CROWD_DRIVE_H

#include "bench/crowd/login.h"

/* As pgbench sends them. */
enum sg_drive_mode { SG_DRIVE_SIMPLE, SG_DRIVE_EXTENDED, SG_DRIVE_PREPARED };

struct sg_drive_options {
    struct sg_place place;
    unsigned clients;
    double seconds;
    enum sg_drive_mode mode;
    const char *table, *column; /* rows 1 to rows, with a key user_id, a text column and a number seen */
    unsigned rows;
    int pid; /* the proxy's; 0: none */
};

bool sg_drive_mode_from_name(const char *name, enum sg_drive_mode *ret_mode);

/* A transaction is one statement; nine in ten read a row by its key, one updates it. Everybody logs in first, and what
 * happens in the first half second does not count. Prints a line: transactions, seconds, median and 99th percentile of
 * the latency in us, then of the process pid: ns on a processor, and context switches. */
int sg_drive_run(const struct sg_drive_options *options);

#endif
