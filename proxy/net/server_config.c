#include "server_config.h"

#include "databases.h"
#include "star_rules.h"

#include "proxy/auth/auth.h"
#include "proxy/tls.h"
#include "segue/protocol.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define DEFAULT_PLAN_CACHE_BYTES (16u << 20)
#define DEFAULT_STATEMENT_BYTES  (64u << 20)
#define DEFAULT_STATS_PERIOD_MS  60000

struct counted {
    struct sg_server_config config; /* first, so that one is the other */
    _Atomic unsigned refs;
};

static char *copy(const char *cstr) {
    char *dup = cstr ? strdup(cstr) : NULL;
    if (cstr && !dup) {
        abort();
    }
    return dup;
}

static void fill_defaults(struct sg_server_config *config) {
    if (config->workers <= 0) {
        config->workers = (int)uv_available_parallelism();
    }
    if (config->max_packet_bytes == 0) {
        config->max_packet_bytes = SG_FRAME_MAX_BYTES;
    }
    if (config->plan_cache_bytes == 0) {
        config->plan_cache_bytes = DEFAULT_PLAN_CACHE_BYTES;
    }
    if (config->stats_period_ms <= 0) {
        config->stats_period_ms = DEFAULT_STATS_PERIOD_MS;
    }
    if (config->session_statement_bytes == 0) {
        config->session_statement_bytes = DEFAULT_STATEMENT_BYTES;
    }
}

const struct sg_server_config *sg_server_config_new(const struct sg_server_config *given) {
    struct counted *counted = calloc(1, sizeof(*counted));
    if (!counted) {
        abort();
    }
    struct sg_server_config *own = &counted->config;
    *own = *given;
    own->listen_host = copy(given->listen_host);
    own->unix_socket_dir = copy(given->unix_socket_dir);
    own->control_database = copy(given->control_database);
    own->client_tls = sg_tls_context_ref(given->client_tls);
    own->auth = sg_auth_ref(given->auth);
    own->databases = sg_databases_ref(given->databases);
    own->star_rules = sg_star_rules_copy(given->star_rules, given->star_rules_len);
    own->limits.users = sg_user_limits_copy(given->limits.users, given->limits.users_len);
    fill_defaults(own);
    atomic_init(&counted->refs, 1);
    return own;
}

const struct sg_server_config *sg_server_config_ref(const struct sg_server_config *config) {
    atomic_fetch_add_explicit(&((struct counted *)config)->refs, 1, memory_order_relaxed);
    return config;
}

void sg_server_config_unref(const struct sg_server_config *config) {
    struct counted *counted = (struct counted *)config;
    if (!counted || atomic_fetch_sub_explicit(&counted->refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    struct sg_server_config *own = &counted->config;
    free((char *)own->listen_host);
    free((char *)own->unix_socket_dir);
    free((char *)own->control_database);
    sg_tls_context_unref(own->client_tls);
    sg_auth_unref(own->auth);
    sg_databases_unref(own->databases);
    sg_star_rules_free((struct sg_star_rule *)own->star_rules, own->star_rules_len);
    sg_user_limits_free((struct sg_user_limit *)own->limits.users, own->limits.users_len);
    free(counted);
}
