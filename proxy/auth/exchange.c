#include "exchange.h"

#include "scram_text.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

enum { AUTH_CLEARTEXT = 3, AUTH_MD5 = 5, AUTH_SASL = 10, AUTH_SASL_CONTINUE = 11, AUTH_SASL_FINAL = 12 };

static void begin_request(struct sg_buf *out, uint32_t code) {
    sg_msg_begin(out, 'R');
    sg_buf_put_u32(out, code);
}

static void ask_sasl(struct sg_exchange *x, struct sg_buf *out) {
    begin_request(out, AUTH_SASL);
    if (x->scram.binding.len > 0) {
        sg_buf_put_cstr(out, SG_SCRAM_BOUND);
    }
    sg_buf_put_cstr(out, SG_SCRAM_PLAIN);
    sg_buf_put_u8(out, 0);
    sg_msg_end(out);
}

static bool ask_md5(struct sg_exchange *x, struct sg_buf *out) {
    if (RAND_bytes(x->md5_salt, sizeof(x->md5_salt)) != 1) {
        return false;
    }
    begin_request(out, AUTH_MD5);
    sg_buf_put(out, x->md5_salt, sizeof(x->md5_salt));
    sg_msg_end(out);
    return true;
}

/* What the client's answer will be held against. */
static void choose_verifier(struct sg_exchange *x, const struct sg_scram_verifier *mock) {
    bool has_one = x->secret.kind == SG_SECRET_SCRAM || x->secret.kind == SG_SECRET_PLAIN;
    x->scram.verifier = has_one ? x->secret.scram : *mock;
    x->scram.is_doomed = !has_one;
    if (x->secret.kind == SG_SECRET_NONE) {
        x->why = "no such user, or none with a password";
    } else if (!has_one) {
        x->why = "its secret is of MD5, which SCRAM cannot be done with";
    }
}

bool sg_exchange_begin(struct sg_exchange *x, enum sg_auth_method method, const char *user,
                       const struct sg_secret *secret, const struct sg_scram_verifier *mock,
                       const struct sg_scram_binding *binding, struct sg_buf *out) {
    *x = (struct sg_exchange){.state = SG_EXCHANGE_ASKED, .method = method, .user = user};
    sg_secret_copy(&x->secret, secret);
    x->scram.binding = *binding;
    /* As PostgreSQL does for a line of its hba file: md5 is for whoever has no secret of SCRAM. */
    if (method == SG_AUTH_MD5 && x->secret.kind == SG_SECRET_SCRAM) {
        x->method = SG_AUTH_SCRAM_SHA_256;
    }
    switch (x->method) {
    case SG_AUTH_MD5:
        return ask_md5(x, out);
    case SG_AUTH_PASSWORD:
        begin_request(out, AUTH_CLEARTEXT);
        sg_msg_end(out);
        return true;
    default:
        choose_verifier(x, mock);
        ask_sasl(x, out);
        return true;
    }
}

/* ---- Verdicts ---- */

void sg_exchange_refuse(const char *user, struct sg_error *reterr) {
    sg_error_set(reterr, SG_SQLSTATE_INVALID_PASSWORD, "password authentication failed for user \"%s\"", user);
}

static enum sg_exchange_state fail(struct sg_exchange *x, const char *why, struct sg_error *reterr) {
    x->why = x->why ? x->why : why;
    sg_exchange_refuse(x->user, reterr);
    return x->state = SG_EXCHANGE_FAILED;
}

static enum sg_exchange_state fail_protocol(struct sg_exchange *x, const char *message, struct sg_error *reterr) {
    x->why = "the client broke the protocol";
    if (message) {
        sg_error_set(reterr, SG_SQLSTATE_PROTOCOL_VIOLATION, "%s", message);
    }
    return x->state = SG_EXCHANGE_FAILED;
}

/* ---- SASL ---- */

