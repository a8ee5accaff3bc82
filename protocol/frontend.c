/* Views of what clients send. The server refuses bytes left over behind a message's last field, and so do these. */
#include "cursor.h"
#include "segue/protocol.h"

enum sg_read sg_query_read(const uint8_t *body, size_t len, struct sg_query *ret) {
    struct sg_cursor cursor = sg_cursor_of(body, len);
    struct sg_span sql;
    if (!sg_take_cstr(&cursor, &sql) || !sg_cursor_at_end(&cursor)) {
        return SG_READ_BAD;
    }
    ret->sql = sql;
    return SG_READ_OK;
}

enum sg_read sg_parse_read(const uint8_t *body, size_t len, struct sg_parse *ret) {
    struct sg_cursor cursor = sg_cursor_of(body, len);
    struct sg_parse parse;
    if (!sg_take_cstr(&cursor, &parse.name) || !sg_take_cstr(&cursor, &parse.sql) ||
        !sg_take_u16(&cursor, &parse.nparams) || sg_cursor_left(&cursor) != (size_t)parse.nparams * 4) {
        return SG_READ_BAD;
    }
    parse.param_oids = cursor.at;
    *ret = parse;
    return SG_READ_OK;
}

enum sg_read sg_bind_head_read(const uint8_t *body, size_t len, struct sg_bind_head *ret) {
    struct sg_cursor cursor = sg_cursor_of(body, len);
    struct sg_bind_head head;
    if (!sg_take_cstr(&cursor, &head.portal) || !sg_take_cstr(&cursor, &head.statement)) {
        return SG_READ_MORE;
    }
    head.head_bytes = len - sg_cursor_left(&cursor);
    *ret = head;
    return SG_READ_OK;
}

enum sg_read sg_target_read(const uint8_t *body, size_t len, struct sg_target *ret) {
    struct sg_cursor cursor = sg_cursor_of(body, len);
    struct sg_target target;
    if (!sg_take_u8(&cursor, &target.kind) || (target.kind != 'S' && target.kind != 'P') ||
        !sg_take_cstr(&cursor, &target.name) || !sg_cursor_at_end(&cursor)) {
        return SG_READ_BAD;
    }
    *ret = target;
    return SG_READ_OK;
}

enum sg_read sg_execute_read(const uint8_t *body, size_t len, struct sg_execute *ret) {
    struct sg_cursor cursor = sg_cursor_of(body, len);
    struct sg_span portal;
    uint32_t max_rows;
    if (!sg_take_cstr(&cursor, &portal) || !sg_take_u32(&cursor, &max_rows) || !sg_cursor_at_end(&cursor)) {
        return SG_READ_BAD;
    }
    *ret = (struct sg_execute){portal, sg_signed32(max_rows)};
    return SG_READ_OK;
}
