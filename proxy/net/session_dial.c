/*
 *      sg_session_dial --> dialling --on_dialled--> asked --sg_way_judge--> settled (the way is freed)
 *                             ^                       |  \
 *                             |                       |   \--a message that the client must answer--> committed -->
 * settled
 *                             +-----sg_way_go_on------+                                                   |
 *                               (this one will not do)                                                    v
 *                                                                              the role does not fit: FATAL, remembered
 *
 * A server may turn out not to do after it was reached: it is starting up or shutting down (57P03), or, with
 * target_session_attrs, it is not what is wanted, which only a session on it can say, after the login. As long as the
 * client has seen nothing of this server, another takes its place.
 *
 * Invariants:
 *   1. Nothing of the client but answers to this server's own questions goes to a server that is not settled on.
 *   2. Nothing of a server goes to the client before the server is settled on, or asks the client something. What comes
 *      in between is held, in order, and goes out then.
 *   3. What is remembered of a host's role (upstream.h) decides which is tried first. Whether it will do is decided by
 *      what its own session says, as libpq decides it.
 */
#include "session_dial.h"

#include "databases.h"
#include "dial.h"
#include "proxy/log.h"
#include "session_auth.h"

#include <stdlib.h>
#include <string.h>

#define HELD_MAX_BYTES 65536u

enum stage {
    STAGE_FIRST_WORD, /* nothing of this server has been judged yet */
    STAGE_EXCHANGE,   /* it asks, the client answers */
    STAGE_LOGGED_IN,  /* with a target: everything up to ReadyForQuery is held */
    STAGE_ASKED,      /* a server before 14 does not say what it is: it has been asked */
};

struct sg_way {
    struct sg_dial dial;
    struct sg_route route;
    struct sg_session *session;
    struct sg_buf first;      /* the StartupMessage */
    struct sg_buf held;       /* messages of the server that the client has not got yet */
    struct sg_buf last_words; /* the error of the last server that would not do */
    enum stage stage;
    bool is_committed; /* the client is in an exchange with this server: there is no other for it */
    bool is_rejected;  /* the server that was dialled last */
    enum { NOT_SAID, OFF, ON } standby, read_only;
};

static void dial(struct sg_way *way);

void sg_way_end(struct sg_session *s) {
    struct sg_way *way = s->way;
    if (!way || s->dial) {
        return; /* still in use: on_dialled ends it */
    }
    s->way = NULL;
    sg_buf_free(&way->first);
    sg_buf_free(&way->held);
    sg_buf_free(&way->last_words);
    free(way);
}

/* ---- Dialling ---- */

static void say_unreachable(struct sg_session *s, const struct sg_dial *dial, int status) {
    static struct sg_log_limit limit = SG_LOG_LIMIT(1);
    struct sg_way *way = s->way;
    const char *where = way->route.failed_label ? way->route.failed_label : s->database->upstream.hosts[0].label;
    const char *why = dial->error.message[0] ? dial->error.message : uv_strerror(status);
    sg_log_limited(&limit, SG_LOG_WARN, "cannot connect to the server at %s: %s", where, why);
    sg_count(&s->worker->counters.refused_logins, 1);
    if (way->last_words.len > 0) {
        uv_buf_t buf = uv_buf_init((char *)way->last_words.data, (unsigned)way->last_words.len);
        sg_outq_write(&s->to_client, &buf, 1);
        sg_session_end(s);
        return;
    }
    bool is_exhausted = status == UV_EMFILE || status == UV_ENFILE;
    struct sg_error err = {0};
    sg_error_set(&err, is_exhausted ? SG_SQLSTATE_TOO_MANY_CONNECTIONS : SG_SQLSTATE_CANNOT_CONNECT,
                 "segue cannot connect to the server at %s: %s", where, why);
    sg_session_fatal(s, &err);
}

static void on_dialled(struct sg_dial *base, int status) {
    struct sg_way *way = (struct sg_way *)((char *)base - offsetof(struct sg_way, dial));
    struct sg_session *s = way->session;
    s->dial = NULL;
    if (status == 0) {
        s->host = base->host;
        s->server_tls = base->tls;
        way->stage = STAGE_FIRST_WORD;
        way->standby = way->read_only = NOT_SAID;
        way->is_rejected = false;
        sg_session_relay(s, (struct sg_span){(char *)way->first.data, way->first.len});
    } else if (s->state == SG_SESSION_DIAL) {
        say_unreachable(s, base, status);
    }
    if (s->state != SG_SESSION_RELAY) {
        sg_way_end(s);
    }
    sg_session_release(s);
}

static void dial(struct sg_way *way) {
    struct sg_session *s = way->session;
    s->dial = &way->dial;
    s->holds++;
    sg_dial_start(&way->dial, &s->worker->loop, &way->route, sg_tls_context_ref(s->database->tls), &s->server,
                  on_dialled);
}

