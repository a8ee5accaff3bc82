#include "bench/load/fleet.h"

#include <stdlib.h>

static void init_client(struct sg_fleet *fleet, size_t i, const struct sg_options *options, struct sg_model *model,
                        struct sg_metrics *metrics) {
    struct sg_client *client = &fleet->clients[i];
    enum sg_app app = i % 2 ? SG_APP_NEW : SG_APP_OLD;
    client->session = (struct sg_session){
        .app = app,
        .client = (unsigned)(i / 2),
        .conninfo = options->app_conninfo[app],
        .dialect = &fleet->dialects[app],
        .metrics = metrics,
        .may_reconnect = options->reconnect,
        .interval_ns = options->rate ? 1000000000ULL * fleet->clients_len / (uint64_t)options->rate : 0,
        .random_state = 0x9e3779b97f4a7c15ULL * (i + 1),
    };
    client->stop = &fleet->stop;
    client->mix = &fleet->mix;
    client->hot_version = &fleet->hot_version;
    client->ranges = &model->ranges[i / 2 * SG_RANGES_PER_PAIR];
    client->ranges_len = SG_RANGES_PER_PAIR;
}

struct sg_fleet *sg_fleet_new(const struct sg_options *options, struct sg_model *model, struct sg_metrics *metrics) {
    struct sg_fleet *fleet = calloc(1, sizeof(*fleet));
    if (!fleet)
        abort();
    fleet->clients_len = (size_t)options->clients;
    fleet->clients = calloc(fleet->clients_len, sizeof(*fleet->clients));
    if (!fleet->clients)
        abort();
    fleet->mix = options->mix;
    sg_dialect_init(&fleet->dialects[SG_APP_OLD], &options->names, SG_APP_OLD);
    sg_dialect_init(&fleet->dialects[SG_APP_NEW], &options->names, SG_APP_NEW);
    for (size_t i = 0; i < fleet->clients_len; i++)
        init_client(fleet, i, options, model, metrics);
    return fleet;
}

void sg_fleet_start(struct sg_fleet *fleet, enum sg_app app) {
    for (size_t i = 0; i < fleet->clients_len; i++) {
        struct sg_client *client = &fleet->clients[i];
        if (client->session.app != app)
            continue;
        if (pthread_create(&client->thread, NULL, sg_client_main, client) != 0)
            abort();
        client->started = true;
    }
}

void sg_fleet_stop(struct sg_fleet *fleet) {
    atomic_store(&fleet->stop, true);
    for (size_t i = 0; i < fleet->clients_len; i++) {
        if (fleet->clients[i].started)
            pthread_join(fleet->clients[i].thread, NULL);
        fleet->clients[i].started = false;
    }
}

void sg_fleet_free(struct sg_fleet *fleet) {
    if (!fleet)
        return;
    for (size_t i = 0; i < fleet->clients_len; i++)
        sg_client_free(&fleet->clients[i]);
    sg_dialect_free(&fleet->dialects[SG_APP_OLD]);
    sg_dialect_free(&fleet->dialects[SG_APP_NEW]);
    free(fleet->clients);
    free(fleet);
}
