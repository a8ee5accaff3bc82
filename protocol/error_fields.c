/*
 * ErrorResponse and NoticeResponse: (code byte, string)*, NUL.
 *
 * No field is promised: a server, or a proxy in front of it, may leave out the SQLSTATE or send codes that did not
 * exist when this was written.
 */
#include "cursor.h"
#include "segue/protocol.h"

bool sg_error_field_next(const uint8_t *body, size_t len, size_t *cursor, char *ret_code, struct sg_span *ret_value) {
    if (*cursor >= len) {
        return false;
    }
    struct sg_cursor walk = {body + *cursor, body + len};
    uint8_t code;
    struct sg_span value;
    if (!sg_take_u8(&walk, &code) || code == 0 || !sg_take_cstr(&walk, &value)) {
        return false;
    }
    *ret_code = (char)code;
    *ret_value = value;
    *cursor = (size_t)(walk.at - body);
    return true;
}

struct sg_span sg_error_field(const uint8_t *body, size_t len, char code) {
    size_t cursor = 0;
    char each_code;
    struct sg_span value;
    while (sg_error_field_next(body, len, &cursor, &each_code, &value)) {
        if (each_code == code) {
            return value;
        }
    }
    return (struct sg_span){NULL, 0};
}
