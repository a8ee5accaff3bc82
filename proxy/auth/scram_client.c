#include "base64.h"
#include "scram_text.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

static const char *header_of(const struct sg_scram_client *scram) {
    if (scram->is_bound) {
        return "p=tls-server-end-point,,";
    }
    return scram->is_channel ? "y,," : "n,,";
}

void sg_scram_client_first(struct sg_scram_client *scram, const char *nonce, struct sg_buf *out) {
    char bare[SG_SCRAM_NONCE_TEXT + 8];
    snprintf(scram->nonce, sizeof(scram->nonce), "%s", nonce);
    snprintf(bare, sizeof(bare), "n=,r=%s", scram->nonce); /* the server knows the name already */
    sg_scram_put(&scram->transcript, sg_span_of(bare));
    sg_scram_put(out, sg_span_of(header_of(scram)));
    sg_scram_put(out, sg_span_of(bare));
}

static bool read_salt(struct sg_scram_client *scram, struct sg_span text) {
    if (!sg_base64_decode(text, scram->salt, sizeof(scram->salt), &scram->salt_len) || scram->salt_len == 0) {
        return false;
    }
    memcpy(scram->salt_text, text.ptr, text.len);
    scram->salt_text[text.len] = '\0';
    return true;
}

bool sg_scram_client_challenge(struct sg_scram_client *scram, struct sg_span message, struct sg_error *reterr) {
    struct sg_span text = message, nonce, salt, iterations;
    size_t ours = strlen(scram->nonce);
    if (message.len > SG_SCRAM_MESSAGE_BYTES) {
        return sg_scram_malformed(reterr, "The server's first message is too long.");
    }
    if (!sg_scram_attribute(&text, 'r', &nonce) || !sg_scram_attribute(&text, 's', &salt) ||
        !sg_scram_attribute(&text, 'i', &iterations) || !sg_scram_is_last(iterations, message)) {
        return sg_scram_malformed(reterr, "The server's first message does not consist of r, s and i.");
    }
    if (!sg_scram_is_nonce(nonce) || nonce.len <= ours || memcmp(nonce.ptr, scram->nonce, ours) != 0) {
        return sg_scram_malformed(reterr, "The server's nonce does not go on from the client's.");
    }
    if (!read_salt(scram, salt)) {
        return sg_scram_malformed(reterr, "The server's salt cannot be read, or is too long.");
    }
    if (!sg_scram_iterations_read(iterations, &scram->iterations)) {
        return sg_scram_malformed(reterr, "The server's iteration count is not a number, or is out of all reason.");
    }
    sg_scram_put(&scram->server_nonce, nonce);
    sg_buf_put_u8(&scram->transcript, ',');
    sg_scram_put(&scram->transcript, message);
    return true;
}

bool sg_scram_client_final(struct sg_scram_client *scram, const struct sg_scram_keys *keys, struct sg_buf *out) {
    struct sg_buf said = {0};
    uint8_t cover[SG_SCRAM_KEY_BYTES], proof[SG_SCRAM_KEY_BYTES];
    sg_scram_put_binding(&said, header_of(scram), &scram->binding);
    sg_scram_put(&said, SG_SPAN_LIT(",r="));
    sg_buf_put(&said, scram->server_nonce.data, scram->server_nonce.len);
    sg_buf_put_u8(&scram->transcript, ',');
    sg_buf_put(&scram->transcript, said.data, said.len);
    bool good = sg_hmac(keys->stored, scram->transcript.data, scram->transcript.len, cover);
    for (size_t i = 0; i < sizeof(proof); i++) {
        proof[i] = keys->client[i] ^ cover[i];
    }
    sg_buf_put(out, said.data, said.len);
    sg_scram_put(out, SG_SPAN_LIT(",p="));
    sg_scram_put_base64(out, proof, sizeof(proof));
    memcpy(scram->server_key, keys->server, sizeof(scram->server_key));
    OPENSSL_cleanse(cover, sizeof(cover));
    sg_buf_free(&said);
    return good;
}

bool sg_scram_client_check(struct sg_scram_client *scram, struct sg_span message, struct sg_error *reterr) {
    struct sg_span text = message, value;
    uint8_t said[SG_SCRAM_KEY_BYTES], expected[SG_SCRAM_KEY_BYTES];
    size_t len;
    if (sg_scram_attribute(&text, 'e', &value)) {
        sg_error_set(reterr, SG_SQLSTATE_PROTOCOL_VIOLATION, "error received from server in SCRAM exchange: %.*s",
                     (int)(value.len < 200 ? value.len : 200), value.ptr);
        return false;
    }
    if (!sg_scram_attribute(&text, 'v', &value) || !sg_scram_is_last(value, message) ||
        !sg_base64_decode(value, said, sizeof(said), &len) || len != sizeof(said)) {
        return sg_scram_malformed(reterr, "The server's signature cannot be read.");
    }
    if (!sg_hmac(scram->server_key, scram->transcript.data, scram->transcript.len, expected) ||
        !sg_secret_same(said, expected, sizeof(expected))) {
        sg_error_set(reterr, SG_SQLSTATE_PROTOCOL_VIOLATION, "incorrect server signature");
        return false;
    }
    return true;
}

void sg_scram_client_wipe(struct sg_scram_client *scram) {
    sg_scram_wipe_buf(&scram->transcript);
    sg_scram_wipe_buf(&scram->server_nonce);
    OPENSSL_cleanse(scram, sizeof(*scram));
}
