/*
 *   adopt (worker thread) --> session_thread --> sg_admin_session_main --> leave (list, free)
 *   end_sessions, cancel (any thread) --> flag + sg_wire_wake, under the lock, so that the session is still there
 *   free (main thread): end_sessions, then waits until the list is empty
 */
#include "proxy/admin/console.h"

#include "proxy/admin/registry.h"
#include "proxy/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define SESSIONS_MAX    100
#define THREAD_BYTES    (512u << 10)
#define CONSOLE_PID_BIT 0x40000000u /* process ids of a server stay far below */

static char *copy(const char *text) {
    char *copied = strdup(text ? text : "");
    if (!copied)
        abort();
    return copied;
}

struct sg_console *sg_console_new(const struct sg_console_config *config) {
    struct sg_console *console = calloc(1, sizeof(*console));
    if (!console)
        abort();
    console->control_conninfo = copy(config->control_conninfo);
    console->database = copy(config->database);
    console->control_user = copy(config->control_user);
    console->on_request = config->on_request;
    console->on_request_arg = config->on_request_arg;
    console->hub = config->hub;
    console->config = config->config;
    pthread_mutex_init(&console->lock, NULL);
    pthread_mutex_init(&console->survey_lock, NULL);
    pthread_cond_init(&console->session_ended, NULL);
    return console;
}

static void end_all(struct sg_console *console) {
    for (struct sg_admin_session *s = console->sessions; s; s = s->next) {
        atomic_store(&s->end_wanted, true);
        sg_wire_wake(&s->wire);
    }
}

void sg_console_end_sessions(struct sg_console *console) {
    pthread_mutex_lock(&console->lock);
    end_all(console);
    pthread_mutex_unlock(&console->lock);
}

void sg_console_free(struct sg_console *console) {
    if (!console)
        return;
    pthread_mutex_lock(&console->lock);
    console->closing = true;
    end_all(console);
    while (console->sessions)
        pthread_cond_wait(&console->session_ended, &console->lock);
    pthread_mutex_unlock(&console->lock);
    pthread_cond_destroy(&console->session_ended);
    pthread_mutex_destroy(&console->lock);
    pthread_mutex_destroy(&console->survey_lock);
    free(console->control_conninfo);
    free(console->database);
    free(console->control_user);
    free(console);
}

void sg_console_set_engine(struct sg_console *console, struct sg_engine *engine) {
    pthread_mutex_lock(&console->lock);
    console->engine = engine;
    pthread_mutex_unlock(&console->lock);
}

void sg_console_set_trouble(struct sg_console *console, const struct sg_error *why) {
    pthread_mutex_lock(&console->lock);
    snprintf(console->trouble, sizeof(console->trouble), "%s%s%s", why->message, why->detail[0] ? ": " : "",
             why->detail);
    pthread_mutex_unlock(&console->lock);
}

void sg_console_set_server(struct sg_console *console, struct sg_server *server) {
    pthread_mutex_lock(&console->survey_lock);
    pthread_mutex_lock(&console->lock);
    console->server = server;
    pthread_mutex_unlock(&console->lock);
    pthread_mutex_unlock(&console->survey_lock);
}

void sg_console_set_config(struct sg_console *console, const struct sg_config *config) {
    pthread_mutex_lock(&console->lock);
    console->config = config;
    pthread_mutex_unlock(&console->lock);
}

bool sg_console_cancel(struct sg_console *console, uint32_t pid, struct sg_span key) {
    bool found = false;
    pthread_mutex_lock(&console->lock);
    for (struct sg_admin_session *s = console->sessions; s && !found; s = s->next) {
        found = s->pid == pid && key.len == sizeof(s->key) && memcmp(s->key, key.ptr, key.len) == 0;
        if (found) {
            atomic_store(&s->cancel_wanted, true);
            sg_wire_wake(&s->wire);
        }
    }
    pthread_mutex_unlock(&console->lock);
    return found;
}

/* ---- Sessions ---- */

