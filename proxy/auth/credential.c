#include "credential.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

void sg_credential_of_password(struct sg_span password, struct sg_credential *ret_credential) {
    *ret_credential = (struct sg_credential){.kind = SG_CREDENTIAL_PLAIN};
    if (!(ret_credential->password = strndup(password.ptr, password.len))) {
        abort();
    }
}

void sg_credential_of_keys(const struct sg_scram_keys *keys, const struct sg_scram_verifier *verifier,
                           struct sg_credential *ret_credential) {
    *ret_credential =
        (struct sg_credential){.kind = SG_CREDENTIAL_KEYS, .keys = *keys, .iterations = verifier->iterations};
    memcpy(ret_credential->salt, verifier->salt, sizeof(ret_credential->salt));
}

void sg_credential_of_secret(const struct sg_secret *secret, struct sg_credential *ret_credential) {
    if (secret->kind == SG_SECRET_PLAIN) {
        sg_credential_of_password(sg_span_of(secret->password), ret_credential);
        return;
    }
    *ret_credential = (struct sg_credential){.kind = SG_CREDENTIAL_NONE};
    if (secret->kind == SG_SECRET_MD5) {
        ret_credential->kind = SG_CREDENTIAL_MD5;
        memcpy(ret_credential->md5, secret->md5, sizeof(secret->md5));
    }
}

void sg_credential_wipe(struct sg_credential *credential) {
    if (credential->password) {
        OPENSSL_cleanse(credential->password, strlen(credential->password));
        free(credential->password);
    }
    OPENSSL_cleanse(credential, sizeof(*credential));
}
