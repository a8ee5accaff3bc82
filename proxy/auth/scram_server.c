#include "base64.h"
#include "scram_text.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

static bool violation(struct sg_error *reterr, const char *message, const char *detail) {
    sg_error_set(reterr, SG_SQLSTATE_PROTOCOL_VIOLATION, "%s", message);
    if (detail) {
        sg_error_detail(reterr, "%s", detail);
    }
    return false;
}

/* ---- client-first-message ---- */

/* The flag, up to its comma. */
static bool read_flag(struct sg_scram_server *scram, struct sg_span *text, struct sg_error *reterr) {
    static const char bound[] = "p=tls-server-end-point";
    size_t len = 1;
    switch (text->len > 0 ? text->ptr[0] : 0) {
    case 'n':
    case 'y':
        if (scram->is_bound) {
            return sg_scram_malformed(
                reterr,
                "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data.");
        }
        if (text->ptr[0] == 'y' && scram->binding.len > 0) {
            sg_error_set(reterr, SG_SQLSTATE_INVALID_AUTHORIZATION, "SCRAM channel binding negotiation error");
            sg_error_detail(reterr,
                            "The client supports SCRAM channel binding but thinks the server does not. However, this "
                            "server does support channel binding.");
            return false;
        }
        break;
    case 'p':
        if (!scram->is_bound) {
            return sg_scram_malformed(
                reterr,
                "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel "
                "binding data.");
        }
        len = strlen(bound);
        if (text->len < len || memcmp(text->ptr, bound, len) != 0) {
            return violation(reterr, "unsupported SCRAM channel-binding type", NULL);
        }
        break;
    default:
        return sg_scram_malformed(reterr, "Unexpected channel-binding flag.");
    }
    if (text->len <= len || text->ptr[len] != ',') {
        return sg_scram_malformed(reterr, "Comma expected behind the channel-binding flag.");
    }
    *text = (struct sg_span){text->ptr + len + 1, text->len - len - 1};
    return true;
}

static bool read_header(struct sg_scram_server *scram, struct sg_span *text, struct sg_error *reterr) {
    const char *begin = text->ptr;
    if (!read_flag(scram, text, reterr)) {
        return false;
    }
    if (text->len > 0 && text->ptr[0] == 'a') {
        sg_error_set(reterr, SG_SQLSTATE_FEATURE_NOT_SUPPORTED,
                     "client uses authorization identity, but it is not supported");
        return false;
    }
    if (text->len == 0 || text->ptr[0] != ',') {
        return sg_scram_malformed(reterr, "Unexpected attribute in client-first-message.");
    }
    *text = (struct sg_span){text->ptr + 1, text->len - 1};
    snprintf(scram->header, sizeof(scram->header), "%.*s", (int)(text->ptr - begin), begin);
    return true;
}

static bool read_first(struct sg_span text, struct sg_span *ret_nonce, struct sg_error *reterr) {
    struct sg_span user;
    if (text.len > 0 && text.ptr[0] == 'm') {
        sg_error_set(reterr, SG_SQLSTATE_FEATURE_NOT_SUPPORTED, "client requires an unsupported SCRAM extension");
        return false;
    }
    /* The name was in the start-up packet; this one is ignored, as PostgreSQL does. */
    if (!sg_scram_attribute(&text, 'n', &user) || !sg_scram_attribute(&text, 'r', ret_nonce)) {
        return sg_scram_malformed(reterr, "Expected attributes n and r in client-first-message.");
    }
    if (!sg_scram_is_nonce(*ret_nonce)) {
        return violation(reterr, "non-printable characters in SCRAM nonce", NULL);
    }
    return sg_scram_extensions(text) || sg_scram_malformed(reterr, "Malformed extension in client-first-message.");
}

static bool is_sane(struct sg_span message, struct sg_error *reterr) {
    if (message.len == 0) {
        return sg_scram_malformed(reterr, "The message is empty.");
    }
    if (message.len > SG_SCRAM_MESSAGE_BYTES || memchr(message.ptr, '\0', message.len)) {
        return sg_scram_malformed(reterr, "Message length does not match input length.");
    }
    return true;
}

bool sg_scram_server_first(struct sg_scram_server *scram, struct sg_span message, const char *nonce, struct sg_buf *out,
                           struct sg_error *reterr) {
    struct sg_span bare = message, client_nonce;
    if (!is_sane(message, reterr) || !read_header(scram, &bare, reterr) || !read_first(bare, &client_nonce, reterr)) {
        return false;
    }
    char tail[SG_SCRAM_SALT_TEXT + 32];
    sg_scram_put(&scram->nonce, client_nonce);
    sg_scram_put(&scram->nonce, sg_span_of(nonce));
    snprintf(tail, sizeof(tail), ",s=%s,i=%u", scram->verifier.salt, scram->verifier.iterations);
    struct sg_buf answer = {0};
    sg_scram_put(&answer, SG_SPAN_LIT("r="));
    sg_buf_put(&answer, scram->nonce.data, scram->nonce.len);
    sg_scram_put(&answer, sg_span_of(tail));
    sg_scram_put(&scram->transcript, bare);
    sg_buf_put_u8(&scram->transcript, ',');
    sg_buf_put(&scram->transcript, answer.data, answer.len);
    sg_buf_put_u8(&scram->transcript, ',');
    sg_buf_put(out, answer.data, answer.len);
    sg_buf_free(&answer);
    return true;
}

