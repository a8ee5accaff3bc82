#include "secret.h"

#include "base64.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stringprep.h>

static const char scram_prefix[] = "SCRAM-SHA-256$";
enum { PREFIX_BYTES = sizeof(scram_prefix) - 1 };

bool sg_secret_same(const void *a, const void *b, size_t len) {
    return CRYPTO_memcmp(a, b, len) == 0;
}

/* ---- Keys ---- */

bool sg_hmac(const uint8_t key[SG_SCRAM_KEY_BYTES], const void *bytes, size_t len, uint8_t ret[SG_SCRAM_KEY_BYTES]) {
    unsigned got = SG_SCRAM_KEY_BYTES;
    return HMAC(EVP_sha256(), key, SG_SCRAM_KEY_BYTES, bytes, len, ret, &got) != NULL;
}

bool sg_scram_stored(const uint8_t client[SG_SCRAM_KEY_BYTES], uint8_t ret_stored[SG_SCRAM_KEY_BYTES]) {
    return EVP_Digest(client, SG_SCRAM_KEY_BYTES, ret_stored, NULL, EVP_sha256(), NULL) == 1;
}

static bool is_ascii(const char *text) {
    for (; *text; text++) {
        if ((unsigned char)*text > 127) {
            return false;
        }
    }
    return true;
}

/* As PostgreSQL has it: a password that SASLprep does not accept, or that is not UTF-8, is used as it is. NULL: that
 * one. The caller wipes it. */
static char *prepare(const char *password) {
    char *prepared = NULL;
    if (is_ascii(password) ||
        stringprep_profile(password, &prepared, "SASLprep", STRINGPREP_NO_UNASSIGNED) != STRINGPREP_OK) {
        return NULL;
    }
    if (prepared[0] == '\0') {
        free(prepared);
        return NULL;
    }
    return prepared;
}

bool sg_scram_derive(const char *password, const uint8_t *salt, size_t salt_len, uint32_t iterations,
                     struct sg_scram_keys *ret_keys) {
    uint8_t salted[SG_SCRAM_KEY_BYTES];
    struct sg_scram_keys keys = {0};
    char *prepared = prepare(password);
    const char *used = prepared ? prepared : password;
    bool good = PKCS5_PBKDF2_HMAC(used, (int)strlen(used), salt, (int)salt_len, (int)iterations, EVP_sha256(),
                                  sizeof(salted), salted) == 1 &&
                sg_hmac(salted, "Client Key", 10, keys.client) && sg_scram_stored(keys.client, keys.stored) &&
                sg_hmac(salted, "Server Key", 10, keys.server);
    if (good) {
        *ret_keys = keys;
    }
    if (prepared) {
        OPENSSL_cleanse(prepared, strlen(prepared));
        free(prepared);
    }
    OPENSSL_cleanse(salted, sizeof(salted));
    OPENSSL_cleanse(&keys, sizeof(keys));
    return good;
}

/* ---- MD5 ---- */

static bool md5_text(const void *a, size_t a_len, const void *b, size_t b_len, char ret_text[SG_MD5_TEXT]) {
    uint8_t digest[16];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 && EVP_DigestUpdate(ctx, a, a_len) == 1 &&
                EVP_DigestUpdate(ctx, b, b_len) == 1 && EVP_DigestFinal_ex(ctx, digest, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    for (size_t i = 0; good && i < sizeof(digest); i++) {
        snprintf(ret_text + 3 + 2 * i, 3, "%02x", digest[i]);
    }
    memcpy(ret_text, "md5", 3);
    OPENSSL_cleanse(digest, sizeof(digest));
    return good;
}

bool sg_md5_secret(const char *password, const char *user, char ret_text[SG_MD5_TEXT]) {
    return md5_text(password, strlen(password), user, strlen(user), ret_text);
}

bool sg_md5_response(const char secret[SG_MD5_TEXT], const uint8_t salt[4], char ret_text[SG_MD5_TEXT]) {
    return md5_text(secret + 3, SG_MD5_TEXT - 4, salt, 4, ret_text);
}

/* ---- Texts ---- */

static bool take_until(struct sg_span *text, char end, struct sg_span *ret_part) {
    const char *at = memchr(text->ptr, end, text->len);
    if (!at) {
        return false;
    }
    *ret_part = (struct sg_span){text->ptr, (size_t)(at - text->ptr)};
    *text = (struct sg_span){at + 1, text->len - ret_part->len - 1};
    return true;
}

bool sg_scram_iterations_read(struct sg_span text, uint32_t *ret_iterations) {
    uint32_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || n > SG_SCRAM_ITERATIONS_MAX) {
            return false;
        }
        n = n * 10 + (uint32_t)(text.ptr[i] - '0');
    }
    if (n == 0 || n > SG_SCRAM_ITERATIONS_MAX) {
        return false;
    }
    *ret_iterations = n;
    return true;
}

