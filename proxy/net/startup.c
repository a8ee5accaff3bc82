/*
 * What happens before messages flow: start-up packets, and which of three things a session is.
 *
 *      bytes --sg_startup_read--> SSLRequest, GSSENCRequest: 'S' or 'N', once each, and read on
 *                             |-> CancelRequest: to the session it is for, or forwarded on a connection of its own
 *                             +-> StartupMessage --> database segue: log in to the control database, then the console
 *                                               |--> the control database: needs a snapshot before anything is
 * forwarded
 *                                               +--> any other: plain relay
 *
 * Then session_auth.c: either segue authenticates the client, or the exchange of authentication messages is relayed
 * like everything else, and nothing looks into it.
 */
#include "session.h"

#include "cancel.h"
#include "databases.h"
#include "pause.h"
#include "session_auth.h"
#include "session_cancel.h"
#include "session_dial.h"
#include "session_notes.h"
#include "session_tls.h"
#include "star_rules.h"

#include "proxy/admin/console.h"
#include "proxy/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONSOLE_DATABASE "segue"

/* ---- Refusals ---- */

static void refuse(struct sg_session *s, enum sg_sqlstate state, const char *message, const char *hint) {
    struct sg_error err = {0};
    sg_error_set(&err, state, "%s", message);
    if (hint) {
        sg_error_hint(&err, "%s", hint);
    }
    sg_count(&s->worker->counters.refused_logins, 1);
    sg_session_fatal(s, &err);
}

void sg_startup_refuse_shutdown(struct sg_session *s) {
    refuse(s, SG_SQLSTATE_CANNOT_CONNECT_NOW, "segue is shutting down", NULL);
}

/* A bad packet from something that seems to speak a version of the protocol gets an answer; a port scan gets none. */
static void on_bad_packet(struct sg_session *s) {
    static struct sg_log_limit limit = SG_LOG_LIMIT(1);
    sg_log_limited(&limit, SG_LOG_DEBUG, "bad start-up packet");
    bool is_like_postgres = s->rest.len >= 8 && s->rest.data[4] == 0 && (s->rest.data[5] == 2 || s->rest.data[5] == 3);
    if (is_like_postgres) {
        refuse(s, SG_SQLSTATE_PROTOCOL_VIOLATION, "invalid start-up packet", NULL);
    } else {
        sg_session_close(s);
    }
}

/* ---- The console ---- */

static bool span_is(struct sg_span span, const char *cstr) {
    return sg_span_eq_cstr(span, cstr);
}

/* The client's own StartupMessage, but for the control database. Its application settings are not for that login. */
static struct sg_buf console_startup(const struct sg_session *s, const struct sg_startup *startup) {
    struct sg_buf packet = {0};
    struct sg_span name, value;
    size_t cursor = 0;
    sg_msg_begin(&packet, 0);
    sg_buf_put_u32(&packet, (uint32_t)startup->major << 16 | startup->minor);
    while (sg_startup_param_next(startup, &cursor, &name, &value)) {
        if (!span_is(name, "database") && !span_is(name, "replication") && !span_is(name, "options")) {
            sg_buf_put_span_cstr(&packet, name);
            sg_buf_put_span_cstr(&packet, value);
        }
    }
    sg_buf_put_cstr(&packet, "database");
    sg_buf_put_cstr(&packet, s->worker->config->control_database);
    sg_buf_put_u8(&packet, 0);
    sg_msg_end(&packet);
    return packet;
}

/* ---- What the server is told ---- */

static void put_param(struct sg_buf *packet, const char *name, const char *value) {
    if (value) {
        sg_buf_put_cstr(packet, name);
        sg_buf_put_cstr(packet, value);
    }
}

/* The last of several settings in `options` counts: the entry's come first. */
static void put_options(struct sg_buf *packet, const char *options, struct sg_span of_client) {
    sg_buf_put_cstr(packet, "options");
    sg_buf_put(packet, options, strlen(options));
    sg_buf_put_u8(packet, ' ');
    sg_buf_put_span_cstr(packet, of_client);
}