static enum sg_exchange_state challenge(struct sg_exchange *x, struct sg_span message, struct sg_buf *out,
                                        struct sg_error *reterr) {
    char nonce[SG_SCRAM_NONCE_TEXT];
    struct sg_buf answer = {0};
    if (!sg_scram_nonce(nonce)) {
        return fail(x, "there is no randomness", reterr);
    }
    if (!sg_scram_server_first(&x->scram, message, nonce, &answer, reterr)) {
        sg_buf_free(&answer);
        return fail_protocol(x, NULL, reterr);
    }
    begin_request(out, AUTH_SASL_CONTINUE);
    sg_buf_put(out, answer.data, answer.len);
    sg_msg_end(out);
    sg_buf_free(&answer);
    return x->state = SG_EXCHANGE_CHALLENGED;
}

/* SASLInitialResponse: mechanism, length, data. Without data an empty challenge asks for them. */
static enum sg_exchange_state take_mechanism(struct sg_exchange *x, struct sg_span body, struct sg_buf *out,
                                             struct sg_error *reterr) {
    const char *stop = memchr(body.ptr, '\0', body.len);
    size_t name = stop ? (size_t)(stop - body.ptr) : body.len;
    if (!stop || body.len - name < 5) {
        return fail_protocol(x, "invalid SASLInitialResponse message", reterr);
    }
    x->scram.is_bound = strcmp(body.ptr, SG_SCRAM_BOUND) == 0;
    bool is_offered = x->scram.is_bound ? x->scram.binding.len > 0 : strcmp(body.ptr, SG_SCRAM_PLAIN) == 0;
    if (!is_offered) {
        return fail_protocol(x, "client selected an invalid SASL authentication mechanism", reterr);
    }
    const uint8_t *at = (const uint8_t *)stop + 1;
    uint32_t len = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    struct sg_span data = {(const char *)at + 4, body.len - name - 5};
    if (len == UINT32_MAX ? data.len != 0 : data.len != len) {
        return fail_protocol(x, "invalid SASLInitialResponse message", reterr);
    }
    x->has_mechanism = true;
    if (len == UINT32_MAX) {
        begin_request(out, AUTH_SASL_CONTINUE);
        sg_msg_end(out);
        return x->state;
    }
    return challenge(x, data, out, reterr);
}

static enum sg_exchange_state take_final(struct sg_exchange *x, struct sg_span body, struct sg_buf *out,
                                         struct sg_error *reterr) {
    struct sg_buf answer = {0};
    switch (sg_scram_server_final(&x->scram, body, &answer, reterr)) {
    case SG_SCRAM_PASSED:
        begin_request(out, AUTH_SASL_FINAL);
        sg_buf_put(out, answer.data, answer.len);
        sg_msg_end(out);
        sg_buf_free(&answer);
        if (x->secret.kind == SG_SECRET_PLAIN) {
            sg_credential_of_secret(&x->secret, &x->credential);
        } else {
            sg_credential_of_keys(&x->scram.keys, &x->scram.verifier, &x->credential);
        }
        return x->state = SG_EXCHANGE_PASSED;
    case SG_SCRAM_WRONG:
        return fail(x, "wrong password", reterr);
    case SG_SCRAM_MALFORMED:
        break;
    }
    return fail_protocol(x, NULL, reterr);
}

/* ---- Passwords ---- */

/* Of equal lengths or not: it takes as long. The secrets are of one length, but a plain password is of its own. */
static bool is_same_text(const char *a, const char *b) {
    uint8_t digest_a[SG_SCRAM_KEY_BYTES], digest_b[SG_SCRAM_KEY_BYTES], key[SG_SCRAM_KEY_BYTES] = {0};
    return sg_hmac(key, a, strlen(a), digest_a) && sg_hmac(key, b, strlen(b), digest_b) &&
           sg_secret_same(digest_a, digest_b, sizeof(digest_a));
}

static enum sg_exchange_state pass_with_secret(struct sg_exchange *x) {
    sg_credential_of_secret(&x->secret, &x->credential);
    return x->state = SG_EXCHANGE_PASSED;
}