static bool read_key(struct sg_span text, uint8_t ret_key[SG_SCRAM_KEY_BYTES]) {
    size_t len;
    return sg_base64_decode(text, ret_key, SG_SCRAM_KEY_BYTES, &len) && len == SG_SCRAM_KEY_BYTES;
}

static bool read_verifier(struct sg_span text, struct sg_scram_verifier *ret_verifier) {
    struct sg_span iterations, salt, stored;
    struct sg_scram_verifier v = {0};
    uint8_t bytes[SG_SCRAM_SALT_BYTES];
    size_t len;
    text = (struct sg_span){text.ptr + PREFIX_BYTES, text.len - PREFIX_BYTES};
    bool good = take_until(&text, ':', &iterations) && take_until(&text, '$', &salt) && take_until(&text, ':', &stored);
    good = good && sg_scram_iterations_read(iterations, &v.iterations) && read_key(stored, v.stored) &&
           read_key(text, v.server);
    good = good && sg_base64_decode(salt, bytes, sizeof(bytes), &len) && len > 0;
    if (good) {
        memcpy(v.salt, salt.ptr, salt.len);
        *ret_verifier = v;
    }
    OPENSSL_cleanse(&v, sizeof(v));
    return good;
}

static bool is_md5(struct sg_span text) {
    if (text.len != SG_MD5_TEXT - 1 || memcmp(text.ptr, "md5", 3) != 0) {
        return false;
    }
    for (size_t i = 3; i < text.len; i++) {
        if (!memchr("0123456789abcdef", text.ptr[i], 16)) {
            return false;
        }
    }
    return true;
}

bool sg_secret_read(struct sg_span text, struct sg_secret *ret_secret) {
    *ret_secret = (struct sg_secret){.kind = SG_SECRET_NONE};
    if (text.len == 0) {
        return true;
    }
    if (text.len >= PREFIX_BYTES && memcmp(text.ptr, scram_prefix, PREFIX_BYTES) == 0) {
        bool good = read_verifier(text, &ret_secret->scram);
        ret_secret->kind = good ? SG_SECRET_SCRAM : SG_SECRET_NONE;
        return good;
    }
    if (is_md5(text)) {
        ret_secret->kind = SG_SECRET_MD5;
        memcpy(ret_secret->md5, text.ptr, text.len);
    } else if (!(ret_secret->password = strndup(text.ptr, text.len))) {
        abort();
    } else {
        ret_secret->kind = SG_SECRET_PLAIN;
    }
    return true;
}

bool sg_secret_salt(struct sg_secret *secret, const char *salt) {
    uint8_t bytes[SG_SCRAM_SALT_BYTES];
    struct sg_scram_keys keys;
    size_t len;
    if (secret->kind != SG_SECRET_PLAIN) {
        return true;
    }
    if (!sg_base64_decode(sg_span_of(salt), bytes, sizeof(bytes), &len) ||
        !sg_scram_derive(secret->password, bytes, len, SG_SCRAM_ITERATIONS, &keys)) {
        return false;
    }
    secret->scram.iterations = SG_SCRAM_ITERATIONS;
    snprintf(secret->scram.salt, sizeof(secret->scram.salt), "%s", salt);
    memcpy(secret->scram.stored, keys.stored, sizeof(keys.stored));
    memcpy(secret->scram.server, keys.server, sizeof(keys.server));
    OPENSSL_cleanse(&keys, sizeof(keys));
    return true;
}

void sg_secret_copy(struct sg_secret *to, const struct sg_secret *from) {
    *to = *from;
    if (from->password && !(to->password = strdup(from->password))) {
        abort();
    }
}

void sg_secret_wipe(struct sg_secret *secret) {
    if (secret->password) {
        OPENSSL_cleanse(secret->password, strlen(secret->password));
        free(secret->password);
    }
    OPENSSL_cleanse(secret, sizeof(*secret));
}
