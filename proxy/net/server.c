#include "server.h"

#include "listener.h"
#include "star_rules.h"
#include "survey.h"
#include "worker.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PLAN_CACHE_BYTES (16u << 20)
#define DEFAULT_STATEMENT_BYTES  (64u << 20)

struct sg_server {
    struct sg_shared shared;
    uv_loop_t *loop;
    struct sg_listener listener;
    struct sg_worker **workers;
    int workers_len, next_worker;
    uv_async_t drained;
    _Atomic int busy_workers; /* while draining */
    void (*on_drained)(void *arg);
    void *on_drained_arg;
    bool is_listening, is_stopped;
};

static char *copy(const char *cstr) {
    char *dup = cstr ? strdup(cstr) : NULL;
    if (cstr && !dup) {
        abort();
    }
    return dup;
}

static void fill_config(struct sg_server_config *own, const struct sg_server_config *config) {
    *own = *config;
    own->listen_host = copy(config->listen_host);
    own->unix_socket_dir = copy(config->unix_socket_dir);
    own->upstream_conninfo = copy(config->upstream_conninfo);
    own->control_database = copy(config->control_database);
    own->client_tls = sg_tls_context_ref(config->client_tls);
    own->server_tls = sg_tls_context_ref(config->server_tls);
    own->star_rules = sg_star_rules_copy(config->star_rules, config->star_rules_len);
    if (own->workers <= 0) {
        own->workers = (int)uv_available_parallelism();
    }
    if (own->max_packet_bytes == 0) {
        own->max_packet_bytes = SG_FRAME_MAX_BYTES;
    }
    if (own->plan_cache_bytes == 0) {
        own->plan_cache_bytes = DEFAULT_PLAN_CACHE_BYTES;
    }
    if (own->session_statement_bytes == 0) {
        own->session_statement_bytes = DEFAULT_STATEMENT_BYTES;
    }
}

static void free_config(struct sg_server_config *own) {
    free((char *)own->listen_host);
    free((char *)own->unix_socket_dir);
    free((char *)own->upstream_conninfo);
    free((char *)own->control_database);
    sg_tls_context_unref(own->client_tls);
    sg_tls_context_unref(own->server_tls);
    sg_star_rules_free((struct sg_star_rule *)own->star_rules, own->star_rules_len);
}

/* The worker with the fewest clients; of several, the one whose turn it is. */
static struct sg_worker *choose_worker(struct sg_server *server) {
    struct sg_worker *best = NULL;
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < server->workers_len; i++) {
        struct sg_worker *w = server->workers[(server->next_worker + i) % server->workers_len];
        uint64_t open = atomic_load_explicit(&w->open_sessions, memory_order_relaxed);
        if (open < least) {
            least = open;
            best = w;
        }
    }
    server->next_worker = (server->next_worker + 1) % server->workers_len;
    return best;
}

static void on_client(void *arg, int fd) {
    sg_worker_serve(choose_worker(arg), fd);
}

static void on_worker_empty(void *arg) {
    struct sg_server *server = arg;
    if (atomic_fetch_sub(&server->busy_workers, 1) == 1) {
        uv_async_send(&server->drained);
    }
}

static void on_drained(uv_async_t *async) {
    struct sg_server *server = async->data;
    if (server->on_drained) {
        void (*tell)(void *arg) = server->on_drained;
        server->on_drained = NULL;
        tell(server->on_drained_arg);
    }
}

