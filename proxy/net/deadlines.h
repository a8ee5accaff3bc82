/*
 * deadlines — how long a statement may run, and a client be idle: looked at for all sessions of a worker now and then,
 * so that a message costs no timer. A time is exceeded by up to a quarter of itself, or a second.
 */
#ifndef SEGUE_NET_DEADLINES_H
#define SEGUE_NET_DEADLINES_H

#include "worker.h"

/* Makes worker->deadlines, which the worker closes; it runs only if the configuration sets a time. */
void sg_deadlines_init(struct sg_worker *worker);
/* The configuration has changed. */
void sg_deadlines_set(struct sg_worker *worker);

#endif
