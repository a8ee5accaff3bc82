/* Views of the short messages that servers send; errors and rows have their own files. */
#include "cursor.h"
#include "segue/protocol.h"

#define BACKEND_KEY_LEAST 4u

enum sg_read sg_ready_read(const uint8_t *body, size_t len, char *ret_status) {
    if (len != 1 || (body[0] != 'I' && body[0] != 'T' && body[0] != 'E')) {
        return SG_READ_BAD;
    }
    *ret_status = (char)body[0];
    return SG_READ_OK;
}

enum sg_read sg_parameter_status_read(const uint8_t *body, size_t len, struct sg_parameter_status *ret) {
    struct sg_cursor cursor = sg_cursor_of(body, len);
    struct sg_parameter_status status;
    if (!sg_take_cstr(&cursor, &status.name) || !sg_take_cstr(&cursor, &status.value) || !sg_cursor_at_end(&cursor)) {
        return SG_READ_BAD;
    }
    *ret = status;
    return SG_READ_OK;
}

enum sg_read sg_backend_key_read(const uint8_t *body, size_t len, struct sg_backend_key *ret) {
    struct sg_cursor cursor = sg_cursor_of(body, len);
    struct sg_backend_key key;
    if (!sg_take_u32(&cursor, &key.pid)) {
        return SG_READ_BAD;
    }
    size_t key_bytes = sg_cursor_left(&cursor);
    if (key_bytes < BACKEND_KEY_LEAST || key_bytes > SG_CANCEL_KEY_MAX_BYTES) {
        return SG_READ_BAD;
    }
    (void)sg_take_bytes(&cursor, key_bytes, &key.key);
    *ret = key;
    return SG_READ_OK;
}

enum sg_read sg_auth_read(const uint8_t *body, size_t len, int32_t *ret_code) {
    struct sg_cursor cursor = sg_cursor_of(body, len);
    uint32_t code;
    if (!sg_take_u32(&cursor, &code)) {
        return SG_READ_BAD;
    }
    *ret_code = sg_signed32(code);
    return SG_READ_OK;
}

enum sg_read sg_command_tag_read(const uint8_t *body, size_t len, struct sg_span *ret_tag) {
    struct sg_cursor cursor = sg_cursor_of(body, len);
    struct sg_span tag;
    if (!sg_take_cstr(&cursor, &tag) || !sg_cursor_at_end(&cursor)) {
        return SG_READ_BAD;
    }
    *ret_tag = tag;
    return SG_READ_OK;
}
