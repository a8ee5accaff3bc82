#include "server.h"

#include "kill.h"
#include "listener.h"
#include "pause.h"
#include "server_config.h"
#include "star_rules.h"
#include "worker.h"

#include "proxy/auth/lookup.h"

#include <pthread.h>
#include <stdlib.h>

struct sg_server {
    struct sg_shared shared;
    pthread_mutex_t config_lock; /* of config, for threads other than main's, and of pauses */
    const struct sg_server_config *config;
    struct sg_pauses *pauses; /* as posted to the workers last; NULL: none ever */
    uv_loop_t *loop;
    struct sg_listener listener;
    struct sg_worker **workers;
    int workers_len, next_worker;
    uv_async_t drained;
    _Atomic int busy_workers; /* while draining */
    void (*on_drained)(void *arg);
    void *on_drained_arg;
    bool is_listening, is_draining, is_stopped;
};

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

static void on_exhausted(void *arg) {
    struct sg_server *server = arg;
    for (int i = 0; i < server->workers_len; i++) {
        sg_worker_make_room(server->workers[i]);
    }
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

static void free_server(struct sg_server *server) {
    sg_lookups_free(server->shared.lookups);
    sg_server_config_unref(server->config);
    sg_pauses_unref(server->pauses);
    pthread_mutex_destroy(&server->config_lock);
    sg_keys_free(&server->shared.keys);
    sg_limits_free(server->shared.limits);
    free(server->workers);
    free(server);
}

struct sg_server *sg_server_start(uv_loop_t *loop, const struct sg_server_config *config, struct sg_sockets *given,
                                  struct sg_error *reterr) {
    struct sg_server *server = calloc(1, sizeof(*server));
    if (!server) {
        abort();
    }
    server->loop = loop;
    server->listener.on_client = on_client;
    server->listener.on_exhausted = on_exhausted;
    server->listener.arg = server;
    pthread_mutex_init(&server->config_lock, NULL);
    server->config = sg_server_config_new(config);
    sg_keys_init(&server->shared.keys);
    server->shared.lookups = sg_lookups_new();
    server->shared.limits = sg_limits_new();
    if (!sg_listener_open(&server->listener, loop, config->listen_host, config->listen_port, config->unix_socket_dir,
                          given, reterr)) {
        /* Its handles are closing on the caller's loop and lie in our memory: let them. */
        uv_run(loop, UV_RUN_NOWAIT);
        free_server(server);
        return NULL;
    }
    server->is_listening = true;
    uv_async_init(loop, &server->drained, on_drained);
    server->drained.data = server;
    server->workers_len = server->config->workers;
    server->workers = calloc((size_t)server->workers_len, sizeof(struct sg_worker *));
    if (!server->workers) {
        abort();
    }
    for (int i = 0; i < server->workers_len; i++) {
        server->workers[i] = sg_worker_start(&server->shared, i, server->config, on_worker_empty, server);
    }
    return server;
}

const char *sg_server_address(const struct sg_server *server) {
    return server->listener.address;
}

int sg_server_port(const struct sg_server *server) {
    return server->listener.port;
}

void sg_server_accept(struct sg_server *server) {
    sg_listener_accept(&server->listener);
}

void sg_server_sockets(const struct sg_server *server, struct sg_sockets *ret_sockets) {
    sg_listener_sockets(&server->listener, ret_sockets);
}

const struct sg_databases *sg_server_databases(const struct sg_server *server) {
    return server->config->databases;
}

static void stop_listening(struct sg_server *server) {
    if (server->is_listening) {
        server->is_listening = false;
        sg_listener_close(&server->listener);
    }
}

void sg_server_yield(struct sg_server *server) {
    sg_listener_sweep(&server->listener); /* of a socket that the other does not want */
    sg_listener_yield(&server->listener);
    stop_listening(server);
}

void sg_server_reconfigure(struct sg_server *server, const struct sg_server_config *config) {
    struct sg_server_config next = *config;
    const struct sg_server_config *now = server->config;
    next.listen_host = now->listen_host;
    next.listen_port = now->listen_port;
    next.unix_socket_dir = now->unix_socket_dir;
    next.control_database = now->control_database;
    next.hub = now->hub;
    next.console = now->console;
    next.workers = now->workers;
    next.plan_cache_bytes = now->plan_cache_bytes;
    const struct sg_server_config *own = sg_server_config_new(&next);
    pthread_mutex_lock(&server->config_lock);
    server->config = own;
    pthread_mutex_unlock(&server->config_lock);
    sg_server_config_unref(now);
    for (int i = 0; i < server->workers_len; i++) {
        sg_worker_configure(server->workers[i], own);
    }
}

void sg_server_drain(struct sg_server *server, enum sg_drain how, void (*tell)(void *arg), void *arg) {
    if (!server->is_draining) {
        server->is_draining = true;
        server->on_drained = tell;
        server->on_drained_arg = arg;
        atomic_store(&server->busy_workers, server->workers_len);
        if (server->is_listening) {
            sg_listener_sweep(&server->listener); /* they get an answer */
        }
        stop_listening(server);
    }
    for (int i = 0; i < server->workers_len; i++) {
        sg_worker_drain(server->workers[i], how);
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
    free_server(server);
}

/* ---- PAUSE, RESUME, KILL ---- */

static void take_pauses(struct sg_worker *w, void *arg) {
    sg_pause_apply(w, arg);
    atomic_fetch_sub(&w->shared->pausing, 1);
}

bool sg_server_pause(struct sg_server *server, const char *database, bool on) {
    pthread_mutex_lock(&server->config_lock); /* held on: the workers get all pauses in the same order */
    bool changes = sg_pauses_lists(server->pauses, database) != on;
    if (changes) {
        struct sg_pauses *pauses = sg_pauses_with(server->pauses, database, on);
        sg_pauses_unref(server->pauses);
        server->pauses = pauses;
        atomic_fetch_add(&server->shared.pausing, server->workers_len);
        for (int i = 0; i < server->workers_len; i++) {
            sg_worker_post(server->workers[i], take_pauses, sg_pauses_ref(pauses));
        }
    }
    pthread_mutex_unlock(&server->config_lock);
    return changes;
}

int64_t sg_server_pausing(const struct sg_server *server) {
    return atomic_load(&server->shared.pausing);
}

bool sg_server_is_paused(struct sg_server *server, const char *database) {
    pthread_mutex_lock(&server->config_lock);
    bool is_paused = sg_pauses_has(server->pauses, database);
    pthread_mutex_unlock(&server->config_lock);
    return is_paused;
}

bool sg_server_has_pauses(struct sg_server *server) {
    pthread_mutex_lock(&server->config_lock);
    bool has_any = sg_pauses_any(server->pauses);
    pthread_mutex_unlock(&server->config_lock);
    return has_any;
}

uint64_t sg_server_kill(struct sg_server *server, const char *database, uint64_t id) {
    return sg_kill_run(server->workers, server->workers_len, database, id);
}

/* ---- Numbers ---- */

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

void sg_server_waits(const struct sg_server *server, struct sg_server_waits *ret_waits) {
    *ret_waits = (struct sg_server_waits){0};
    for (int i = 0; i < server->workers_len; i++) {
        const struct sg_worker *w = server->workers[i];
        sg_histogram_take(&w->waits, &ret_waits->all);
        for (size_t phase = 0; phase < SG_WAIT_PHASES; phase++) {
            sg_histogram_take(&w->phase_waits[phase], &ret_waits->phases[phase]);
        }
    }
}

void sg_server_survey(const struct sg_server *server, enum sg_question question, enum sg_journal_kind kind,
                      struct sg_findings *ret_findings) {
    sg_survey_run(server->workers, server->workers_len, question, kind, ret_findings);
}

enum sg_star sg_server_star(const struct sg_server *server, const char *user, const char *database,
                            const char *application_name) {
    pthread_mutex_t *lock = (pthread_mutex_t *)&server->config_lock;
    pthread_mutex_lock(lock);
    const struct sg_server_config *config = sg_server_config_ref(server->config);
    pthread_mutex_unlock(lock);
    enum sg_star star = sg_star_rules_choose(config->star_rules, config->star_rules_len, sg_span_of(user),
                                             sg_span_of(database), sg_span_of(application_name), config->star);
    sg_server_config_unref(config);
    return star;
}
