/* The two exchanges of proxy/auth against each other: a client that logs in to segue, segue to a server. */
#include "proxy/auth/auth.h"
#include "proxy/auth/exchange.h"
#include "proxy/auth/server_login.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const struct sg_scram_binding no_binding;

static struct sg_secret secret_of(const char *text) {
    struct sg_secret secret;
    char salt[SG_SCRAM_SALT_TEXT];
    sg_secret_read(sg_span_of(text), &secret);
    sg_auth_salt("alice", salt);
    cr_assert(sg_secret_salt(&secret, salt));
    return secret;
}

/* What a server would keep of it. */
static struct sg_secret verifier_of(const char *password) {
    struct sg_secret secret = secret_of(password);
    struct sg_secret verifier = {.kind = SG_SECRET_SCRAM, .scram = secret.scram};
    sg_secret_wipe(&secret);
    return verifier;
}

static struct sg_exchange begin(enum sg_auth_method method, const struct sg_secret *secret, struct sg_buf *out) {
    struct sg_exchange x;
    struct sg_scram_verifier mock;
    sg_auth_mock("alice", &mock);
    cr_assert(sg_exchange_begin(&x, method, "alice", secret, &mock, &no_binding, out));
    return x;
}

/* The messages in a buffer, one by one: type and body. */
static bool next_message(struct sg_buf *buf, size_t *at, uint8_t *ret_type, struct sg_span *ret_body) {
    struct sg_frame frame;
    if (sg_frame_header(buf->data + *at, buf->len - *at, 100000, &frame) != SG_READ_OK) {
        return false;
    }
    *ret_type = frame.type;
    *ret_body = (struct sg_span){(char *)buf->data + *at + 5, frame.body_bytes};
    *at += 5 + frame.body_bytes;
    return true;
}

/* A login of ours against an exchange of ours; true: both are content. */
static bool meet(enum sg_auth_method method, const struct sg_secret *secret, const struct sg_credential *credential,
                 struct sg_credential *ret_recovered, struct sg_error *err) {
    struct sg_buf to_client = {0}, to_server = {0};
    size_t at = 0, back = 0;
    uint8_t type;
    struct sg_span body;
    struct sg_server_login login;
    struct sg_exchange x = begin(method, secret, &to_client);
    enum sg_exchange_state state = x.state;
    sg_server_login_begin(&login, "alice", credential, &no_binding, false);
    while (next_message(&to_client, &at, &type, &body) && login.state != SG_SERVER_LOGIN_FAILED) {
        cr_assert_eq(type, 'R');
        if (sg_server_login_message(&login, body, &to_server, err) == SG_SERVER_LOGIN_DERIVING) {
            struct sg_scram_keys keys;
            cr_assert(sg_scram_derive(credential->password, login.scram.salt, login.scram.salt_len,
                                      login.scram.iterations, &keys));
            sg_server_login_derived(&login, &keys, &to_server, err);
        }
        while (next_message(&to_server, &back, &type, &body)) {
            state = sg_exchange_message(&x, type, body, &to_client, err);
        }
        if (state == SG_EXCHANGE_DERIVING) {
            struct sg_scram_keys keys;
            memcpy(keys.server, secret->scram.server, sizeof(keys.server));
            state = sg_exchange_derived(&x, &keys, err);
        }
        if (state == SG_EXCHANGE_PASSED && at == to_client.len && login.state != SG_SERVER_LOGIN_DONE) {
            sg_msg_auth_ok(&to_client);
        }
    }
    bool is_in = state == SG_EXCHANGE_PASSED && login.state == SG_SERVER_LOGIN_DONE;
    if (is_in && ret_recovered) {
        *ret_recovered = x.credential;
        x.credential = (struct sg_credential){0};
    }
    sg_exchange_wipe(&x);
    sg_server_login_wipe(&login);
    sg_buf_free(&to_client);
    sg_buf_free(&to_server);
    return is_in;
}

static struct sg_credential plain(const char *password) {
    struct sg_credential credential;
    sg_credential_of_password(sg_span_of(password), &credential);
    return credential;
}