/* users: comma-separated, blanks around names do not count. */
static bool is_listed(const char *users, const char *user) {
    size_t len = strlen(user);
    while (*users) {
        users += strspn(users, ", \t");
        size_t end = strcspn(users, ","), word = end;
        while (word && (users[word - 1] == ' ' || users[word - 1] == '\t'))
            word--;
        if (word == len && memcmp(users, user, len) == 0)
            return true;
        users += end;
    }
    return false;
}

static void assign_role(struct sg_admin_session *session) {
    struct sg_console *console = session->console;
    pthread_mutex_lock(&console->lock);
    const struct sg_config *config = console->config;
    const char *admins = config->admin_users[0] ? config->admin_users : console->control_user;
    session->is_admin = is_listed(admins, session->user);
    session->is_known = session->is_admin || is_listed(config->stats_users, session->user);
    pthread_mutex_unlock(&console->lock);
}

static void session_free(struct sg_admin_session *session) {
    sg_wire_free(&session->wire);
    free(session->user);
    free(session);
}

static void *session_thread(void *arg) {
    struct sg_admin_session *session = arg;
    struct sg_console *console = session->console;
    sg_admin_session_main(session);
    sg_log(SG_LOG_INFO, "console: \"%s\" left", session->user);
    pthread_mutex_lock(&console->lock);
    struct sg_admin_session **at = &console->sessions;
    while (*at != session)
        at = &(*at)->next;
    *at = session->next;
    console->sessions_len--;
    session_free(session);
    /* Under the lock: when it is given up, sg_console_free may end the console's life. */
    pthread_cond_signal(&console->session_ended);
    pthread_mutex_unlock(&console->lock);
    return NULL;
}

static void refuse(struct sg_admin_session *session, enum sg_sqlstate state, const char *message, const char *detail) {
    struct sg_error err;
    sg_error_set(&err, state, "%s", message);
    sg_error_detail(&err, "%s", detail);
    sg_msg_error(&session->wire.out, "FATAL", &err);
    sg_wire_part(&session->wire);
    sg_log_error(SG_LOG_WARN, &err, "console: \"%s\" refused", session->user);
    session_free(session);
}

static void make_key(struct sg_admin_session *session) {
    uint32_t random[2];
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        abort();
    session->pid = CONSOLE_PID_BIT | (random[0] & (CONSOLE_PID_BIT - 1));
    memcpy(session->key, &random[1], sizeof(session->key));
}

static bool start_thread(struct sg_admin_session *session) {
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, THREAD_BYTES);
    bool started = pthread_create(&thread, &attributes, session_thread, session) == 0;
    pthread_attr_destroy(&attributes);
    return started;
}

/* In the list and running, or NULL and why not. */
static const char *enrol(struct sg_console *console, struct sg_admin_session *session) {
    const char *why = NULL;
    pthread_mutex_lock(&console->lock);
    if (console->closing) {
        why = "segue is shutting down";
    } else if (console->sessions_len >= SESSIONS_MAX) {
        why = "too many console sessions";
    } else {
        session->next = console->sessions;
        console->sessions = session;
        console->sessions_len++;
        if (!start_thread(session)) {
            console->sessions = session->next;
            console->sessions_len--;
            why = "no thread for one more console session";
        }
    }
    pthread_mutex_unlock(&console->lock);
    return why;
}

void sg_console_adopt(struct sg_console *console, int fd, struct sg_tls *tls, const char *user,
                      struct sg_span pending) {
    struct sg_admin_session *session = calloc(1, sizeof(*session));
    if (!session)
        abort();
    session->console = console;
    session->user = copy(user);
    assign_role(session);
    sg_wire_init(&session->wire, fd, tls, pending);
    make_key(session);
    if (!session->is_known) {
        refuse(session, SG_SQLSTATE_INSUFFICIENT_PRIVILEGE, "this role may not use the console",
               "It is in neither admin_users nor stats_users.");
        return;
    }
    sg_log(SG_LOG_INFO, "console: \"%s\" came in as %s", user, session->is_admin ? "admin" : "stats user");
    const char *why = enrol(console, session);
    if (why)
        refuse(session, SG_SQLSTATE_TOO_MANY_CONNECTIONS, why, "");
}
