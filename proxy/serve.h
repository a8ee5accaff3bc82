/*
 * serve — the life of a running proxy: builds hub, console, server and control side from a config, runs the main loop
 * until a signal or the console ends it, and takes everything down in the order that its parts depend on each other.
 */
#ifndef SEGUE_SERVE_H
#define SEGUE_SERVE_H

#include "proxy/config.h"

/* Reads the configuration again, for HUP: NULL and faults when it is bad. */
typedef struct sg_config *sg_serve_reload(void *arg, struct sg_config_faults *faults);

/* Takes the config over. Returns the exit status. Main thread; installs signal handlers. */
int sg_serve(struct sg_config *config, sg_serve_reload *reload, void *reload_arg);

#endif
