#include "session_auth.h"

#include "databases.h"
#include "pause.h"
#include "proxy/auth/base64.h"
#include "proxy/auth/derivation.h"
#include "proxy/log.h"
#include "session_dial.h"
#include "session_hba.h"
#include "session_tls.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NEWEST_PROTOCOL (3u << 16 | 2u)

static void passed(struct sg_session *s);

static void write_client(struct sg_session *s, const struct sg_buf *bytes) {
    uv_buf_t buf = uv_buf_init((char *)bytes->data, (unsigned)bytes->len);
    if (bytes->len > 0) {
        sg_outq_write(&s->to_client, &buf, 1);
    }
}

static void write_server(struct sg_session *s, const struct sg_buf *bytes) {
    uv_buf_t buf = uv_buf_init((char *)bytes->data, (unsigned)bytes->len);
    if (bytes->len > 0) {
        sg_outq_write(&s->to_server, &buf, 1);
    }
}

/* ---- Refusals ---- */

void sg_session_auth_refuse(struct sg_session *s, const struct sg_error *err, const char *why) {
    static struct sg_log_limit limit = SG_LOG_LIMIT(10);
    sg_log_limited(&limit, SG_LOG_INFO, "login of \"%s\" to \"%s\" refused: %s (%s)", s->login->user,
                   s->login->database, err->message, why ? why : "-");
    sg_count(&s->worker->counters.refused_logins, 1);
    sg_session_fatal(s, err);
}

static void refuse_trouble(struct sg_session *s, const char *why) {
    struct sg_error err = {0};
    sg_error_set(&err, SG_SQLSTATE_CANNOT_CONNECT_NOW, "segue cannot check passwords at the moment");
    sg_session_auth_refuse(s, &err, why);
}

/* ---- Beginning ---- */

static char *copy_span(struct sg_span span) {
    char *copied = strndup(span.len ? span.ptr : "", span.len);
    if (!copied) {
        abort();
    }
    return copied;
}

/* As the server reads a boolean: the beginning of a word will do. */
static bool is_true(struct sg_span value) {
    static const struct {
        const char *word;
        size_t least;
    } words[] = {{"true", 1}, {"yes", 1}, {"on", 2}, {"1", 1}};
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (value.len >= words[i].least && value.len <= strlen(words[i].word) &&
            strncasecmp(value.ptr, words[i].word, value.len) == 0) {
            return true;
        }
    }
    return false;
}

void sg_session_auth_open(struct sg_session *s, const struct sg_startup *startup) {
    const struct sg_auth *auth = s->worker->config->auth;
    if (!auth || (auth->method == SG_AUTH_PASSTHROUGH && !auth->hba)) {
        return;
    }
    struct sg_login *login = calloc(1, sizeof(*login));
    if (!login) {
        abort();
    }
    login->session = s;
    login->auth = sg_auth_ref(auth);
    login->user = copy_span(sg_startup_user(startup));
    login->database = copy_span(sg_startup_database(startup));
    login->is_replication = is_true(sg_startup_param(startup, "replication"));
    s->login = login;
}

void sg_session_auth_start(struct sg_session *s, struct sg_buf first) {
    if (!s->login) {
        sg_session_dial(s, first);
        return;
    }
    s->login->first = first;
    s->state = SG_SESSION_AUTH;
    if (!s->login->user[0]) {
        struct sg_error err = {0};
        sg_error_set(&err, SG_SQLSTATE_INVALID_AUTHORIZATION, "no PostgreSQL user name specified in startup packet");
        sg_session_auth_refuse(s, &err, NULL);
        return;
    }
    if (s->login->auth->hba) {
        sg_session_hba_start(s);
    } else {
        sg_session_auth_as(s, s->login->auth->method);
    }
}

/* ---- The version of the protocol ---- */

/* Who authenticates speaks for the server, which has not been asked yet: up to 3.2, whose cancel keys may be as short
 * as those of 3.0, and no options. The packet for the server then says the same. */