static bool is_changed(const struct sg_database *db) {
    return db->dbname || db->user || db->options || db->client_encoding || db->datestyle || db->timezone;
}

/* The client's own packet, byte for byte, unless its entry of [databases] says otherwise. */
static struct sg_buf server_startup(const struct sg_session *s, const struct sg_startup *startup) {
    const struct sg_database *db = s->database;
    struct sg_buf packet = {0};
    struct sg_span name, value;
    size_t cursor = 0;
    if (!is_changed(db)) {
        sg_buf_put(&packet, s->rest.data, startup->bytes);
        return packet;
    }
    sg_msg_begin(&packet, 0);
    sg_buf_put_u32(&packet, (uint32_t)startup->major << 16 | startup->minor);
    /* Of a setting that comes twice the later counts, however it is spelled: that is the client's. */
    put_param(&packet, "client_encoding", db->client_encoding);
    put_param(&packet, "DateStyle", db->datestyle);
    put_param(&packet, "TimeZone", db->timezone);
    put_param(&packet, "user", db->user);
    put_param(&packet, "database", db->dbname);
    if (db->options && !sg_startup_param(startup, "options").ptr) {
        put_param(&packet, "options", db->options);
    }
    while (sg_startup_param_next(startup, &cursor, &name, &value)) {
        if ((db->user && span_is(name, "user")) || (db->dbname && span_is(name, "database"))) {
            continue;
        }
        if (db->options && span_is(name, "options")) {
            put_options(&packet, db->options, value);
            continue;
        }
        sg_buf_put_span_cstr(&packet, name);
        sg_buf_put_span_cstr(&packet, value);
    }
    sg_buf_put_u8(&packet, 0);
    sg_msg_end(&packet);
    return packet;
}

void sg_startup_to_console(struct sg_session *s) {
    struct sg_console *console = s->worker->config->console;
    uv_os_fd_t ours;
    int fd = uv_fileno(&s->client.handle, &ours) == 0 ? fcntl(ours, F_DUPFD_CLOEXEC, 3) : -1;
    if (fd < 0) {
        refuse(s, SG_SQLSTATE_TOO_MANY_CONNECTIONS, "segue has no file descriptor left for a console session", NULL);
        return;
    }
    struct sg_buf pending = {0};
    if (s->is_stalled) {
        sg_buf_put(&pending, s->from_client.scanner.header, SG_FRAME_HEADER_BYTES);
    }
    sg_buf_put(&pending, s->rest.data, s->rest.len);
    char *user = s->console_user;
    s->console_user = NULL;
    struct sg_tls *tls = sg_session_tls_detach(s);
    if (s->is_server_open) {
        uv_buf_t terminate = uv_buf_init((char[]){'X', 0, 0, 0, 4}, 5);
        sg_outq_write(&s->to_server, &terminate, 1);
    }
    sg_session_close(s); /* takes ours out of the loop before the other thread touches the socket */
    int flags = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    sg_console_adopt(console, fd, tls, user, (struct sg_span){(char *)pending.data, pending.len});
    sg_buf_free(&pending);
    free(user);
}

/* ---- Start-up packets ---- */

static void on_encryption_request(struct sg_session *s, const struct sg_startup *startup) {
    bool *is_asked = startup->kind == SG_STARTUP_SSL ? &s->is_ssl_asked : &s->is_gss_asked;
    /* Bytes sent before the answer could be passed off as having come through the encrypted channel. */
    if (*is_asked || s->rest.len > startup->bytes) {
        sg_session_close(s);
        return;
    }
    *is_asked = true;
    sg_buf_free(&s->rest);
    bool accepts = startup->kind == SG_STARTUP_SSL && !s->tls.stream && sg_session_tls_is_offered(s);
    uv_buf_t answer = uv_buf_init((char[]){accepts ? 'S' : 'N'}, 1);
    sg_outq_write(&s->to_client, &answer, 1);
    if (s->to_client.error != 0) {
        sg_session_close(s);
    } else if (accepts) {
        sg_session_tls_begin(s, false);
    }
}

