/*
 * server_login — segue logs in to the server in a client's place: answers to AuthenticationCleartextPassword,
 * MD5Password and SASL, as libpq would give them ("Start-up" in PostgreSQL's protocol documentation).
 *
 *      WAITING --SASL--> CHALLENGED --Continue--> (DERIVING --derived-->) PROVING --Final, checked--> PROVED --Ok-->
 * DONE
 *         \--MD5, Cleartext--> ANSWERED --Ok--> DONE
 *          \--Ok--> DONE
 *
 * Invariants:
 *  1. A server that has begun SCRAM must show that it knows the secret: Ok before its signature has been checked fails.
 *  2. One request a login, as libpq has it: a server cannot ask for SCRAM first and for the password then.
 *
 * The server is not trusted: lengths, nonce, salt and iterations are checked by scram.h. Pure but for randomness.
 */
#ifndef SEGUE_AUTH_SERVER_LOGIN_H
#define SEGUE_AUTH_SERVER_LOGIN_H

#include "credential.h"
#include "scram.h"

enum sg_server_login_state {
    SG_SERVER_LOGIN_WAITING,
    SG_SERVER_LOGIN_ANSWERED,
    SG_SERVER_LOGIN_CHALLENGED,
    SG_SERVER_LOGIN_DERIVING,
    SG_SERVER_LOGIN_PROVING,
    SG_SERVER_LOGIN_PROVED,
    SG_SERVER_LOGIN_DONE,
    SG_SERVER_LOGIN_FAILED,
};

struct sg_server_login {
    enum sg_server_login_state state;
    const char *user;                       /* the owner's */
    const struct sg_credential *credential; /* the owner's */
    struct sg_scram_client scram;
};

/* binding: of the channel to the server; is_encrypted without one: its certificate has none. */
void sg_server_login_begin(struct sg_server_login *login, const char *user, const struct sg_credential *credential,
                           const struct sg_scram_binding *binding, bool is_encrypted);
/* The body of an Authentication message. Appends what is sent to the server. DERIVING: make the keys of the
 * credential's password with login->scram's salt and iterations. FAILED: *reterr. */
enum sg_server_login_state sg_server_login_message(struct sg_server_login *login, struct sg_span body,
                                                   struct sg_buf *out, struct sg_error *reterr);
enum sg_server_login_state sg_server_login_derived(struct sg_server_login *login, const struct sg_scram_keys *keys,
                                                   struct sg_buf *out, struct sg_error *reterr);
void sg_server_login_wipe(struct sg_server_login *login);

#endif
