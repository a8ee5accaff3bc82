/* The ways in which a client can be let in: what a line of the hba file names, and what auth_type comes down to. */
#ifndef SEGUE_AUTH_METHOD_H
#define SEGUE_AUTH_METHOD_H

#include <stdbool.h>

/* X(enum, word in the hba file) */
#define SG_AUTH_METHODS(X)            \
    X(REJECT, "reject")               \
    X(TRUST, "trust")                 \
    X(PASSTHROUGH, "passthrough")     \
    X(SCRAM_SHA_256, "scram-sha-256") \
    X(MD5, "md5")                     \
    X(PASSWORD, "password")           \
    X(CERT, "cert")                   \
    X(PEER, "peer")

enum sg_auth_method {
#define X(name, word) SG_AUTH_##name,
    SG_AUTH_METHODS(X)
#undef X
};

/* Static storage. */
const char *sg_auth_method_name(enum sg_auth_method method);
bool sg_auth_method_from_name(const char *name, enum sg_auth_method *ret_method);

#endif
