/*
 * PAUSE, RESUME, KILL: what an administrator does to other people's sessions.
 *
 * The server is looked up anew for each step, under the lock that keeps it: the process may be ending meanwhile.
 */
#include "proxy/admin/registry.h"
#include "proxy/admin/run.h"
#include "proxy/log.h"
#include "proxy/net/server.h"

#include <inttypes.h>
#include <string.h>

#define LOOK_EVERY_MS 20

/* With the lock held. NULL: *reterr. */
static struct sg_server *lock_server(struct sg_console *console, struct sg_error *reterr) {
    pthread_mutex_lock(&console->survey_lock);
    struct sg_server *server = console->server; /* read only under the one lock: it changes under both */
    if (!server) {
        pthread_mutex_unlock(&console->survey_lock);
        sg_error_set(reterr, SG_SQLSTATE_CANNOT_CONNECT_NOW, "segue is starting, or shutting down");
    }
    return server;
}

static void unlock_server(struct sg_console *console) {
    pthread_mutex_unlock(&console->survey_lock);
}

static bool is_served(struct sg_console *console, const char *database) {
    bool is_known = false;
    pthread_mutex_lock(&console->lock);
    for (size_t i = 0; i < console->config->databases_len && !is_known; i++) {
        const char *name = console->config->databases[i].name;
        is_known = strcmp(name, "*") == 0 || strcmp(name, database) == 0;
    }
    pthread_mutex_unlock(&console->lock);
    return is_known;
}

static void log_deed(const struct sg_admin_session *session, const char *deed, const char *database) {
    sg_log(SG_LOG_INFO, "console: \"%s\" %s %s", session->user, deed, database ? database : "every database");
}

/* ---- PAUSE ---- */

/* -1: there is no server any more. */
static int64_t pausing(struct sg_console *console, struct sg_error *reterr) {
    struct sg_server *server = lock_server(console, reterr);
    int64_t left = server ? sg_server_pausing(server) : -1;
    if (server)
        unlock_server(console);
    return left;
}

static void undo_pause(struct sg_console *console, const char *database) {
    struct sg_error ignored;
    struct sg_server *server = lock_server(console, &ignored);
    if (!server)
        return;
    sg_server_pause(server, database, false);
    unlock_server(console);
}

/* Half a pause that nobody is waiting for would be an outage that nobody knows of: so it is taken back. */
static bool wait_until_quiet(struct sg_admin_session *session, const char *database, bool is_ours,
                             struct sg_error *reterr) {
    atomic_store(&session->cancel_wanted, false);
    bool is_gone = sg_wire_flush(&session->wire) == SG_WIRE_GONE;
    for (int64_t left; (left = pausing(session->console, reterr)) != 0;) {
        if (left < 0)
            return false;
        is_gone = is_gone || sg_wire_idle(&session->wire, LOOK_EVERY_MS) == SG_WIRE_GONE;
        if (is_gone || !sg_admin_session_goes_on(session) || atomic_exchange(&session->cancel_wanted, false)) {
            sg_error_set(reterr, SG_SQLSTATE_QUERY_CANCELED, "canceling PAUSE due to user request");
            if (is_ours)
                undo_pause(session->console, database);
            sg_error_detail(reterr, "%s", is_ours ? "Nothing is paused by it." : "It was paused before, and still is.");
            return false;
        }
    }
    return true;
}

static bool pause_database(struct sg_admin_session *session, const char *database, struct sg_error *reterr) {
    struct sg_server *server = lock_server(session->console, reterr);
    if (!server)
        return false;
    bool is_ours = sg_server_pause(server, database, true);
    unlock_server(session->console);
    log_deed(session, "pauses", database);
    return wait_until_quiet(session, database, is_ours, reterr);
}

/* ---- RESUME, KILL ---- */

static bool resume(struct sg_admin_session *session, const char *database, struct sg_error *reterr) {
    struct sg_server *server = lock_server(session->console, reterr);
    if (!server)
        return false;
    bool was_paused = sg_server_pause(server, database, false);
    unlock_server(session->console);
    if (was_paused) {
        log_deed(session, "resumes", database);
        return true;
    }
    if (database)
        sg_error_set(reterr, SG_SQLSTATE_OBJECT_NOT_IN_PREREQUISITE_STATE, "database \"%s\" is not paused", database);
    else
        sg_error_set(reterr, SG_SQLSTATE_OBJECT_NOT_IN_PREREQUISITE_STATE, "segue is not paused");
    sg_error_hint(reterr, "A database paused by its name is resumed by its name, all by RESUME alone.");
    return false;
}

/* Held first, so that nobody comes back in between. */
static bool kill_database(struct sg_admin_session *session, const char *database, struct sg_error *reterr) {
    struct sg_server *server = lock_server(session->console, reterr);
    if (!server)
        return false;
    sg_server_pause(server, database, true);
    uint64_t killed = sg_server_kill(server, database, 0);
    unlock_server(session->console);
    log_deed(session, "kills the sessions of", database);
    sg_log(SG_LOG_INFO, "killed %" PRIu64 " sessions", killed);
    return true;
}

static bool kill_client(struct sg_admin_session *session, uint64_t id, struct sg_error *reterr) {
    struct sg_server *server = lock_server(session->console, reterr);
    if (!server)
        return false;
    uint64_t killed = sg_server_kill(server, NULL, id);
    unlock_server(session->console);
    if (!killed)
        sg_error_set(reterr, SG_SQLSTATE_UNDEFINED_OBJECT, "there is no client with id %" PRIu64, id);
    else
        sg_log(SG_LOG_INFO, "console: \"%s\" kills client %" PRIu64, session->user, id);
    return killed > 0;
}

bool sg_admin_session_hold(struct sg_admin_session *session, const struct sg_command *command,
                           struct sg_error *reterr) {
    const char *database = command->database;
    if (database && !is_served(session->console, database)) {
        sg_error_set(reterr, SG_SQLSTATE_UNDEFINED_OBJECT, "database \"%s\" is not in segue's configuration", database);
        return false;
    }
    switch (command->id) {
    case SG_COMMAND_PAUSE:
        return pause_database(session, database, reterr);
    case SG_COMMAND_RESUME:
        return resume(session, database, reterr);
    case SG_COMMAND_KILL:
        return kill_database(session, database, reterr);
    default:
        return kill_client(session, command->client_id, reterr);
    }
}
