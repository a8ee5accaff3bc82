#include "server_login.h"

#include "scram_text.h"

#include <openssl/crypto.h>
#include <string.h>

enum {
    AUTH_OK = 0,
    AUTH_CLEARTEXT = 3,
    AUTH_MD5 = 5,
    AUTH_SASL = 10,
    AUTH_SASL_CONTINUE = 11,
    AUTH_SASL_FINAL = 12,
};

void sg_server_login_begin(struct sg_server_login *login, const char *user, const struct sg_credential *credential,
                           const struct sg_scram_binding *binding, bool is_encrypted) {
    *login = (struct sg_server_login){.state = SG_SERVER_LOGIN_WAITING, .user = user, .credential = credential};
    login->scram.binding = *binding;
    login->scram.is_channel = is_encrypted && binding->len > 0;
}

/* The client has shown who it is; that segue cannot do the same is the operator's to mend. */
static enum sg_server_login_state fail(struct sg_server_login *login, const char *why, const char *hint,
                                       struct sg_error *reterr) {
    sg_error_set(reterr, SG_SQLSTATE_CANNOT_CONNECT, "segue cannot log in to the server as user \"%s\": %s",
                 login->user, why);
    if (hint) {
        sg_error_hint(reterr, "%s", hint);
    }
    return login->state = SG_SERVER_LOGIN_FAILED;
}

static enum sg_server_login_state fail_for_want(struct sg_server_login *login, const char *asked,
                                                struct sg_error *reterr) {
    static const char *const has[] = {
        [SG_CREDENTIAL_NONE] = "no secret of the user's",
        [SG_CREDENTIAL_PLAIN] = "the password",
        [SG_CREDENTIAL_MD5] = "a secret of MD5",
        [SG_CREDENTIAL_KEYS] = "keys of SCRAM-SHA-256",
    };
    char why[200];
    snprintf(why, sizeof(why), "it asks for %s, and segue has %s", asked, has[login->credential->kind]);
    return fail(login, why, "docs/authentication.md says which secrets lead to the server.", reterr);
}

static enum sg_server_login_state broken(struct sg_server_login *login, struct sg_error *reterr) {
    return fail(login, "its authentication message is malformed or out of place", NULL, reterr);
}

/* ---- Passwords ---- */

static void put_text(struct sg_buf *out, const char *text) {
    sg_msg_begin(out, 'p');
    sg_buf_put_cstr(out, text);
    sg_msg_end(out);
}

static enum sg_server_login_state on_cleartext(struct sg_server_login *login, struct sg_buf *out,
                                               struct sg_error *reterr) {
    if (login->credential->kind != SG_CREDENTIAL_PLAIN) {
        return fail_for_want(login, "the password itself", reterr);
    }
    put_text(out, login->credential->password);
    return login->state = SG_SERVER_LOGIN_ANSWERED;
}

static enum sg_server_login_state on_md5(struct sg_server_login *login, struct sg_span body, struct sg_buf *out,
                                         struct sg_error *reterr) {
    char secret[SG_MD5_TEXT] = {0}, answer[SG_MD5_TEXT] = {0};
    const struct sg_credential *credential = login->credential;
    if (body.len != 4) {
        return broken(login, reterr);
    }
    if (credential->kind != SG_CREDENTIAL_PLAIN && credential->kind != SG_CREDENTIAL_MD5) {
        return fail_for_want(login, "an answer of MD5", reterr);
    }
    memcpy(secret, credential->md5, sizeof(secret));
    bool good = (credential->kind == SG_CREDENTIAL_MD5 || sg_md5_secret(credential->password, login->user, secret)) &&
                sg_md5_response(secret, (const uint8_t *)body.ptr, answer);
    if (good) {
        put_text(out, answer);
        login->state = SG_SERVER_LOGIN_ANSWERED;
    }
    OPENSSL_cleanse(secret, sizeof(secret));
    OPENSSL_cleanse(answer, sizeof(answer));
    return good ? login->state : fail(login, "OpenSSL does not do MD5", NULL, reterr);
}

/* ---- SASL ---- */

static bool read_mechanisms(struct sg_span list, bool *ret_plain, bool *ret_bound) {
    *ret_plain = *ret_bound = false;
    while (list.len > 0 && list.ptr[0] != '\0') {
        const char *stop = memchr(list.ptr, '\0', list.len);
        if (!stop) {
            return false;
        }
        *ret_plain |= strcmp(list.ptr, SG_SCRAM_PLAIN) == 0;
        *ret_bound |= strcmp(list.ptr, SG_SCRAM_BOUND) == 0;
        list = (struct sg_span){stop + 1, list.len - (size_t)(stop - list.ptr) - 1};
    }
    return list.len == 1;
}

