/* fleet — all clients of both app versions, and what they share. */
#ifndef SEGUE_BENCH_FLEET_H
#define SEGUE_BENCH_FLEET_H

#include "bench/load/options.h"

/* More ranges than clients in a pair, so that a free one is always found at once. */
#define SG_RANGES_PER_PAIR 4

struct sg_fleet {
    struct sg_client *clients; /* even ones are of the old version, odd ones of the new; neighbours are a pair */
    size_t clients_len;
    struct sg_dialect dialects[SG_APPS];
    struct sg_mix mix;
    atomic_uint hot_version;
    atomic_bool stop;
};

/* model and metrics stay the caller's and must outlive the fleet; so must the strings of options. */
struct sg_fleet *sg_fleet_new(const struct sg_options *options, struct sg_model *model, struct sg_metrics *metrics);
void sg_fleet_start(struct sg_fleet *fleet, enum sg_app app);
/* Tells every client to stop and waits for it. */
void sg_fleet_stop(struct sg_fleet *fleet);
void sg_fleet_free(struct sg_fleet *fleet);

#endif
