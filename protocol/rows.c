/* RowDescription and DataRow: an int16 count, then as many fields. The iterators step over the count by themselves. */
#include "cursor.h"
#include "segue/protocol.h"

#define COUNT_BYTES     2u
#define ROW_FIELD_LEAST 19u /* an empty name's NUL and 18 bytes of numbers */
#define WIRE_NULL       UINT32_MAX

/* The walk from *cursor on; no bytes left when there is nothing (more) to read. */
static struct sg_cursor resume(const uint8_t *body, size_t len, size_t cursor) {
    size_t at = cursor == 0 ? COUNT_BYTES : cursor;
    if (at >= len) {
        return sg_cursor_of(NULL, 0);
    }
    return (struct sg_cursor){body + at, body + len};
}

enum sg_read sg_row_description_count(const uint8_t *body, size_t len, uint16_t *ret_count) {
    struct sg_cursor cursor = sg_cursor_of(body, len);
    uint16_t count;
    if (!sg_take_u16(&cursor, &count) || sg_cursor_left(&cursor) / ROW_FIELD_LEAST < count) {
        return SG_READ_BAD;
    }
    *ret_count = count;
    return SG_READ_OK;
}

bool sg_row_field_next(const uint8_t *body, size_t len, size_t *cursor, struct sg_row_field *ret) {
    struct sg_cursor walk = resume(body, len, *cursor);
    struct sg_row_field field;
    uint16_t attnum, type_size, format;
    uint32_t type_mod;
    if (!sg_take_cstr(&walk, &field.name) || !sg_take_u32(&walk, &field.table_oid) || !sg_take_u16(&walk, &attnum) ||
        !sg_take_u32(&walk, &field.type_oid) || !sg_take_u16(&walk, &type_size) || !sg_take_u32(&walk, &type_mod) ||
        !sg_take_u16(&walk, &format)) {
        return false;
    }
    field.attnum = sg_signed16(attnum);
    field.type_size = sg_signed16(type_size);
    field.format = sg_signed16(format);
    field.type_mod = sg_signed32(type_mod);
    *ret = field;
    *cursor = len - sg_cursor_left(&walk);
    return true;
}

bool sg_data_value_next(const uint8_t *body, size_t len, size_t *cursor, struct sg_span *ret_value) {
    struct sg_cursor walk = resume(body, len, *cursor);
    uint32_t bytes;
    struct sg_span value = {NULL, 0};
    if (!sg_take_u32(&walk, &bytes) || (bytes != WIRE_NULL && !sg_take_bytes(&walk, bytes, &value))) {
        return false;
    }
    *ret_value = value;
    *cursor = len - sg_cursor_left(&walk);
    return true;
}
