/*
 * serve — the life of a running proxy: builds hub, console, server and control side from a config, runs the main loop
 * until a signal or the console ends it, and takes everything down in the order that its parts depend on each other.
 */
#ifndef SEGUE_SERVE_H
#define SEGUE_SERVE_H

#include "proxy/config/config.h"

/* Reads the configuration again, for HUP: NULL and faults when it is bad. */
typedef struct sg_config *sg_serve_reload(void *arg, struct sg_config_faults *faults);

struct sg_serve_options {
    sg_serve_reload *reload;
    void *reload_arg;
    bool is_takeover; /* take the place of the process that waits at handover_socket; if there is none, start as ever */
};

/* Takes the config over. Returns the exit status. Main thread; installs signal handlers. */
int sg_serve(struct sg_config *config, const struct sg_serve_options *options);

#endif