struct sg_server *sg_server_start(uv_loop_t *loop, const struct sg_server_config *config, struct sg_error *reterr) {
    struct sg_upstream upstream;
    if (!sg_upstream_parse(config->upstream_conninfo, &upstream, reterr)) {
        return NULL;
    }
    struct sg_server *server = calloc(1, sizeof(*server));
    if (!server) {
        abort();
    }
    server->loop = loop;
    server->listener.on_client = on_client;
    server->listener.arg = server;
    pthread_mutex_init(&server->shared.tls_lock, NULL);
    fill_config(&server->shared.config, config);
    upstream.connect_timeout_ms =
        config->server_connect_timeout_ms > 0 ? (unsigned)config->server_connect_timeout_ms : 0;
    server->shared.upstream = upstream;
    if (!sg_listener_open(&server->listener, loop, config->listen_host, config->listen_port, config->unix_socket_dir,
                          reterr)) {
        /* Its handles are closing on the caller's loop and lie in our memory: let them. */
        uv_run(loop, UV_RUN_NOWAIT);
        free_config(&server->shared.config);
        free(server);
        return NULL;
    }
    server->is_listening = true;
    uv_async_init(loop, &server->drained, on_drained);
    server->drained.data = server;
    server->workers_len = server->shared.config.workers;
    server->workers = calloc((size_t)server->workers_len, sizeof(struct sg_worker *));
    if (!server->workers) {
        abort();
    }
    for (int i = 0; i < server->workers_len; i++) {
        server->workers[i] = sg_worker_start(&server->shared, on_worker_empty, server);
    }
    return server;
}

const char *sg_server_address(const struct sg_server *server) {
    return server->listener.address;
}

int sg_server_port(const struct sg_server *server) {
    return server->listener.port;
}

static void stop_listening(struct sg_server *server) {
    if (server->is_listening) {
        server->is_listening = false;
        sg_listener_close(&server->listener);
    }
}

void sg_server_set_tls(struct sg_server *server, struct sg_tls_context *client_tls, struct sg_tls_context *server_tls) {
    struct sg_shared *shared = &server->shared;
    sg_tls_context_ref(client_tls);
    sg_tls_context_ref(server_tls);
    pthread_mutex_lock(&shared->tls_lock);
    struct sg_tls_context *before[] = {shared->config.client_tls, shared->config.server_tls};
    shared->config.client_tls = client_tls;
    shared->config.server_tls = server_tls;
    pthread_mutex_unlock(&shared->tls_lock);
    sg_tls_context_unref(before[0]);
    sg_tls_context_unref(before[1]);
}

void sg_server_drain(struct sg_server *server, void (*tell)(void *arg), void *arg) {
    server->on_drained = tell;
    server->on_drained_arg = arg;
    stop_listening(server);
    atomic_store(&server->busy_workers, server->workers_len);
    for (int i = 0; i < server->workers_len; i++) {
        sg_worker_drain(server->workers[i]);
    }
}

void sg_server_stop(struct sg_server *server) {
    if (server->is_stopped) {
        return;
    }
    server->is_stopped = true;
    server->on_drained = NULL;
    stop_listening(server);
    for (int i = 0; i < server->workers_len; i++) {
        sg_worker_stop(server->workers[i]);
    }
    uv_close((uv_handle_t *)&server->drained, NULL);
}

void sg_server_free(struct sg_server *server) {
    if (!server) {
        return;
    }
    for (int i = 0; i < server->workers_len; i++) {
        sg_worker_free(server->workers[i]);
    }
    free(server->workers);
    free_config(&server->shared.config);
    free(server);
}

void sg_server_stats(const struct sg_server *server, struct sg_server_stats *ret_stats) {
    struct sg_server_stats sum = {0};
    sum.sessions = atomic_load_explicit(&server->shared.sessions, memory_order_relaxed);
    for (int i = 0; i < server->workers_len; i++) {
        const struct sg_counters *counters = &server->workers[i]->counters;
#define X(name) sum.name += atomic_load_explicit(&counters->name, memory_order_relaxed);
        SG_COUNTERS(X)
        SG_PLAN_COUNTERS(X)
#undef X
        const struct sg_texts *texts = &server->workers[i]->texts;
        sum.prepared_statements += atomic_load_explicit(&texts->versions, memory_order_relaxed);
        sum.prepared_bytes += atomic_load_explicit(&texts->bytes, memory_order_relaxed);
    }
    *ret_stats = sum;
}

void sg_server_notes(const struct sg_server *server, enum sg_journal_kind kind, struct sg_notes *ret_notes) {
    sg_survey_run(server->workers, server->workers_len, kind, ret_notes);
}

enum sg_star sg_server_star(const struct sg_server *server, const char *user, const char *database,
                            const char *application_name) {
    const struct sg_server_config *config = &server->shared.config;
    return sg_star_rules_choose(config->star_rules, config->star_rules_len, sg_span_of(user), sg_span_of(database),
                                sg_span_of(application_name), config->star);
}
