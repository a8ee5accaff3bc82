/*
 * control — brings the migration engine up, whatever state the control database is in when segue starts.
 *
 *      start --> trying --engine_start ok--> running
 *                  |  ^
 *       refused or |  | retry_wait
 *       unreachable|  |
 *                  v  |
 *                waiting
 *
 * Invariants:
 *  1. While the control database cannot be reached, its sessions are held back (hub not ready): mappings may exist, and
 *     nothing may be forwarded before they are known.
 *  2. Where the server refuses the control role's login there is no way ever to know them, and interface and operator
 * say "plain proxy": the hub is made ready with an empty snapshot, with a warning. Trying goes on, at a slower pace.
 *  3. Once the engine runs, readiness is the engine's business alone.
 */
#ifndef SEGUE_CONTROL_H
#define SEGUE_CONTROL_H

#include "proxy/migration/engine.h"

struct sg_hub;
struct sg_control;

/* Called from the control thread. first_try: once, when the first try has ended, one way or the other. running: when
 * the engine has started. trouble: at each try that failed. */
struct sg_control_events {
    void (*first_try)(void *arg);
    void (*running)(void *arg, struct sg_engine *engine);
    void (*trouble)(void *arg, const struct sg_error *why);
    void *arg;
};

/* Config strings must outlive the control. */
struct sg_control *sg_control_start(const struct sg_engine_config *config, struct sg_hub *hub,
                                    const struct sg_control_events *events);
/* This process is about to end: it no longer coordinates migrations, and other proxies may. NULL is nothing. */
void sg_control_retire(struct sg_control *control);
/* Ends the thread and stops the engine. */
void sg_control_stop(struct sg_control *control);

/* Database and role that a connection string leads to, libpq's defaults, environment and service files included.
 * Nothing is sent. NULL when the string is not one; the caller frees both. */
bool sg_control_target(const char *conninfo, char **ret_database, char **ret_user);

#endif