static void on_cancelled(void *arg, bool is_sent) {
    struct sg_session *s = arg;
    (void)is_sent; /* a client that cancels is told nothing */
    sg_session_close(s);
    sg_session_release(s);
}

static void on_cancel_request(struct sg_session *s, const struct sg_startup *startup) {
    struct sg_console *console = s->worker->config->console;
    if (console && sg_console_cancel(console, startup->cancel_pid, startup->cancel_key)) {
        sg_session_close(s);
        return;
    }
    if (sg_session_cancel_pass_on(s, startup)) {
        return;
    }
    /* Of another process, whose server knows the key just as well. */
    s->state = SG_SESSION_CANCEL;
    s->holds++;
    sg_strangers_remove(s);
    uv_timer_stop(&s->timer); /* the cancel has a time limit of its own */
    sg_cancel_start(s->worker, NULL, (struct sg_span){(char *)s->rest.data, startup->bytes},
                    &(struct sg_cancel_owner){.on_done = on_cancelled, .arg = s});
}

static bool admit(struct sg_session *s) {
    struct sg_shared *shared = s->worker->shared;
    uint64_t before = atomic_fetch_add_explicit(&shared->sessions, 1, memory_order_relaxed);
    s->is_counted = true;
    int limit = s->worker->config->max_client_conn;
    if (limit > 0 && before >= (uint64_t)limit) {
        refuse(s, SG_SQLSTATE_TOO_MANY_CONNECTIONS, "segue has no room for another client",
               "max_client_conn sets how many there may be.");
        return false;
    }
    return true;
}

static void refuse_unknown(struct sg_session *s, struct sg_span database) {
    struct sg_error err = {0};
    sg_error_set(&err, SG_SQLSTATE_INVALID_CATALOG_NAME, "no such database: %.*s", (int)database.len, database.ptr);
    sg_error_hint(&err,
                  "Section [databases] of segue's configuration has neither an entry of this name nor one for *.");
    sg_count(&s->worker->counters.refused_logins, 1);
    sg_session_fatal(s, &err);
}

static bool enter_console(struct sg_session *s, struct sg_span user) {
    const struct sg_server_config *config = s->worker->config;
    s->database = config->control_database ? sg_databases_find_control(s->databases, config->control_database) : NULL;
    if (!config->console || !config->control_database || user.len == 0) {
        refuse(s, SG_SQLSTATE_CANNOT_CONNECT_NOW, "the segue console is not available",
               "It needs a control connection: start segue with --control.");
        return false;
    }
    if (!s->database) {
        refuse(s, SG_SQLSTATE_CANNOT_CONNECT_NOW, "the segue console is not available",
               "Who logs in to it is checked by the server of the control database, and no entry of [databases] leads "
               "there.");
        return false;
    }
    s->is_console = true;
    s->console_user = strndup(user.ptr, user.len);
    return true;
}