static void negotiate(struct sg_session *s) {
    struct sg_login *login = s->login;
    struct sg_startup startup;
    struct sg_span name, value;
    uint32_t unknown_len = 0;
    size_t cursor = 0;
    struct sg_buf packet = {0}, answer = {0};
    if (sg_startup_read(login->first.data, login->first.len, &startup) != SG_READ_OK) {
        abort(); /* it was read before, or made here */
    }
    struct sg_span *unknown = calloc(startup.params.len / strlen("_pq_.") + 1, sizeof(*unknown));
    if (!unknown) {
        abort();
    }
    uint32_t asked = (uint32_t)startup.major << 16 | startup.minor;
    sg_msg_begin(&packet, 0);
    sg_buf_put_u32(&packet, asked < NEWEST_PROTOCOL ? asked : NEWEST_PROTOCOL);
    while (sg_startup_param_next(&startup, &cursor, &name, &value)) {
        if (name.len < 5 || memcmp(name.ptr, "_pq_.", 5) != 0) {
            sg_buf_put_span_cstr(&packet, name);
            sg_buf_put_span_cstr(&packet, value);
        } else {
            unknown[unknown_len++] = name;
        }
    }
    sg_buf_put_u8(&packet, 0);
    sg_msg_end(&packet);
    if (asked > NEWEST_PROTOCOL || unknown_len > 0) {
        sg_msg_negotiate_version(&answer, asked < NEWEST_PROTOCOL ? asked : NEWEST_PROTOCOL, unknown, unknown_len);
        write_client(s, &answer);
    }
    free(unknown);
    sg_buf_free(&answer);
    sg_buf_free(&login->first);
    login->first = packet;
}

/* ---- Secrets ---- */

static struct sg_scram_binding binding_of(const struct sg_tls *tls, bool own) {
    struct sg_scram_binding binding = {0};
    if (tls) {
        uint8_t hash[SG_TLS_BINDING_MAX];
        binding.len = sg_tls_end_point(tls, own, hash);
        memcpy(binding.bytes, hash, binding.len);
    }
    return binding;
}

static void begin_exchange(struct sg_session *s, enum sg_auth_method method, const struct sg_secret *secret) {
    struct sg_login *login = s->login;
    struct sg_scram_verifier mock;
    struct sg_scram_binding binding = binding_of(s->tls.stream, true);
    struct sg_buf out = {0};
    sg_auth_mock(login->user, &mock);
    login->is_exchanging = true;
    if (!sg_exchange_begin(&login->exchange, method, login->user, secret, &mock, &binding, &out)) {
        refuse_trouble(s, "there is no randomness");
    } else {
        write_client(s, &out);
        sg_buf_reserve(&s->rest, 1024); /* so that it need not grow, and leave a copy, for what comes now */
        sg_session_read_client(s, true);
        sg_session_auth_take(s, NULL, 0);
    }
    sg_buf_free(&out);
}

static void use_secret(struct sg_session *s, enum sg_auth_method method, const struct sg_secret *secret) {
    if (method == SG_AUTH_TRUST) {
        sg_credential_of_secret(secret, &s->login->credential);
        passed(s);
    } else {
        begin_exchange(s, method, secret);
    }
}

static void on_lookup(void *arg, struct sg_lookup_result *result) {
    static struct sg_log_limit limit = SG_LOG_LIMIT(1);
    static const struct sg_secret none = {.kind = SG_SECRET_NONE};
    struct sg_login *login = arg;
    login->lookup = NULL;
    enum sg_auth_method method = login->method;
    switch (result->status) {
    case SG_LOOKUP_FOUND:
        use_secret(login->session, method, &result->secret);
        return;
    case SG_LOOKUP_NOBODY:
        login->why = result->why;
        use_secret(login->session, method, &none);
        return;
    case SG_LOOKUP_TROUBLE:
        sg_log_limited(&limit, SG_LOG_ERROR, "%s: %s", result->error.message, result->error.detail);
        if (method == SG_AUTH_TRUST) {
            use_secret(login->session, method, &none);
        } else {
            refuse_trouble(login->session, "auth_query");
        }
        return;
    }
}

