/*
 * What a client may send to segue, and a server to segue's login, before either is trusted.
 *
 * Input: a byte that chooses the end and the method, then the messages, each behind a length of two bytes. In a message
 * the byte 1 stands for the nonce of the exchange, so that what comes after it can be reached.
 *
 * Properties: nobody gets in who cannot know the secret; what is sent back is whole messages, and bounded; a failure
 * has one of the four codes and a text; what is derived has salt and iterations within their limits.
 */
#include "check.h"
#include "proxy/auth/auth.h"
#include "proxy/auth/base64.h"
#include "proxy/auth/exchange.h"
#include "proxy/auth/server_login.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ANSWER_MAX_BYTES 2048

static void check_messages(const struct sg_buf *buf, uint8_t type) {
    size_t at = 0;
    while (at < buf->len) {
        struct sg_frame frame;
        CHECK(sg_frame_header(buf->data + at, buf->len - at, ANSWER_MAX_BYTES, &frame) == SG_READ_OK);
        CHECK(frame.type == type);
        at += SG_FRAME_HEADER_BYTES + frame.body_bytes;
    }
    CHECK(at == buf->len);
}

static void check_error(const struct sg_error *err, const char *codes) {
    CHECK(err->message[0] && strlen(err->sqlstate) == 5 && strstr(codes, err->sqlstate));
}

/* The nonce that was sent last: of ours, or of both. */
static struct sg_span nonce_in(const struct sg_buf *sent) {
    const char *r = sent->len > 0 ? memmem(sent->data, sent->len, "r=", 2) : NULL;
    if (!r) {
        return (struct sg_span){"", 0};
    }
    const char *end = (const char *)sent->data + sent->len, *stop = memchr(r, ',', (size_t)(end - r));
    return (struct sg_span){r + 2, (size_t)((stop ? stop : end) - r) - 2};
}

/* The next message, with the nonce put in, in memory of its own size. */
static bool next(const uint8_t **data, size_t *size, const struct sg_buf *sent, struct sg_span *ret_message) {
    if (*size < 2) {
        return false;
    }
    size_t len = (size_t)((*data)[0] << 8 | (*data)[1]);
    *data += 2;
    *size -= 2;
    len = len < *size ? len : *size;
    struct sg_span nonce = nonce_in(sent);
    struct sg_buf built = {0};
    for (size_t i = 0; i < len; i++) {
        if ((*data)[i] == 1) {
            sg_buf_put(&built, nonce.ptr, nonce.len);
        } else {
            sg_buf_put_u8(&built, (*data)[i]);
        }
    }
    *data += len;
    *size -= len;
    char *exact = malloc(built.len ? built.len : 1);
    CHECK(exact);
    if (built.len > 0) {
        memcpy(exact, built.data, built.len);
    }
    *ret_message = (struct sg_span){exact, built.len};
    sg_buf_free(&built);
    return true;
}

static void play_client(enum sg_auth_method method, bool is_plain, bool has_binding, const uint8_t *data, size_t size) {
    struct sg_secret secret;
    struct sg_scram_verifier mock;
    struct sg_scram_binding binding = {.len = has_binding ? 32 : 0};
    struct sg_exchange x;
    struct sg_buf out = {0};
    struct sg_error err = {0};
    struct sg_span message;
    sg_auth_mock("fuzz", &mock); /* of a random key: what is made of it is a secret */
    sg_secret_read(sg_span_of(is_plain ? mock.salt : ""), &secret);
    if (!is_plain) {
        secret = (struct sg_secret){.kind = SG_SECRET_SCRAM, .scram = mock};
    } else {
        secret.scram = mock;
    }
    CHECK(sg_exchange_begin(&x, method, "fuzz", &secret, &mock, &binding, &out));
    check_messages(&out, 'R');
    enum sg_exchange_state state = x.state;
    while (state != SG_EXCHANGE_FAILED && state != SG_EXCHANGE_DERIVING && next(&data, &size, &out, &message)) {
        out.len = 0;
        state = sg_exchange_message(&x, 'p', message, &out, &err);
        check_messages(&out, 'R');
        CHECK(state != SG_EXCHANGE_PASSED);
        free((char *)message.ptr);
    }
    if (state == SG_EXCHANGE_FAILED) {
        check_error(&err, "28P01 28000 08P01 0A000");
    }
    CHECK(state != SG_EXCHANGE_DERIVING || (x.password && x.password[0]));
    sg_exchange_wipe(&x);
    sg_secret_wipe(&secret);
    sg_buf_free(&out);
}

