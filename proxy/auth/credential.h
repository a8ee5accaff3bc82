/*
 * credential — what segue may log in to the server with, in place of a client that has proved who it is: recovered from
 * that proof, or known from auth_file or auth_query. Owns what it points to.
 */
#ifndef SEGUE_AUTH_CREDENTIAL_H
#define SEGUE_AUTH_CREDENTIAL_H

#include "secret.h"

enum sg_credential_kind {
    SG_CREDENTIAL_NONE,
    SG_CREDENTIAL_PLAIN, /* whatever the server asks for */
    SG_CREDENTIAL_MD5,   /* for AuthenticationMD5Password */
    SG_CREDENTIAL_KEYS,  /* for SCRAM, where the server keeps the same secret: salt and iterations too */
};

struct sg_credential {
    enum sg_credential_kind kind;
    char *password;
    char md5[SG_MD5_TEXT];
    struct sg_scram_keys keys;
    uint32_t iterations;
    char salt[SG_SCRAM_SALT_TEXT];
};

/* As far as a secret is one to log in with: a verifier of SCRAM is not. */
void sg_credential_of_secret(const struct sg_secret *secret, struct sg_credential *ret_credential);
void sg_credential_of_password(struct sg_span password, struct sg_credential *ret_credential);
void sg_credential_of_keys(const struct sg_scram_keys *keys, const struct sg_scram_verifier *verifier,
                           struct sg_credential *ret_credential);
void sg_credential_wipe(struct sg_credential *credential);

#endif