/* Who has said who it is comes before who has not. */
static void make_room(void *worker) {
    sg_worker_make_room(worker);
}

void sg_session_dial(struct sg_session *s, struct sg_buf first) {
    const struct sg_server_config *config = s->worker->config;
    struct sg_way *way = calloc(1, sizeof(*way));
    if (!way) {
        abort();
    }
    way->session = s;
    way->first = first;
    s->way = way;
    s->state = SG_SESSION_DIAL;
    sg_session_read_client(s, true); /* so that its going away is noticed; what it says is kept */
    sg_route_begin(&way->route, &s->database->upstream, (unsigned)config->server_connect_timeout_ms,
                   (unsigned)config->server_login_retry_ms);
    way->route.on_exhausted = make_room;
    way->route.on_exhausted_arg = s->worker;
    dial(way);
}

static void on_server_closed(uv_handle_t *handle) {
    struct sg_session *s = handle->data;
    if (s->state == SG_SESSION_DIAL && s->way) {
        dial(s->way);
    }
    sg_session_release(s);
}

static void reject(struct sg_session *s, const struct sg_error *why, bool may_pass) {
    s->way->is_rejected = true;
    sg_route_reject(&s->way->route, s->host->label, why, may_pass);
}

bool sg_way_is_rejected(const struct sg_session *s) {
    return s->way && s->way->is_rejected;
}

bool sg_way_go_on(struct sg_session *s) {
    struct sg_way *way = s->way;
    bool is_in_exchange = way && (way->is_committed || (way->stage == STAGE_EXCHANGE && !way->is_rejected));
    if (!way || is_in_exchange || s->is_console || s->is_client_eof) {
        return false;
    }
    if (!way->is_rejected) {
        struct sg_error err = {0};
        sg_error_set(&err, SG_SQLSTATE_CANNOT_CONNECT, "the server closed the connection unexpectedly");
        reject(s, &err, true);
    }
    way->held.len = 0;
    s->state = SG_SESSION_DIAL;
    sg_session_unrelay(s, on_server_closed);
    return true;
}

/* ---- Judging ---- */

static bool has_target(const struct sg_session *s) {
    return s->database->upstream.target != SG_WANTED_ANY && !s->is_console;
}

size_t sg_way_need(const struct sg_session *s, const struct sg_message *m) {
    (void)s;
    return m->body_bytes <= HELD_MAX_BYTES ? m->body_bytes : 0;
}

bool sg_way_hears_client(const struct sg_session *s) {
    return !s->way || s->way->is_committed;
}

static void put_message(struct sg_buf *buf, const struct sg_message *m) {
    sg_msg_begin(buf, m->type);
    sg_buf_put(buf, m->body, m->have);
    sg_msg_end(buf);
}

static void release_held(struct sg_session *s) {
    if (s->way->held.len > 0) {
        sg_flow_emit(&s->from_server, s->way->held.data, s->way->held.len);
        s->way->held.len = 0;
    }
}

static enum sg_verdict settle(struct sg_session *s) {
    release_held(s);
    sg_way_end(s);
    return SG_FORWARD;
}

static enum sg_verdict on_error(struct sg_session *s, const struct sg_message *m) {
    struct sg_way *way = s->way;
    struct sg_error err = {0};
    bool is_passing = way->stage == STAGE_FIRST_WORD && !way->is_committed && !s->is_console &&
                      sg_span_eq_cstr(sg_error_field(m->body, m->have, 'C'), "57P03");
    if (way->stage == STAGE_ASKED) {
        s->is_server_error = false;
        return SG_ABSORB; /* ReadyForQuery follows, and nothing will be known */
    }
    if (!is_passing || m->have < m->body_bytes) {
        return settle(s);
    }
    struct sg_span text = sg_error_field(m->body, m->have, 'M');
    sg_error_set(&err, SG_SQLSTATE_CANNOT_CONNECT_NOW, "%.*s", (int)text.len, text.ptr);
    reject(s, &err, true);
    way->last_words.len = 0;
    put_message(&way->last_words, m);
    return SG_STOP;
}

static enum sg_verdict on_authentication(struct sg_session *s, const struct sg_message *m) {
    int32_t code = -1;
    sg_auth_read(m->body, m->have, &code);
    if (code != 0) {
        s->way->stage = STAGE_EXCHANGE;
        s->way->is_committed = !s->login; /* whoever logs in in the client's place can do so elsewhere */
        if (!s->login || !has_target(s)) {
            release_held(s);
        }
        if (!has_target(s)) {
            sg_way_end(s);
        }
        return SG_FORWARD;
    }
    if (!has_target(s)) {
        return settle(s);
    }
    s->way->stage = STAGE_LOGGED_IN;
    return SG_FORWARD;
}