static enum sg_server_login_state on_sasl(struct sg_server_login *login, struct sg_span list, struct sg_buf *out,
                                          struct sg_error *reterr) {
    bool has_plain, has_bound;
    char nonce[SG_SCRAM_NONCE_TEXT];
    enum sg_credential_kind kind = login->credential->kind;
    if (!read_mechanisms(list, &has_plain, &has_bound)) {
        return broken(login, reterr);
    }
    login->scram.is_bound = has_bound && login->scram.binding.len > 0;
    if (!has_plain && !login->scram.is_bound) {
        return fail(login, "it offers no mechanism of SASL that segue knows", NULL, reterr);
    }
    if (kind != SG_CREDENTIAL_PLAIN && kind != SG_CREDENTIAL_KEYS) {
        return fail_for_want(login, "SCRAM-SHA-256", reterr);
    }
    if (!sg_scram_nonce(nonce)) {
        return fail(login, "there is no randomness", NULL, reterr);
    }
    struct sg_buf first = {0};
    sg_scram_client_first(&login->scram, nonce, &first);
    sg_msg_begin(out, 'p');
    sg_buf_put_cstr(out, login->scram.is_bound ? SG_SCRAM_BOUND : SG_SCRAM_PLAIN);
    sg_buf_put_u32(out, (uint32_t)first.len);
    sg_buf_put(out, first.data, first.len);
    sg_msg_end(out);
    sg_buf_free(&first);
    return login->state = SG_SERVER_LOGIN_CHALLENGED;
}

static enum sg_server_login_state prove(struct sg_server_login *login, const struct sg_scram_keys *keys,
                                        struct sg_buf *out, struct sg_error *reterr) {
    sg_msg_begin(out, 'p');
    bool good = sg_scram_client_final(&login->scram, keys, out);
    sg_msg_end(out);
    return good ? (login->state = SG_SERVER_LOGIN_PROVING) : fail(login, "OpenSSL does not do it", NULL, reterr);
}

static enum sg_server_login_state on_challenge(struct sg_server_login *login, struct sg_span message,
                                               struct sg_buf *out, struct sg_error *reterr) {
    struct sg_error why = {0};
    const struct sg_credential *credential = login->credential;
    const struct sg_scram_client *scram = &login->scram;
    if (!sg_scram_client_challenge(&login->scram, message, &why)) {
        return fail(login, why.detail, NULL, reterr);
    }
    if (credential->kind == SG_CREDENTIAL_PLAIN) {
        return login->state = SG_SERVER_LOGIN_DERIVING;
    }
    /* The keys fit only the very secret they come of. */
    if (scram->iterations != credential->iterations || strcmp(scram->salt_text, credential->salt) != 0) {
        return fail(login, "its secret of the user is not the one that segue has",
                    "Copy it from the server's pg_authid to auth_file again, or use auth_query.", reterr);
    }
    return prove(login, &credential->keys, out, reterr);
}

enum sg_server_login_state sg_server_login_derived(struct sg_server_login *login, const struct sg_scram_keys *keys,
                                                   struct sg_buf *out, struct sg_error *reterr) {
    return prove(login, keys, out, reterr);
}

static enum sg_server_login_state on_final(struct sg_server_login *login, struct sg_span message,
                                           struct sg_error *reterr) {
    struct sg_error why = {0};
    if (sg_scram_client_check(&login->scram, message, &why)) {
        return login->state = SG_SERVER_LOGIN_PROVED;
    }
    return fail(login, why.message, NULL, reterr);
}

static enum sg_server_login_state on_ok(struct sg_server_login *login, struct sg_error *reterr) {
    switch (login->state) {
    case SG_SERVER_LOGIN_WAITING:
    case SG_SERVER_LOGIN_ANSWERED:
    case SG_SERVER_LOGIN_PROVED:
        return login->state = SG_SERVER_LOGIN_DONE;
    default:
        return fail(login, "it let segue in without showing that it knows the password", NULL, reterr);
    }
}

enum sg_server_login_state sg_server_login_message(struct sg_server_login *login, struct sg_span body,
                                                   struct sg_buf *out, struct sg_error *reterr) {
    int32_t code;
    if (body.len < 4 || sg_auth_read((const uint8_t *)body.ptr, body.len, &code) != SG_READ_OK) {
        return broken(login, reterr);
    }
    struct sg_span rest = {body.ptr + 4, body.len - 4};
    bool is_first = login->state == SG_SERVER_LOGIN_WAITING;
    if (code == AUTH_OK) {
        return on_ok(login, reterr);
    } else if (code == AUTH_CLEARTEXT && is_first) {
        return on_cleartext(login, out, reterr);
    } else if (code == AUTH_MD5 && is_first) {
        return on_md5(login, rest, out, reterr);
    } else if (code == AUTH_SASL && is_first) {
        return on_sasl(login, rest, out, reterr);
    } else if (code == AUTH_SASL_CONTINUE && login->state == SG_SERVER_LOGIN_CHALLENGED) {
        return on_challenge(login, rest, out, reterr);
    } else if (code == AUTH_SASL_FINAL && login->state == SG_SERVER_LOGIN_PROVING) {
        return on_final(login, rest, reterr);
    }
    bool is_known = code <= AUTH_SASL_FINAL && !(code >= 6 && code <= 9) && code != 2 && code != 4 && code > 0;
    return is_known ? broken(login, reterr)
                    : fail(login, "it asks for a kind of authentication that segue does not do", NULL, reterr);
}

void sg_server_login_wipe(struct sg_server_login *login) {
    sg_scram_client_wipe(&login->scram);
    OPENSSL_cleanse(login, sizeof(*login));
}
