/*
 * exchange — a client proves to segue who it is: AuthenticationSASL, MD5Password or CleartextPassword, what it answers
 * to that, and the verdict ("SASL Authentication" and "Start-up" in PostgreSQL's protocol documentation).
 *
 *      begin --request--> ASKED --(SASL) first--> CHALLENGED --final: right--> PASSED
 *                           |                          \---------- wrong ----> FAILED
 *                           +--(md5, password) right--> PASSED
 *                           +--(password, the secret is SCRAM's)--> DERIVING --derived--> PASSED or FAILED
 *
 * Invariants:
 *  1. Whether a user exists, has a secret or has one of another kind shows in nothing but the log: the exchange goes on
 *     with a secret made up (is_doomed), the same at each try, and fails as a wrong password does.
 *  2. PASSED is reached only by comparing with the secret, in constant time; then credential is what to log in with.
 *
 * Pure but for randomness: bytes in, bytes out. One thread.
 */
#ifndef SEGUE_AUTH_EXCHANGE_H
#define SEGUE_AUTH_EXCHANGE_H

#include "credential.h"
#include "method.h"
#include "scram.h"

/* PG_MAX_AUTH_TOKEN_LENGTH: the longest answer. */
#define SG_EXCHANGE_MESSAGE_BYTES 65535

enum sg_exchange_state {
    SG_EXCHANGE_ASKED,
    SG_EXCHANGE_CHALLENGED,
    SG_EXCHANGE_DERIVING,
    SG_EXCHANGE_PASSED,
    SG_EXCHANGE_FAILED,
};

struct sg_exchange {
    enum sg_exchange_state state;
    enum sg_auth_method method; /* SCRAM_SHA_256, MD5 (without a SCRAM secret), PASSWORD */
    const char *user;           /* the owner's */
    struct sg_secret secret;
    struct sg_scram_server scram;
    bool has_mechanism;
    uint8_t md5_salt[4];
    char *password;  /* DERIVING: the client's */
    const char *why; /* FAILED: for the log */
    struct sg_credential credential;
};

/* secret: copied; NONE: there is no such user, or none that may log in. mock: made of the user's name and a key of
 * ours, so that each try meets the same. binding: of the channel, len 0: none. The request is appended to out. False:
 * there is no randomness. */
bool sg_exchange_begin(struct sg_exchange *x, enum sg_auth_method method, const char *user,
                       const struct sg_secret *secret, const struct sg_scram_verifier *mock,
                       const struct sg_scram_binding *binding, struct sg_buf *out);
/* A message of the client ('p' is what is due). Appends what is sent back. FAILED: *reterr is for the client. */
enum sg_exchange_state sg_exchange_message(struct sg_exchange *x, uint8_t type, struct sg_span body, struct sg_buf *out,
                                           struct sg_error *reterr);
/* DERIVING: the keys of x->password with the salt and iterations of x->secret. */
enum sg_exchange_state sg_exchange_derived(struct sg_exchange *x, const struct sg_scram_keys *keys,
                                           struct sg_error *reterr);
void sg_exchange_wipe(struct sg_exchange *x);

/* "password authentication failed for user ...", as PostgreSQL says it. */
void sg_exchange_refuse(const char *user, struct sg_error *reterr);

#endif