static void note_status(struct sg_way *way, const struct sg_message *m) {
    struct sg_parameter_status status;
    if (sg_parameter_status_read(m->body, m->have, &status) != SG_READ_OK) {
        return;
    }
    int value = sg_span_eq_cstr(status.value, "on") ? ON : OFF;
    if (sg_span_eq_cstr(status.name, "in_hot_standby")) {
        way->standby = value;
    } else if (sg_span_eq_cstr(status.name, "default_transaction_read_only")) {
        way->read_only = value;
    }
}

/* ---- The role ---- */

static void ask(struct sg_session *s) {
    struct sg_buf query = {0};
    sg_msg_query(&query, SG_SPAN_LIT("SELECT pg_catalog.pg_is_in_recovery(),"
                                     " pg_catalog.current_setting('transaction_read_only') = 'on'"));
    uv_buf_t buf = uv_buf_init((char *)query.data, (unsigned)query.len);
    sg_outq_write(&s->to_server, &buf, 1);
    sg_buf_free(&query);
    s->way->stage = STAGE_ASKED;
}

/* One row of two booleans, as text: a count, then for each a length and 't' or 'f'. */
static void note_row(struct sg_way *way, const struct sg_message *m) {
    if (m->have == 12 && m->body[1] == 2) {
        way->standby = m->body[6] == 't' ? ON : OFF;
        way->read_only = m->body[11] == 't' ? ON : OFF;
    }
}

static const char *objection_to(enum sg_role role, enum sg_wanted target) {
    switch (target) {
    case SG_WANTED_READ_WRITE:
        return "session is read-only";
    case SG_WANTED_READ_ONLY:
        return "session is not read-only";
    case SG_WANTED_PRIMARY:
        return "server is in hot standby mode";
    default:
        return role == SG_ROLE_UNKNOWN ? "server does not say whether it is a standby"
                                       : "server is not in hot standby mode";
    }
}

/* The client would have to log in twice, and knows of one login only. */
static enum sg_verdict turn_away(struct sg_session *s, const struct sg_error *why) {
    struct sg_error err = {0};
    sg_error_set(&err, SG_SQLSTATE_CANNOT_CONNECT_NOW, "the server at %s will not do: %s", s->host->label,
                 why->message);
    sg_error_detail(&err, "Its role has changed, or was not known. It is now.");
    sg_error_hint(&err, "Connect again.");
    s->way->held.len = 0;
    sg_count(&s->worker->counters.refused_logins, 1);
    sg_session_fatal(s, &err);
    return SG_STOP;
}

static enum sg_verdict judge_role(struct sg_session *s) {
    struct sg_way *way = s->way;
    enum sg_wanted target = s->database->upstream.target;
    enum sg_role role = way->standby == NOT_SAID ? SG_ROLE_UNKNOWN
                        : way->standby == ON     ? SG_ROLE_STANDBY
                        : way->read_only == ON   ? SG_ROLE_READ_ONLY
                                                 : SG_ROLE_PRIMARY;
    sg_host_learn(s->host, role);
    if (sg_role_fits(role, target) || (target == SG_WANTED_PREFER_STANDBY && way->route.is_last_resort)) {
        sg_session_auth_end(s);
        return settle(s);
    }
    struct sg_error why = {0};
    sg_error_set(&why, SG_SQLSTATE_CANNOT_CONNECT_NOW, "%s", objection_to(role, target));
    if (way->is_committed) {
        return turn_away(s, &why);
    }
    reject(s, &why, true);
    return SG_STOP;
}

static enum sg_verdict on_ready(struct sg_session *s) {
    struct sg_way *way = s->way;
    if (way->stage == STAGE_LOGGED_IN && (way->standby == NOT_SAID || way->read_only == NOT_SAID)) {
        ask(s);
        return SG_ABSORB;
    }
    return judge_role(s);
}

enum sg_verdict sg_way_judge(struct sg_session *s, const struct sg_message *m) {
    struct sg_way *way = s->way;
    switch (m->type) {
    case 'E':
        return on_error(s, m);
    case 'R':
        return on_authentication(s, m);
    case 'S':
        note_status(way, m);
        return SG_FORWARD;
    case 'Z':
        return on_ready(s);
    case 'D':
        note_row(way, m);
        return SG_ABSORB;
    default:
        return way->stage == STAGE_ASKED && m->type != 'N' ? SG_ABSORB : SG_FORWARD;
    }
}

enum sg_verdict sg_way_pass(struct sg_session *s, const struct sg_message *m, enum sg_verdict verdict) {
    struct sg_way *way = s->way;
    bool is_held = way && verdict == SG_FORWARD && way->stage != STAGE_EXCHANGE && m->have == m->body_bytes &&
                   way->held.len < HELD_MAX_BYTES;
    if (!is_held) {
        return verdict;
    }
    put_message(&way->held, m);
    return SG_ABSORB;
}
