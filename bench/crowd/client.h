/*
 * client — many clients in one thread, or one that moves much data.
 */
#ifndef SEGUE_BENCH_CROWD_CLIENT_H
#define SEGUE_BENCH_CROWD_CLIENT_H

#include "bench/crowd/login.h"

struct sg_crowd_options {
    struct sg_place place;
    unsigned clients;
    uint64_t bytes;
    const char *task; /* "sit", "copy-in", "copy-out", "row", "bind" */
};

bool sg_crowd_is_task(const char *name);

/* sit: every client logs in, reads a row of `bytes` bytes, prepares and runs a statement. When all have, prints
 * "seated N" and stays until it is killed. The other tasks: one client, `bytes` bytes of data; prints "done". */
int sg_crowd_run(const struct sg_crowd_options *options);

#endif
