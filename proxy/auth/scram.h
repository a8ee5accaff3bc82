/*
 * scram — the messages of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, both ends (RFC 5802, RFC 7677; channel binding
 * tls-server-end-point: RFC 5929). Secrets and nonces come from the caller, who sends what is built and reads what has
 * come.
 *
 *      client                                             server
 *      sg_scram_client_first  ---- n,,n=,r=... --------->  sg_scram_server_first
 *      sg_scram_client_challenge <-- r=...,s=...,i=... --
 *      sg_scram_client_final  ---- c=...,r=...,p=... --->  sg_scram_server_final: yields the ClientKey
 *      sg_scram_client_check  <--- v=... ---------------
 *
 * Whatever the other end sends is looked at byte by byte, and nothing of it is longer than SG_SCRAM_MESSAGE_BYTES.
 */
#ifndef SEGUE_AUTH_SCRAM_H
#define SEGUE_AUTH_SCRAM_H

#include "secret.h"
#include "segue/error.h"
#include "segue/protocol.h"

#define SG_SCRAM_PLAIN "SCRAM-SHA-256"
#define SG_SCRAM_BOUND "SCRAM-SHA-256-PLUS"

#define SG_SCRAM_MESSAGE_BYTES 1024 /* PG_MAX_SASL_MESSAGE_LENGTH */
#define SG_SCRAM_NONCE_BYTES   18
#define SG_SCRAM_NONCE_TEXT    25 /* base64, and a NUL */
#define SG_SCRAM_BINDING_BYTES 64

/* What the channel is bound to: the hash of the server's certificate. len 0: there is none. */
struct sg_scram_binding {
    uint8_t bytes[SG_SCRAM_BINDING_BYTES];
    size_t len;
};

/* Fresh, for either end. False: there is no randomness. */
bool sg_scram_nonce(char ret_nonce[SG_SCRAM_NONCE_TEXT]);

/* ---- The end that checks ---- */

struct sg_scram_server {
    struct sg_scram_verifier verifier;
    struct sg_scram_binding binding; /* of our channel; with one, -PLUS is on offer */
    bool is_bound;                   /* the client chose -PLUS */
    bool is_doomed;                  /* there is no such secret: the exchange goes on, and fails at the end */
    char header[80];                 /* the client's gs2-header */
    struct sg_buf transcript;        /* what is signed */
    struct sg_buf nonce;             /* both ends' */
    struct sg_scram_keys keys;       /* once it has passed */
};

/* Errors are of the client's making, in the words and SQLSTATEs of PostgreSQL. */
bool sg_scram_server_first(struct sg_scram_server *scram, struct sg_span message, const char *nonce, struct sg_buf *out,
                           struct sg_error *reterr);
enum sg_scram_verdict { SG_SCRAM_PASSED, SG_SCRAM_WRONG, SG_SCRAM_MALFORMED };
/* PASSED: out has the signature, keys the client's and ours. WRONG: the secret does not fit. MALFORMED: *reterr. */
enum sg_scram_verdict sg_scram_server_final(struct sg_scram_server *scram, struct sg_span message, struct sg_buf *out,
                                            struct sg_error *reterr);
void sg_scram_server_wipe(struct sg_scram_server *scram);

/* ---- The end that proves ---- */

struct sg_scram_client {
    struct sg_scram_binding binding;
    bool is_bound;   /* -PLUS was chosen */
    bool is_channel; /* the channel is encrypted, and the server does not offer -PLUS */
    char nonce[SG_SCRAM_NONCE_TEXT];
    struct sg_buf transcript;
    struct sg_buf server_nonce;
    char salt_text[SG_SCRAM_SALT_TEXT];
    uint8_t salt[SG_SCRAM_SALT_BYTES];
    size_t salt_len;
    uint32_t iterations;
    uint8_t server_key[SG_SCRAM_KEY_BYTES];
};

void sg_scram_client_first(struct sg_scram_client *scram, const char *nonce, struct sg_buf *out);
/* Fills salt and iterations: what the keys are to be made with. */
bool sg_scram_client_challenge(struct sg_scram_client *scram, struct sg_span message, struct sg_error *reterr);
bool sg_scram_client_final(struct sg_scram_client *scram, const struct sg_scram_keys *keys, struct sg_buf *out);
/* Does the server know the secret too? */
bool sg_scram_client_check(struct sg_scram_client *scram, struct sg_span message, struct sg_error *reterr);
void sg_scram_client_wipe(struct sg_scram_client *scram);

#endif
