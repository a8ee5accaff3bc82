/*
 * server_config — the settings of the network side as a value that never changes, counted: a reload makes a new one,
 * and whoever still reads the old one keeps it until the next turn of its loop.
 *
 *      main: new --post--> each worker's mailbox --sg_worker_wake--> worker->config, the old one unref'd
 */
#ifndef SEGUE_NET_SERVER_CONFIG_H
#define SEGUE_NET_SERVER_CONFIG_H

#include "server.h"

/* Strings and rules are copied, references taken, and what is 0 for "the default" is filled in. */
const struct sg_server_config *sg_server_config_new(const struct sg_server_config *given);
/* Any thread. */
const struct sg_server_config *sg_server_config_ref(const struct sg_server_config *config);
/* Any thread; NULL is nothing. */
void sg_server_config_unref(const struct sg_server_config *config);

#endif
