#include "proxy/control.h"

#include "proxy/log.h"
#include "proxy/net/hub.h"
#include "segue/catalog.h"

#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RETRY_UNREACHABLE_MS 1000
#define RETRY_REFUSED_MS     5000
#define PROBE_TIMEOUT_MS     5000

enum login { LOGIN_UNKNOWN, LOGIN_OK, LOGIN_REFUSED };

struct sg_control {
    struct sg_engine_config config;
    struct sg_hub *hub;
    struct sg_control_events events;
    pthread_t thread;
    pthread_mutex_t lock; /* guards stopping, is_retired and engine */
    pthread_cond_t wake;
    bool stopping, is_retired;
    struct sg_engine *engine;
    char last_message[1100]; /* control thread only: the same trouble is told once */
};

bool sg_control_target(const char *conninfo, char **ret_database, char **ret_user) {
    /* host is overridden by a directory without a socket in it, so that libpq resolves nothing and reaches nobody. */
    const char *const keys[] = {"dbname", "host", "hostaddr", "port", NULL};
    const char *const values[] = {conninfo, "/nonexistent", "", "5432", NULL};
    PGconn *conn = PQconnectStartParams(keys, values, 1);
    if (!conn)
        abort();
    bool known = PQdb(conn) && PQuser(conn);
    if (known) {
        *ret_database = strdup(PQdb(conn));
        *ret_user = strdup(PQuser(conn));
        if (!*ret_database || !*ret_user)
            abort();
    }
    PQfinish(conn);
    return known;
}

/* libpq keeps the SQLSTATE of a failed login to itself, but prints it in verbose messages: "FATAL:  28P01: ...". */
static bool message_has_class_28(const char *message) {
    for (const char *at = strstr(message, "  28"); at; at = strstr(at + 1, "  28"))
        if (strspn(at + 2, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && at[7] == ':')
            return true;
    return false;
}

/* Tells a login that is refused from a server that is not there. */
static enum login probe_login(const char *conninfo) {
    const char *const keys[] = {"dbname", "fallback_application_name", NULL};
    const char *const values[] = {conninfo, "segue control", NULL};
    PGconn *conn = PQconnectStartParams(keys, values, 1);
    if (!conn)
        abort();
    PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (PQstatus(conn) != CONNECTION_BAD && status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED) {
        struct pollfd fd = {.fd = PQsocket(conn), .events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT};
        if (poll(&fd, 1, PROBE_TIMEOUT_MS) <= 0)
            break;
        status = PQconnectPoll(conn);
    }
    enum login login = LOGIN_UNKNOWN;
    if (PQstatus(conn) == CONNECTION_OK)
        login = LOGIN_OK;
    else if (PQconnectionNeedsPassword(conn) || message_has_class_28(PQerrorMessage(conn)))
        login = LOGIN_REFUSED;
    PQfinish(conn);
    return login;
}

static bool retry_wait(struct sg_control *control, int wait_ms) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += wait_ms / 1000;
    pthread_mutex_lock(&control->lock);
    while (!control->stopping && pthread_cond_timedwait(&control->wake, &control->lock, &until) == 0)
        ;
    bool again = !control->stopping;
    pthread_mutex_unlock(&control->lock);
    return again;
}

static void tell_trouble(struct sg_control *control, const struct sg_error *err, enum login login) {
    char message[sizeof(control->last_message)];
    snprintf(message, sizeof(message), "%d %s %s", login, err->message, err->detail);
    if (strcmp(message, control->last_message) == 0)
        return;
    memcpy(control->last_message, message, sizeof(message));
    if (login == LOGIN_REFUSED)
        sg_log_error(
            SG_LOG_WARN, err,
            "THE CONTROL ROLE CANNOT LOG IN: segue is a plain proxy, nothing is rewritten and migrations stand "
            "still; trying again");
    else
        sg_log_error(SG_LOG_ERROR, err,
                     "the migration engine cannot start: clients of the control database are refused until it does; "
                     "trying again");
}

/* Readiness without mappings: an empty snapshot of an epoch before every real one. */
static void be_plain(struct sg_control *control) {
    struct sg_error err;
    struct sg_snapshot *none = sg_snapshot_new(0, sg_catalog_new(), NULL, 0, &err);
    if (!none)
        abort();
    sg_hub_publish(control->hub, none);
    sg_snapshot_unref(none);
    sg_hub_grant(control->hub, 0,
                 SG_HUB_FOREVER); /* nobody here knows of migrations, and nobody waits for this process */
    sg_hub_set_ready(control->hub, true);
}

/* True when the engine runs. */
static bool try_start(struct sg_control *control, int *ret_wait_ms) {
    struct sg_error err = {0};
    struct sg_engine *engine = sg_engine_start(&control->config, control->hub, &err);
    if (engine) {
        pthread_mutex_lock(&control->lock);
        control->engine = engine;
        if (control->is_retired)
            sg_engine_retire(engine);
        pthread_mutex_unlock(&control->lock);
        sg_log(SG_LOG_INFO, "migration engine started");
        control->events.running(control->events.arg, engine);
        return true;
    }
    enum login login = probe_login(control->config.control_conninfo);
    tell_trouble(control, &err, login);
    control->events.trouble(control->events.arg, &err);
    if (login == LOGIN_REFUSED)
        be_plain(control);
    else
        sg_hub_set_ready(control->hub, false);
    *ret_wait_ms = login == LOGIN_REFUSED ? RETRY_REFUSED_MS : RETRY_UNREACHABLE_MS;
    return false;
}

static void *control_main(void *arg) {
    struct sg_control *control = arg;
    int wait_ms = 0;
    bool running = try_start(control, &wait_ms);
    control->events.first_try(control->events.arg);
    while (!running && retry_wait(control, wait_ms))
        running = try_start(control, &wait_ms);
    return NULL;
}

struct sg_control *sg_control_start(const struct sg_engine_config *config, struct sg_hub *hub,
                                    const struct sg_control_events *events) {
    struct sg_control *control = calloc(1, sizeof(*control));
    if (!control)
        abort();
    control->config = *config;
    control->hub = hub;
    control->events = *events;
    pthread_mutex_init(&control->lock, NULL);
    pthread_cond_init(&control->wake, NULL);
    if (pthread_create(&control->thread, NULL, control_main, control) != 0)
        abort();
    return control;
}

void sg_control_retire(struct sg_control *control) {
    if (!control)
        return;
    pthread_mutex_lock(&control->lock);
    control->is_retired = true;
    if (control->engine)
        sg_engine_retire(control->engine);
    pthread_mutex_unlock(&control->lock);
}

void sg_control_stop(struct sg_control *control) {
    if (!control)
        return;
    pthread_mutex_lock(&control->lock);
    control->stopping = true;
    pthread_cond_signal(&control->wake);
    pthread_mutex_unlock(&control->lock);
    pthread_join(control->thread, NULL);
    if (control->engine)
        sg_engine_stop(control->engine);
    pthread_cond_destroy(&control->wake);
    pthread_mutex_destroy(&control->lock);
    free(control);
}