static void find_secret(struct sg_session *s, enum sg_auth_method method) {
    static const struct sg_secret none = {.kind = SG_SECRET_NONE};
    struct sg_login *login = s->login;
    const struct sg_secret *secret = sg_auth_secret(login->auth, login->user);
    if (!secret && sg_auth_can_query(login->auth, login->user)) {
        const char *database = s->is_console ? s->worker->config->control_database : login->database;
        login->method = method;
        sg_session_read_client(s, false); /* what it sends early stays in the kernel */
        login->lookup = sg_lookup_start(s->worker->shared->lookups, &s->worker->loop, login->auth, SG_LOOKUP_SECRET,
                                        login->user, database, on_lookup, login);
        return;
    }
    use_secret(s, method, secret ? secret : &none);
}

/* ---- Methods ---- */

static void check_certificate(struct sg_session *s) {
    struct sg_error err = {0};
    char name[SG_NAME_BYTES * 4];
    const char *why = NULL;
    if (!s->tls.stream) {
        why = "the connection is not encrypted";
    } else if (!sg_tls_peer_name(s->tls.stream, name, sizeof(name))) {
        why = "there is no valid certificate";
    } else if (strcmp(name, s->login->user) != 0) {
        why = "the certificate is of another name";
    }
    if (!why) {
        find_secret(s, SG_AUTH_TRUST);
        return;
    }
    sg_error_set(&err, SG_SQLSTATE_INVALID_AUTHORIZATION, "certificate authentication failed for user \"%s\"",
                 s->login->user);
    sg_session_auth_refuse(s, &err, why);
}

void sg_session_auth_as(struct sg_session *s, enum sg_auth_method method) {
    struct sg_login *login = s->login;
    struct sg_error err = {0};
    if (method == SG_AUTH_PASSTHROUGH) {
        struct sg_buf first = login->first;
        login->first = (struct sg_buf){0};
        sg_session_auth_end(s);
        sg_session_dial(s, first);
        return;
    }
    if (method == SG_AUTH_REJECT || method == SG_AUTH_PEER) {
        sg_error_set(&err, SG_SQLSTATE_INVALID_AUTHORIZATION, "connection rejected for user \"%s\", database \"%s\"",
                     login->user, login->database);
        sg_session_auth_refuse(s, &err, sg_auth_method_name(method));
        return;
    }
    negotiate(s);
    if (method == SG_AUTH_CERT) {
        check_certificate(s);
    } else {
        find_secret(s, method);
    }
}

static void passed(struct sg_session *s) {
    struct sg_login *login = s->login;
    if (login->is_exchanging) {
        login->credential = login->exchange.credential; /* moved */
        login->exchange.credential = (struct sg_credential){.kind = SG_CREDENTIAL_NONE};
        sg_exchange_wipe(&login->exchange);
        login->is_exchanging = false;
    }
    if (s->is_console) {
        sg_session_auth_end(s);
        sg_startup_to_console(s);
        return;
    }
    if (sg_pause_holds_login(s)) {
        sg_session_read_client(s, true); /* so that its going away is noticed */
        return;
    }
    struct sg_buf first = login->first;
    login->first = (struct sg_buf){0};
    sg_session_dial(s, first);
}

void sg_session_auth_go_on(struct sg_session *s) {
    passed(s);
}

/* ---- The client's messages ---- */

static void on_derived_password(void *arg, const struct sg_scram_keys *keys);

static void follow(struct sg_session *s, enum sg_exchange_state state, const struct sg_error *err) {
    struct sg_login *login = s->login;
    const struct sg_scram_verifier *verifier = &login->exchange.secret.scram;
    uint8_t salt[SG_SCRAM_SALT_BYTES];
    size_t salt_len = 0;
    switch (state) {
    case SG_EXCHANGE_ASKED:
    case SG_EXCHANGE_CHALLENGED:
        sg_session_read_client(s, true);
        return;
    case SG_EXCHANGE_DERIVING:
        sg_base64_decode(sg_span_of(verifier->salt), salt, sizeof(salt), &salt_len);
        sg_session_read_client(s, false);
        login->derivation = sg_derivation_start(&s->worker->loop, login->exchange.password, salt, salt_len,
                                                verifier->iterations, on_derived_password, login);
        return;
    case SG_EXCHANGE_PASSED:
        passed(s);
        return;
    case SG_EXCHANGE_FAILED:
        sg_session_auth_refuse(s, err, login->why ? login->why : login->exchange.why);
        return;
    }
}