Test(exchange, every_method_with_every_secret) {
    static const struct {
        enum sg_auth_method method;
        const char *secret; /* NULL: a verifier */
        bool is_in;
    } cases[] = {
        {SG_AUTH_SCRAM_SHA_256, "geheim", true},
        {SG_AUTH_SCRAM_SHA_256, NULL, true},
        {SG_AUTH_SCRAM_SHA_256, "", false},
        {SG_AUTH_MD5, "geheim", true},
        {SG_AUTH_MD5, NULL, true},
        {SG_AUTH_MD5, "", false},
        {SG_AUTH_PASSWORD, "geheim", true},
        {SG_AUTH_PASSWORD, NULL, true},
        {SG_AUTH_PASSWORD, "", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct sg_secret secret = cases[i].secret ? secret_of(cases[i].secret) : verifier_of("geheim");
        struct sg_credential right = plain("geheim"), wrong = plain("geheim2");
        struct sg_error err = {0};
        cr_assert_eq(meet(cases[i].method, &secret, &right, NULL, &err), cases[i].is_in, "case %zu: %s", i,
                     err.message);
        if (cases[i].secret || cases[i].method != SG_AUTH_PASSWORD) { /* that one's derivation is feigned above */
            cr_assert_not(meet(cases[i].method, &secret, &wrong, NULL, &err), "case %zu", i);
            cr_assert_str_eq(err.message, "password authentication failed for user \"alice\"");
            cr_assert_str_eq(err.sqlstate, "28P01");
            cr_assert_str_eq(err.detail, "");
        }
        sg_secret_wipe(&secret);
        sg_credential_wipe(&right);
        sg_credential_wipe(&wrong);
    }
}

/* The point of it all: the keys that a client's proof gives away open the server, whose secret is the same. */
Test(exchange, recovered_keys_lead_to_a_server_with_the_same_secret_only) {
    struct sg_secret here = verifier_of("geheim");
    struct sg_credential right = plain("geheim"), recovered;
    struct sg_error err = {0};
    cr_assert(meet(SG_AUTH_SCRAM_SHA_256, &here, &right, &recovered, &err), "%s", err.message);
    cr_assert_eq(recovered.kind, SG_CREDENTIAL_KEYS);
    cr_assert(meet(SG_AUTH_SCRAM_SHA_256, &here, &recovered, NULL, &err), "%s", err.message);
    struct sg_secret there = here;
    snprintf(there.scram.salt, sizeof(there.scram.salt), "AAAAAAAAAAAAAAAAAAAAAA==");
    cr_assert_not(meet(SG_AUTH_SCRAM_SHA_256, &there, &recovered, NULL, &err));
    cr_assert(strstr(err.message, "not the one that segue has"), "%s", err.message);
    sg_credential_wipe(&right);
    sg_credential_wipe(&recovered);
}

Test(exchange, md5_secrets_do_for_md5_and_for_nothing_else) {
    char text[SG_MD5_TEXT];
    cr_assert(sg_md5_secret("geheim", "alice", text));
    struct sg_secret secret = secret_of(text);
    struct sg_credential right = plain("geheim"), recovered;
    struct sg_error err = {0};
    cr_assert(meet(SG_AUTH_MD5, &secret, &right, &recovered, &err), "%s", err.message);
    cr_assert_eq(recovered.kind, SG_CREDENTIAL_MD5);
    cr_assert(meet(SG_AUTH_MD5, &secret, &recovered, NULL, &err), "%s", err.message);
    cr_assert(meet(SG_AUTH_PASSWORD, &secret, &right, NULL, &err), "%s", err.message);
    cr_assert_not(meet(SG_AUTH_SCRAM_SHA_256, &secret, &right, NULL, &err));
    cr_assert_str_eq(err.sqlstate, "28P01"); /* as a wrong password */
    struct sg_secret other = verifier_of("geheim");
    cr_assert_not(meet(SG_AUTH_SCRAM_SHA_256, &other, &recovered, NULL, &err));
    cr_assert(strstr(err.message, "asks for SCRAM-SHA-256, and segue has a secret of MD5"), "%s", err.message);
    sg_credential_wipe(&right);
}

/* Invariant 1: an unknown user is asked just what a known one is, and the same each time. */
Test(exchange, an_unknown_user_looks_like_a_known_one) {
    static const struct sg_secret none;
    struct sg_secret known = secret_of("geheim");
    char salts[3][SG_SCRAM_SALT_TEXT];
    for (int i = 0; i < 3; i++) {
        struct sg_buf out = {0};
        struct sg_error err = {0};
        struct sg_exchange x = begin(SG_AUTH_SCRAM_SHA_256, i < 2 ? &none : &known, &out);
        static const char first[] = "SCRAM-SHA-256\0\0\0\0\x0bn,,n=,r=abc";
        out.len = 0;
        cr_assert_eq(sg_exchange_message(&x, 'p', (struct sg_span){first, sizeof(first) - 1}, &out, &err),
                     SG_EXCHANGE_CHALLENGED, "%s", err.message);
        const char *salt = memmem(out.data, out.len, ",s=", 3);
        cr_assert_not_null(salt);
        cr_assert_not_null(memmem(out.data, out.len, ",i=4096", 7));
        snprintf(salts[i], sizeof(salts[i]), "%.24s", salt + 3);
        sg_exchange_wipe(&x);
        sg_buf_free(&out);
    }
    cr_assert_str_eq(salts[0], salts[1]);
    cr_assert_str_eq(salts[0], salts[2]);
    sg_secret_wipe(&known);
}

Test(exchange, refuses_messages_that_are_none) {
    static const struct {
        enum sg_auth_method method;
        uint8_t type;
        const char *body;
        size_t len;
        const char *says;
    } cases[] = {
        {SG_AUTH_SCRAM_SHA_256, 'Q', "", 0, "expected SASL response, got message type 81"},
        {SG_AUTH_PASSWORD, 'X', "", 0, "expected password response, got message type 88"},
        {SG_AUTH_SCRAM_SHA_256, 'p', "", 0, "invalid SASLInitialResponse"},
        {SG_AUTH_SCRAM_SHA_256, 'p', "SCRAM-SHA-256", 13, "invalid SASLInitialResponse"},
        {SG_AUTH_SCRAM_SHA_256, 'p', "SCRAM-SHA-256\0\0\0\0", 17, "invalid SASLInitialResponse"},
        {SG_AUTH_SCRAM_SHA_256, 'p', "SCRAM-SHA-256\0\0\0\0\x05n,,", 21, "invalid SASLInitialResponse"},
        {SG_AUTH_SCRAM_SHA_256, 'p', "SCRAM-SHA-256\0\x7f\xff\xff\xff", 18, "invalid SASLInitialResponse"},
        {SG_AUTH_SCRAM_SHA_256, 'p', "SCRAM-SHA-256\0\xff\xff\xff\xffn", 19, "invalid SASLInitialResponse"},
        {SG_AUTH_SCRAM_SHA_256, 'p', "SCRAM-SHA-1\0\0\0\0\0", 16, "invalid SASL authentication mechanism"},
        {SG_AUTH_SCRAM_SHA_256, 'p', "SCRAM-SHA-256-PLUS\0\0\0\0\0", 23, "invalid SASL authentication mechanism"},
        {SG_AUTH_SCRAM_SHA_256, 'p', "SCRAM-SHA-256\0\0\0\0\0", 18, "malformed SCRAM message"},
        {SG_AUTH_PASSWORD, 'p', "", 0, "invalid password packet size"},
        {SG_AUTH_PASSWORD, 'p', "geheim", 6, "invalid password packet size"},
        {SG_AUTH_PASSWORD, 'p', "geheim\0x\0", 9, "invalid password packet size"},
        {SG_AUTH_PASSWORD, 'p', "\0", 1, "password authentication failed"},
        {SG_AUTH_MD5, 'p', "\0", 1, "password authentication failed"},
        {SG_AUTH_MD5, 'p', "md5\0", 4, "password authentication failed"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct sg_secret secret = secret_of("geheim");
        struct sg_buf out = {0};
        struct sg_error err = {0};
        struct sg_exchange x = begin(cases[i].method, &secret, &out);
        cr_assert_eq(sg_exchange_message(&x, cases[i].type, (struct sg_span){cases[i].body, cases[i].len}, &out, &err),
                     SG_EXCHANGE_FAILED, "case %zu", i);
        cr_assert(strstr(err.message, cases[i].says), "case %zu: %s", i, err.message);
        sg_exchange_wipe(&x);
        sg_secret_wipe(&secret);
        sg_buf_free(&out);
    }
}

/* SASLInitialResponse without data: an empty challenge asks for them. */
Test(exchange, a_client_may_name_its_mechanism_first) {
    struct sg_secret secret = secret_of("geheim");
    struct sg_buf out = {0};
    struct sg_error err = {0};
    struct sg_exchange x = begin(SG_AUTH_SCRAM_SHA_256, &secret, &out);
    out.len = 0;
    cr_assert_eq(sg_exchange_message(&x, 'p', SG_SPAN_LIT("SCRAM-SHA-256\0\xff\xff\xff\xff"), &out, &err),
                 SG_EXCHANGE_ASKED);
    cr_assert_eq(out.len, 9);
    cr_assert_eq(memcmp(out.data, "R\0\0\0\x08\0\0\0\x0b", 9), 0);
    cr_assert_eq(sg_exchange_message(&x, 'p', SG_SPAN_LIT("n,,n=,r=abc"), &out, &err), SG_EXCHANGE_CHALLENGED);
    sg_exchange_wipe(&x);
    sg_secret_wipe(&secret);
    sg_buf_free(&out);
}

/* The server is not trusted. */
Test(exchange, sec_a_server_out_of_order_is_refused) {
    static const struct {
        const char *messages;
        size_t len;
        const char *says;
    } cases[] = {
        /* SASL, and then at once: you are in */
        {"\0\0\0\x0aSCRAM-SHA-256\0\0|\0\0\0\0", 24, "without showing that it knows"},
        {"\0\0\0\x0aSCRAM-SHA-256\0\0|\0\0\0\x03", 24, "malformed or out of place"}, /* the password after all */
        {"\0\0\0\x0aSCRAM-SHA-256\0\0|\0\0\0\x0cv=AAAA", 30, "malformed or out of place"},
        {"\0\0\0\x0aSCRAM-SHA-256\0\0|\0\0\0\x0b", 24, "does not consist of r, s and i"},
        {"\0\0\0\x0aSCRAM-SHA-256\0", 18, "malformed or out of place"}, /* a list without end */
        {"\0\0\0\x0aSCRAM-SHA-1\0\0", 17, "no mechanism of SASL that segue knows"},
        {"\0\0\0\x0a\0", 5, "no mechanism of SASL that segue knows"},
        {"\0\0\0\x05\1\2\3", 7, "malformed or out of place"},
        {"\0\0\0\x07", 4, "a kind of authentication that segue does not do"},
        {"\x7f\xff\xff\xff", 4, "a kind of authentication that segue does not do"},
        {"\0\0", 2, "malformed or out of place"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct sg_credential credential = plain("geheim");
        struct sg_server_login login;
        struct sg_buf out = {0};
        struct sg_error err = {0};
        sg_server_login_begin(&login, "alice", &credential, &no_binding, false);
        const char *p = cases[i].messages, *end = p + cases[i].len;
        while (p <= end && login.state != SG_SERVER_LOGIN_FAILED) {
            const char *bar = memchr(p, '|', (size_t)(end - p));
            const char *stop = bar ? bar : end;
            sg_server_login_message(&login, (struct sg_span){p, (size_t)(stop - p)}, &out, &err);
            p = stop + 1;
        }
        cr_assert_eq(login.state, SG_SERVER_LOGIN_FAILED, "case %zu", i);
        cr_assert(strstr(err.message, cases[i].says), "case %zu: %s", i, err.message);
        sg_server_login_wipe(&login);
        sg_credential_wipe(&credential);
        sg_buf_free(&out);
    }
}

/* -PLUS where the server offers it and its certificate has something to bind to; otherwise the client says that it
 * could. */
Test(exchange, binds_to_the_servers_channel) {
    static const struct {
        const char *list;
        size_t len, binding;
        const char *begins;
    } cases[] = {
        {"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0", 38, 32, "p=tls-server-end-point,,"},
        {"\0\0\0\x0aSCRAM-SHA-256\0\0", 19, 32, "y,,"},
        {"\0\0\0\x0aSCRAM-SHA-256\0\0", 19, 0, "n,,"},
        {"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0", 38, 0, "n,,"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct sg_credential credential = plain("geheim");
        struct sg_scram_binding binding = {.len = cases[i].binding};
        struct sg_server_login login;
        struct sg_buf out = {0};
        struct sg_error err = {0};
        sg_server_login_begin(&login, "alice", &credential, &binding, true);
        sg_server_login_message(&login, (struct sg_span){cases[i].list, cases[i].len}, &out, &err);
        cr_assert_eq(login.state, SG_SERVER_LOGIN_CHALLENGED, "case %zu: %s", i, err.message);
        cr_assert_not_null(memmem(out.data, out.len, cases[i].begins, strlen(cases[i].begins)), "case %zu", i);
        sg_server_login_wipe(&login);
        sg_credential_wipe(&credential);
        sg_buf_free(&out);
    }
}