static enum sg_exchange_state take_md5(struct sg_exchange *x, const char *answer, struct sg_error *reterr) {
    char secret[SG_MD5_TEXT] = {0}, expected[SG_MD5_TEXT] = {0};
    bool is_doomed = x->secret.kind != SG_SECRET_MD5 && x->secret.kind != SG_SECRET_PLAIN;
    bool good = x->secret.kind == SG_SECRET_MD5 || sg_md5_secret(is_doomed ? "" : x->secret.password, x->user, secret);
    if (x->secret.kind == SG_SECRET_MD5) {
        memcpy(secret, x->secret.md5, sizeof(secret));
    }
    good = good && sg_md5_response(secret, x->md5_salt, expected) && is_same_text(answer, expected);
    OPENSSL_cleanse(secret, sizeof(secret));
    OPENSSL_cleanse(expected, sizeof(expected));
    if (is_doomed) {
        return fail(x, "no such user, or none with a password", reterr);
    }
    return good ? pass_with_secret(x) : fail(x, "wrong password", reterr);
}

static enum sg_exchange_state take_password(struct sg_exchange *x, const char *password, struct sg_error *reterr) {
    char md5[SG_MD5_TEXT];
    bool is_right = false;
    switch (x->secret.kind) {
    case SG_SECRET_NONE:
        return fail(x, "no such user, or none with a password", reterr);
    case SG_SECRET_SCRAM:
        if (!(x->password = strdup(password))) {
            abort();
        }
        return x->state = SG_EXCHANGE_DERIVING;
    case SG_SECRET_PLAIN:
        is_right = is_same_text(password, x->secret.password);
        break;
    case SG_SECRET_MD5:
        is_right = sg_md5_secret(password, x->user, md5) && is_same_text(md5, x->secret.md5);
        OPENSSL_cleanse(md5, sizeof(md5));
        break;
    }
    if (!is_right) {
        return fail(x, "wrong password", reterr);
    }
    sg_credential_of_password(sg_span_of(password), &x->credential);
    return x->state = SG_EXCHANGE_PASSED;
}

enum sg_exchange_state sg_exchange_derived(struct sg_exchange *x, const struct sg_scram_keys *keys,
                                           struct sg_error *reterr) {
    if (!sg_secret_same(keys->server, x->secret.scram.server, SG_SCRAM_KEY_BYTES)) {
        return fail(x, "wrong password", reterr);
    }
    sg_credential_of_password(sg_span_of(x->password), &x->credential);
    return x->state = SG_EXCHANGE_PASSED;
}

/* PasswordMessage is one string, with its NUL and nothing behind it. */
static enum sg_exchange_state take_text(struct sg_exchange *x, struct sg_span body, struct sg_error *reterr) {
    if (body.len == 0 || memchr(body.ptr, '\0', body.len) != body.ptr + body.len - 1) {
        return fail_protocol(x, "invalid password packet size", reterr);
    }
    if (body.len == 1) {
        return fail(x, "an empty password", reterr);
    }
    return x->method == SG_AUTH_MD5 ? take_md5(x, body.ptr, reterr) : take_password(x, body.ptr, reterr);
}

enum sg_exchange_state sg_exchange_message(struct sg_exchange *x, uint8_t type, struct sg_span body, struct sg_buf *out,
                                           struct sg_error *reterr) {
    bool is_sasl = x->method != SG_AUTH_MD5 && x->method != SG_AUTH_PASSWORD;
    if (type != 'p') {
        x->why = "the client broke the protocol";
        sg_error_set(reterr, SG_SQLSTATE_PROTOCOL_VIOLATION, "expected %s response, got message type %d",
                     is_sasl ? "SASL" : "password", type);
        return x->state = SG_EXCHANGE_FAILED;
    }
    if (!is_sasl) {
        return take_text(x, body, reterr);
    }
    if (x->state == SG_EXCHANGE_CHALLENGED) {
        return take_final(x, body, out, reterr);
    }
    return x->has_mechanism ? challenge(x, body, out, reterr) : take_mechanism(x, body, out, reterr);
}

void sg_exchange_wipe(struct sg_exchange *x) {
    sg_secret_wipe(&x->secret);
    sg_scram_server_wipe(&x->scram);
    sg_credential_wipe(&x->credential);
    if (x->password) {
        OPENSSL_cleanse(x->password, strlen(x->password));
        free(x->password);
    }
    OPENSSL_cleanse(x, sizeof(*x));
}
