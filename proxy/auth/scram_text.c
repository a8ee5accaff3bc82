#include "scram_text.h"

#include "base64.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

bool sg_scram_nonce(char ret_nonce[SG_SCRAM_NONCE_TEXT]) {
    uint8_t bytes[SG_SCRAM_NONCE_BYTES];
    if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
        return false;
    }
    sg_base64_encode(bytes, sizeof(bytes), ret_nonce);
    return true;
}

bool sg_scram_attribute(struct sg_span *text, char name, struct sg_span *ret_value) {
    if (text->len < 2 || text->ptr[0] != name || text->ptr[1] != '=') {
        return false;
    }
    const char *value = text->ptr + 2;
    size_t left = text->len - 2;
    const char *comma = memchr(value, ',', left);
    size_t len = comma ? (size_t)(comma - value) : left;
    *ret_value = (struct sg_span){value, len};
    *text = comma ? (struct sg_span){comma + 1, left - len - 1} : (struct sg_span){value + len, 0};
    return true;
}

bool sg_scram_is_last(struct sg_span value, struct sg_span message) {
    return value.ptr + value.len == message.ptr + message.len;
}

bool sg_scram_extensions(struct sg_span text) {
    struct sg_span value;
    while (text.len > 0) {
        char name = text.ptr[0];
        bool is_letter = (name >= 'a' && name <= 'z') || (name >= 'A' && name <= 'Z');
        /* "m" is kept for extensions that must be understood. */
        if (!is_letter || name == 'm' || !sg_scram_attribute(&text, name, &value)) {
            return false;
        }
    }
    return true;
}

bool sg_scram_is_nonce(struct sg_span text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < 0x21 || text.ptr[i] > 0x7e || text.ptr[i] == ',') {
            return false;
        }
    }
    return text.len > 0;
}

bool sg_scram_malformed(struct sg_error *reterr, const char *why) {
    sg_error_set(reterr, SG_SQLSTATE_PROTOCOL_VIOLATION, "malformed SCRAM message");
    sg_error_detail(reterr, "%s", why);
    return false;
}

void sg_scram_put(struct sg_buf *out, struct sg_span text) {
    sg_buf_put(out, text.ptr, text.len);
}

void sg_scram_put_base64(struct sg_buf *out, const uint8_t *bytes, size_t len) {
    char text[SG_BASE64_SIZE(160)];
    sg_base64_encode(bytes, len, text);
    sg_scram_put(out, sg_span_of(text));
}

void sg_scram_put_binding(struct sg_buf *out, const char *header, const struct sg_scram_binding *binding) {
    uint8_t bytes[160]; /* a header of 80 at most, a binding of 64 */
    size_t len = strlen(header);
    memcpy(bytes, header, len);
    if (header[0] == 'p') {
        memcpy(bytes + len, binding->bytes, binding->len);
        len += binding->len;
    }
    sg_scram_put(out, SG_SPAN_LIT("c="));
    sg_scram_put_base64(out, bytes, len);
}

void sg_scram_wipe_buf(struct sg_buf *buf) {
    if (buf->data) {
        OPENSSL_cleanse(buf->data, buf->cap);
    }
    sg_buf_free(buf);
}
