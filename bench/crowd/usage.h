/*
 * usage — what another process has taken from the machine so far, from /proc.
 */
#ifndef SEGUE_BENCH_CROWD_USAGE_H
#define SEGUE_BENCH_CROWD_USAGE_H

#include <stdint.h>

struct sg_usage {
    uint64_t processor_ns; /* user and system, of all threads that are there now */
    uint64_t switches;     /* of context, the threads' own will: they had nothing to do */
};

/* All 0 for a process that is not there. */
struct sg_usage sg_usage_of(int pid);

#endif