static void on_derived_password(void *arg, const struct sg_scram_keys *keys) {
    struct sg_login *login = arg;
    struct sg_error err = {0};
    login->derivation = NULL;
    if (keys) {
        follow(login->session, sg_exchange_derived(&login->exchange, keys, &err), &err);
    } else {
        refuse_trouble(login->session, "OpenSSL cannot do SCRAM-SHA-256");
    }
}

/* Takes the front of rest, and overwrites it. */
static void drop_front(struct sg_session *s, size_t len) {
    size_t left = s->rest.len - len;
    memmove(s->rest.data, s->rest.data + len, left);
    OPENSSL_cleanse(s->rest.data + left, len);
    s->rest.len = left;
    if (left == 0) {
        sg_buf_free(&s->rest);
    }
}

static void refuse_length(struct sg_session *s) {
    struct sg_error err = {0};
    sg_error_set(&err, SG_SQLSTATE_PROTOCOL_VIOLATION, "invalid message length");
    sg_session_auth_refuse(s, &err, "the client broke the protocol");
}

/* One message; the answer may be the last. */
static void read_message(struct sg_session *s) {
    struct sg_login *login = s->login;
    struct sg_frame frame;
    struct sg_error err = {0};
    struct sg_buf out = {0};
    enum sg_read read = sg_frame_header(s->rest.data, s->rest.len, SG_EXCHANGE_MESSAGE_BYTES, &frame);
    bool is_other = s->rest.len > 0 && s->rest.data[0] != 'p'; /* whatever its length is */
    if (read == SG_READ_BAD && !is_other) {
        refuse_length(s);
        return;
    }
    size_t whole = SG_FRAME_HEADER_BYTES + (size_t)(read == SG_READ_OK ? frame.body_bytes : 0);
    if (!is_other && (read == SG_READ_MORE || s->rest.len < whole)) {
        return;
    }
    uint8_t type = s->rest.data[0];
    struct sg_span body = {(const char *)s->rest.data + SG_FRAME_HEADER_BYTES,
                           is_other ? 0 : whole - SG_FRAME_HEADER_BYTES};
    enum sg_exchange_state state = sg_exchange_message(&login->exchange, type, body, &out, &err);
    drop_front(s, is_other ? s->rest.len : whole);
    write_client(s, &out);
    sg_buf_free(&out);
    follow(s, state, &err);
}

void sg_session_auth_take(struct sg_session *s, const uint8_t *bytes, size_t len) {
    if (len > 0) {
        sg_buf_put(&s->rest, bytes, len);
        OPENSSL_cleanse((uint8_t *)bytes, len); /* of the worker's buffer */
    }
    bool goes_on = true;
    while (goes_on && s->state == SG_SESSION_AUTH && s->login->is_exchanging && !s->login->derivation) {
        size_t before = s->rest.len;
        if (before > 0) {
            read_message(s);
        }
        goes_on = s->state == SG_SESSION_AUTH && s->rest.len < before && s->rest.len > 0;
    }
}

/* ---- The server's messages ---- */

/* The entry of [databases] may name somebody else to log in as. His secret is the entry's, or that of auth_file. */
static const char *choose_user(struct sg_session *s) {
    struct sg_login *login = s->login;
    const char *user = s->database->user, *password = s->database->password;
    const struct sg_secret *secret = user ? sg_auth_secret(login->auth, user) : NULL;
    if (user || password) {
        sg_credential_wipe(&login->credential);
    }
    if (password) {
        sg_credential_of_password(sg_span_of(password), &login->credential);
    } else if (secret) {
        sg_credential_of_secret(secret, &login->credential);
    }
    return user ? user : login->user;
}