/* False: the client was told why not. */
static bool choose_kind(struct sg_session *s, const struct sg_startup *startup) {
    struct sg_worker *w = s->worker;
    const char *control = sg_hub_database(w->config->hub);
    struct sg_span user = sg_startup_user(startup), database = sg_startup_database(startup);
    sg_trace_wait(s);
    s->databases = sg_databases_ref(w->config->databases);
    if (span_is(database, CONSOLE_DATABASE)) {
        return enter_console(s, user);
    }
    s->database = sg_databases_find(s->databases, database);
    if (!s->database) {
        refuse_unknown(s, database);
        return false;
    }
    struct sg_span application_name = sg_startup_param(startup, "application_name");
    sg_notes_introduce(s, user, database, application_name, sg_startup_param(startup, "replication"));
    if (!control || !s->database->rewrite || !span_is(sg_database_target(s->database, database), control)) {
        return true;
    }
    sg_worker_install(w);
    if (!sg_hub_is_ready(w->config->hub) || !w->installed) {
        refuse(s, SG_SQLSTATE_CANNOT_CONNECT_NOW, "segue does not know the mappings of this database yet",
               "Nothing is forwarded before they are known. Try again.");
        return false;
    }
    s->has_snapshots = true;
    s->star = sg_star_rules_choose(w->config->star_rules, w->config->star_rules_len, user, database, application_name,
                                   w->config->star);
    return true;
}

static void forget_kind(struct sg_session *s) {
    sg_databases_unref(s->databases);
    free(s->who);
    s->databases = NULL;
    s->database = NULL;
    s->who = NULL;
    s->has_snapshots = false;
}

static void on_startup_message(struct sg_session *s, const struct sg_startup *startup) {
    if (startup->major != 3) {
        struct sg_error err = {0};
        sg_error_set(&err, SG_SQLSTATE_FEATURE_NOT_SUPPORTED, "unsupported frontend protocol %u.%u: segue speaks 3.x",
                     startup->major, startup->minor);
        sg_session_fatal(s, &err);
        return;
    }
    sg_strangers_remove(s);
    if (!s->tls.stream && sg_session_tls_is_required(s)) {
        refuse(s, SG_SQLSTATE_INVALID_AUTHORIZATION, "segue accepts encrypted connections only",
               "Connect with sslmode=require or stricter.");
        return;
    }
    if (sg_worker_is_draining(s->worker)) {
        sg_startup_refuse_shutdown(s);
        return;
    }
    bool is_new = !s->is_counted; /* otherwise it was held, and its database may be elsewhere by now */
    if (!is_new) {
        forget_kind(s);
    }
    if ((is_new && !admit(s)) || !choose_kind(s, startup) || sg_pause_holds_login(s)) {
        return;
    }
    sg_session_auth_open(s, startup);
    struct sg_buf first = {0};
    if (s->is_console) {
        first = console_startup(s, startup);
    } else {
        first = server_startup(s, startup);
    }
    s->rest.len -= startup->bytes;
    memmove(s->rest.data, s->rest.data + startup->bytes, s->rest.len);
    if (s->rest.len == 0) {
        sg_buf_free(&s->rest);
    }
    sg_session_auth_start(s, first);
}

/* A TLS record instead of a packet: nobody asked, so it is the very first byte. */
static bool is_direct_tls(const struct sg_session *s) {
    return s->rest.len > 0 && s->rest.data[0] == 0x16 && !s->tls.stream && !s->is_ssl_asked && !s->is_gss_asked &&
           sg_session_tls_is_offered(s);
}

void sg_startup_feed(struct sg_session *s) {
    struct sg_startup startup;
    if (is_direct_tls(s)) {
        struct sg_buf records = s->rest;
        s->rest = (struct sg_buf){0};
        sg_session_tls_begin(s, true);
        if (s->state == SG_SESSION_START) {
            sg_session_take(s, records.data, records.len);
        }
        sg_buf_free(&records);
        return;
    }
    switch (sg_startup_read(s->rest.data, s->rest.len, &startup)) {
    case SG_READ_MORE:
        return;
    case SG_READ_BAD:
        on_bad_packet(s);
        return;
    case SG_READ_OK:
        break;
    }
    switch (startup.kind) {
    case SG_STARTUP_SSL:
    case SG_STARTUP_GSSENC:
        on_encryption_request(s, &startup);
        break;
    case SG_STARTUP_CANCEL:
        on_cancel_request(s, &startup);
        break;
    case SG_STARTUP_SESSION:
        on_startup_message(s, &startup);
        break;
    }
}
