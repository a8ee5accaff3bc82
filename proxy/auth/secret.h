/*
 * secret — what is kept of a user's password, in the forms that PostgreSQL's pg_authid and PgBouncer's auth_file know,
 * and the keys of SCRAM-SHA-256 that come of one (RFC 5802, 3; RFC 7677).
 *
 *      password --SASLprep, PBKDF2(salt, iterations)--> SaltedPassword --> ClientKey --H--> StoredKey
 *                                                                     \--> ServerKey
 *
 * Who keeps StoredKey and ServerKey can check a client, and cannot log in as it. ClientKey lets one log in.
 *
 * Pure but for the allocations. A secret owns what it points to; wipe overwrites it and gives it back.
 */
#ifndef SEGUE_AUTH_SECRET_H
#define SEGUE_AUTH_SECRET_H

#include "segue/span.h"

#include <stdint.h>

#define SG_SCRAM_KEY_BYTES  32
#define SG_SCRAM_SALT_BYTES 96 /* the longest that is accepted; PostgreSQL's are of 16 */
#define SG_SCRAM_SALT_TEXT  129
#define SG_SCRAM_ITERATIONS 4096 /* of secrets made here, as PostgreSQL's default is */
#define SG_MD5_TEXT         36   /* "md5", 32 digits, NUL */

/* The iterations are the other side's choice. PostgreSQL's default is 4096, OWASP's advice of 2023 600,000. */
#define SG_SCRAM_ITERATIONS_MAX 1000000

struct sg_scram_keys {
    uint8_t client[SG_SCRAM_KEY_BYTES], stored[SG_SCRAM_KEY_BYTES], server[SG_SCRAM_KEY_BYTES];
};

/* What checks a client: SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey> */
struct sg_scram_verifier {
    uint32_t iterations;
    char salt[SG_SCRAM_SALT_TEXT]; /* base64 */
    uint8_t stored[SG_SCRAM_KEY_BYTES], server[SG_SCRAM_KEY_BYTES];
};

enum sg_secret_kind { SG_SECRET_NONE, SG_SECRET_PLAIN, SG_SECRET_MD5, SG_SECRET_SCRAM };

struct sg_secret {
    enum sg_secret_kind kind;
    char *password;                 /* PLAIN */
    char md5[SG_MD5_TEXT];          /* MD5 */
    struct sg_scram_verifier scram; /* SCRAM; PLAIN once sg_secret_salt was called */
};

/* What has no other form is a password; an empty text is none. False, and none: it begins as a secret of SCRAM and is
 * not one, and so is not a password either: whoever has seen it would get in with it. */
bool sg_secret_read(struct sg_span text, struct sg_secret *ret_secret);
/* Makes a verifier of a plain password with this salt (base64). Takes about a millisecond. Others stay. False: OpenSSL
 * does not do it. */
bool sg_secret_salt(struct sg_secret *secret, const char *salt);
void sg_secret_copy(struct sg_secret *to, const struct sg_secret *from);
void sg_secret_wipe(struct sg_secret *secret);

/* The slow step. False: OpenSSL does not do it. */
bool sg_scram_derive(const char *password, const uint8_t *salt, size_t salt_len, uint32_t iterations,
                     struct sg_scram_keys *ret_keys);
/* False: no number, none at all, or out of all reason. */
bool sg_scram_iterations_read(struct sg_span text, uint32_t *ret_iterations);
/* StoredKey of a ClientKey. */
bool sg_scram_stored(const uint8_t client[SG_SCRAM_KEY_BYTES], uint8_t ret_stored[SG_SCRAM_KEY_BYTES]);
bool sg_hmac(const uint8_t key[SG_SCRAM_KEY_BYTES], const void *bytes, size_t len, uint8_t ret[SG_SCRAM_KEY_BYTES]);

/* "md5" and the digits: of the password and the user's name, and then of that and the server's salt. */
bool sg_md5_secret(const char *password, const char *user, char ret_text[SG_MD5_TEXT]);
bool sg_md5_response(const char secret[SG_MD5_TEXT], const uint8_t salt[4], char ret_text[SG_MD5_TEXT]);

/* Takes as long whatever the two are, as far as their lengths are the same. */
bool sg_secret_same(const void *a, const void *b, size_t len);

#endif