bool sg_session_auth_relay(struct sg_session *s) {
    struct sg_login *login = s->login;
    if (!login) {
        return false;
    }
    struct sg_scram_binding binding = binding_of(s->server_tls, false);
    if (login->derivation) { /* of an earlier try, at another host */
        sg_derivation_abandon(login->derivation);
        login->derivation = NULL;
    }
    sg_server_login_wipe(&login->server);
    sg_server_login_begin(&login->server, choose_user(s), &login->credential, &binding, s->server_tls != NULL);
    /* What the client says now is for a session that is not there yet: until the first ReadyForQuery. */
    s->is_stalled = true;
    s->stalled_until = 0;
    return true;
}

void sg_session_auth_failed(struct sg_session *s) {
    sg_session_auth_refuse(s, &s->login->error, s->login->error.hint);
}

static void on_derived_keys(void *arg, const struct sg_scram_keys *keys) {
    struct sg_login *login = arg;
    struct sg_session *s = login->session;
    struct sg_buf out = {0};
    login->derivation = NULL;
    if (s->state != SG_SESSION_RELAY) {
        return; /* the server has gone meanwhile, and the client is being told */
    }
    if (!keys) {
        refuse_trouble(s, "OpenSSL cannot do SCRAM-SHA-256");
    } else if (sg_server_login_derived(&login->server, keys, &out, &login->error) == SG_SERVER_LOGIN_FAILED) {
        sg_session_auth_refuse(s, &login->error, login->error.hint);
    } else {
        write_server(s, &out);
    }
    sg_buf_free(&out);
}

enum sg_verdict sg_session_auth_answer(struct sg_session *s, const struct sg_message *m) {
    struct sg_login *login = s->login;
    struct sg_scram_client *scram = &login->server.scram;
    struct sg_buf out = {0};
    struct sg_span body = {(const char *)m->body, m->have == m->body_bytes ? m->have : 0};
    enum sg_server_login_state state = sg_server_login_message(&login->server, body, &out, &login->error);
    write_server(s, &out);
    if (out.data) {
        OPENSSL_cleanse(out.data, out.cap);
    }
    sg_buf_free(&out);
    switch (state) {
    case SG_SERVER_LOGIN_DONE:
        if (!s->way) { /* otherwise it may have to be done again, at another server */
            sg_session_auth_end(s);
        }
        return SG_FORWARD;
    case SG_SERVER_LOGIN_FAILED:
        return SG_STOP;
    case SG_SERVER_LOGIN_DERIVING:
        login->derivation = sg_derivation_start(&s->worker->loop, login->credential.password, scram->salt,
                                                scram->salt_len, scram->iterations, on_derived_keys, login);
        return SG_ABSORB;
    default:
        return SG_ABSORB;
    }
}

void sg_session_auth_note_error(struct sg_session *s, const struct sg_message *m) {
    static struct sg_log_limit limit = SG_LOG_LIMIT(1);
    struct sg_span code = sg_error_field(m->body, m->have, 'C'), text = sg_error_field(m->body, m->have, 'M');
    if (code.len == 5 && memcmp(code.ptr, "28", 2) == 0) {
        sg_log_limited(&limit, SG_LOG_WARN,
                       "the server does not let \"%s\" in, whom segue has authenticated: %.*s (is auth_file stale?)",
                       s->login->user, (int)(text.len < 300 ? text.len : 300), text.ptr ? text.ptr : "");
    }
}

/* ---- The end ---- */

void sg_session_auth_end(struct sg_session *s) {
    struct sg_login *login = s->login;
    if (!login) {
        return;
    }
    s->login = NULL;
    if (login->is_exchanging && s->rest.data) {
        OPENSSL_cleanse(s->rest.data, s->rest.cap); /* part of a password, perhaps */
    }
    sg_session_hba_end(login);
    if (login->lookup) {
        sg_lookup_abandon(login->lookup);
    }
    if (login->derivation) {
        sg_derivation_abandon(login->derivation);
    }
    sg_exchange_wipe(&login->exchange);
    sg_credential_wipe(&login->credential);
    sg_server_login_wipe(&login->server);
    sg_auth_unref(login->auth);
    sg_buf_free(&login->first);
    free(login->user);
    free(login->database);
    free(login);
}
