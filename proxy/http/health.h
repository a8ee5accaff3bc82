/* health — may this process be sent clients, and is it alive at all? Each answer comes with what it was made from. */
#ifndef SEGUE_HTTP_HEALTH_H
#define SEGUE_HTTP_HEALTH_H

#include "proxy/http/http.h"
#include "proxy/migration/engine.h"

#include <stdio.h>

enum sg_check {
    SG_CHECK_WORKERS,   /* every worker has answered within two seconds */
    SG_CHECK_LISTENING, /* new clients are accepted: not starting, draining or ending */
    SG_CHECK_CONTROL,   /* the control connection stands, or none is configured */
    SG_CHECK_LEASE,     /* other processes wait for this one, and it for them; or none is configured */
    SG_CHECKS,
};

struct sg_health {
    bool checks[SG_CHECKS];
    struct sg_engine_status engine; /* all 0: there is none */
    bool has_engine;
};

const char *sg_check_name(enum sg_check check);
/* Blocks for two seconds when a worker is stuck. workers: SG_CHECK_WORKERS as it is known already; NULL: ask. */
void sg_health_look(const struct sg_http_config *config, const bool *workers, struct sg_health *ret_health);
/* The engine's state alone; false: there is none. */
bool sg_health_engine(struct sg_console *console, struct sg_engine_status *ret_status);

#endif