/* ---- client-final-message ---- */

/* text: from the beginning. ret_proof: the proof; ret_signed: what stands before it. */
static bool read_final(const struct sg_scram_server *scram, struct sg_span text, uint8_t ret_proof[SG_SCRAM_KEY_BYTES],
                       struct sg_span *ret_signed, struct sg_error *reterr) {
    struct sg_span whole = text, binding, nonce, proof;
    if (!sg_scram_attribute(&text, 'c', &binding)) {
        return sg_scram_malformed(reterr, "Expected attribute c in client-final-message.");
    }
    struct sg_buf expected = {0};
    sg_scram_put_binding(&expected, scram->header, &scram->binding);
    bool is_same = expected.len == binding.len + 2 && sg_secret_same(expected.data + 2, binding.ptr, binding.len);
    sg_buf_free(&expected);
    if (!is_same) {
        sg_error_set(reterr, SG_SQLSTATE_INVALID_AUTHORIZATION,
                     scram->is_bound ? "SCRAM channel binding check failed"
                                     : "unexpected SCRAM channel-binding attribute in client-final-message");
        return false;
    }
    if (!sg_scram_attribute(&text, 'r', &nonce)) {
        return sg_scram_malformed(reterr, "Expected attribute r in client-final-message.");
    }
    if (nonce.len != scram->nonce.len || !sg_secret_same(nonce.ptr, scram->nonce.data, nonce.len)) {
        return violation(reterr, "invalid SCRAM response", "Nonce does not match.");
    }
    while (text.len > 0 && text.ptr[0] != 'p') {
        struct sg_span value;
        if (text.ptr[0] == 'm' || !sg_scram_attribute(&text, text.ptr[0], &value)) {
            return sg_scram_malformed(reterr, "Malformed extension in client-final-message.");
        }
    }
    *ret_signed = (struct sg_span){whole.ptr, (size_t)(text.ptr - whole.ptr)};
    size_t len;
    if (!sg_scram_attribute(&text, 'p', &proof) || !sg_scram_is_last(proof, whole) ||
        !sg_base64_decode(proof, ret_proof, SG_SCRAM_KEY_BYTES, &len) || len != SG_SCRAM_KEY_BYTES) {
        return sg_scram_malformed(reterr, "Malformed proof in client-final-message.");
    }
    ret_signed->len -= 1; /* the comma before it */
    return true;
}

/* The proof is ClientKey, covered with a signature that only who has StoredKey can make. */
static bool uncover(struct sg_scram_server *scram, const uint8_t proof[SG_SCRAM_KEY_BYTES],
                    uint8_t ret_signature[SG_SCRAM_KEY_BYTES]) {
    const struct sg_buf *said = &scram->transcript;
    uint8_t cover[SG_SCRAM_KEY_BYTES];
    bool good = sg_hmac(scram->verifier.stored, said->data, said->len, cover) &&
                sg_hmac(scram->verifier.server, said->data, said->len, ret_signature);
    for (size_t i = 0; i < sizeof(cover); i++) {
        scram->keys.client[i] = proof[i] ^ cover[i];
    }
    return good && sg_scram_stored(scram->keys.client, scram->keys.stored) &&
           sg_secret_same(scram->keys.stored, scram->verifier.stored, SG_SCRAM_KEY_BYTES);
}

enum sg_scram_verdict sg_scram_server_final(struct sg_scram_server *scram, struct sg_span message, struct sg_buf *out,
                                            struct sg_error *reterr) {
    uint8_t proof[SG_SCRAM_KEY_BYTES], signature[SG_SCRAM_KEY_BYTES];
    struct sg_span said;
    if (!is_sane(message, reterr) || !read_final(scram, message, proof, &said, reterr)) {
        return SG_SCRAM_MALFORMED;
    }
    sg_scram_put(&scram->transcript, said);
    bool is_right = uncover(scram, proof, signature);
    if (!is_right || scram->is_doomed) {
        OPENSSL_cleanse(&scram->keys, sizeof(scram->keys));
        return SG_SCRAM_WRONG;
    }
    memcpy(scram->keys.server, scram->verifier.server, SG_SCRAM_KEY_BYTES);
    sg_scram_put(out, SG_SPAN_LIT("v="));
    sg_scram_put_base64(out, signature, sizeof(signature));
    return SG_SCRAM_PASSED;
}

void sg_scram_server_wipe(struct sg_scram_server *scram) {
    sg_scram_wipe_buf(&scram->transcript);
    sg_scram_wipe_buf(&scram->nonce);
    OPENSSL_cleanse(scram, sizeof(*scram));
}