/* Keys that the input cannot know; but the salt and iterations of the credential are its own choice. */
static void play_server(bool is_plain, bool is_encrypted, const uint8_t *data, size_t size) {
    struct sg_scram_verifier mock;
    struct sg_credential credential;
    struct sg_scram_binding binding = {.len = is_encrypted ? 32 : 0};
    struct sg_scram_keys keys = {0};
    struct sg_server_login login;
    struct sg_buf out = {0};
    struct sg_error err = {0};
    struct sg_span message;
    sg_auth_mock("fuzz", &mock);
    memcpy(keys.client, mock.stored, sizeof(keys.client));
    memcpy(keys.stored, mock.stored, sizeof(keys.stored));
    memcpy(keys.server, mock.server, sizeof(keys.server));
    memcpy(mock.salt, "AAAA", 5);
    if (is_plain) {
        sg_credential_of_password(sg_span_of("secret"), &credential);
    } else {
        sg_credential_of_keys(&keys, &mock, &credential);
    }
    sg_server_login_begin(&login, "fuzz", &credential, &binding, is_encrypted);
    enum sg_server_login_state state = login.state;
    bool has_begun = false;
    while (state != SG_SERVER_LOGIN_FAILED && state != SG_SERVER_LOGIN_DONE && next(&data, &size, &out, &message)) {
        out.len = 0;
        state = sg_server_login_message(&login, message, &out, &err);
        if (state == SG_SERVER_LOGIN_DERIVING) {
            CHECK(login.scram.iterations >= 1 && login.scram.iterations <= SG_SCRAM_ITERATIONS_MAX);
            CHECK(login.scram.salt_len >= 1 && login.scram.salt_len <= SG_SCRAM_SALT_BYTES);
            state = sg_server_login_derived(&login, &keys, &out, &err);
        }
        check_messages(&out, 'p');
        has_begun |= state == SG_SERVER_LOGIN_CHALLENGED;
        CHECK(state != SG_SERVER_LOGIN_PROVED && !(state == SG_SERVER_LOGIN_DONE && has_begun));
        free((char *)message.ptr);
    }
    if (state == SG_SERVER_LOGIN_FAILED) {
        check_error(&err, "08001");
    }
    sg_server_login_wipe(&login);
    sg_credential_wipe(&credential);
    sg_buf_free(&out);
}

/* Any text is a secret of some kind; what base64 it accepts it can write. */
static void read_text(const uint8_t *data, size_t size) {
    struct sg_secret secret;
    struct sg_span text = {(const char *)data, size};
    uint8_t bytes[64];
    size_t len;
    bool good = sg_secret_read(text, &secret);
    CHECK((secret.kind == SG_SECRET_NONE) == (size == 0 || !good));
    if (secret.kind == SG_SECRET_SCRAM) {
        CHECK(secret.scram.iterations >= 1 && secret.scram.iterations <= SG_SCRAM_ITERATIONS_MAX);
        CHECK(memchr(secret.scram.salt, '\0', sizeof(secret.scram.salt)) && secret.scram.salt[0]);
    }
    sg_secret_wipe(&secret);
    if (sg_base64_decode(text, bytes, sizeof(bytes), &len)) {
        char back[SG_BASE64_SIZE(sizeof(bytes))];
        uint8_t again[sizeof(bytes)];
        size_t again_len;
        sg_base64_encode(bytes, len, back);
        CHECK(strlen(back) == size);
        CHECK(sg_base64_decode(sg_span_of(back), again, sizeof(again), &again_len));
        CHECK(again_len == len && memcmp(bytes, again, len) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    uint8_t how = data[0];
    switch (how & 7) {
    case 0:
    case 1:
        play_client(SG_AUTH_SCRAM_SHA_256, how & 8, how & 1, data + 1, size - 1);
        break;
    case 2:
        play_client(SG_AUTH_MD5, how & 8, false, data + 1, size - 1);
        break;
    case 3:
        play_client(SG_AUTH_PASSWORD, how & 8, false, data + 1, size - 1);
        break;
    case 4:
    case 5:
        play_server(how & 8, how & 1, data + 1, size - 1);
        break;
    default:
        read_text(data + 1, size - 1);
        break;
    }
    return 0;
}
