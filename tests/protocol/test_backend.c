/* Views of server messages, at the end of a page; see test_frontend.c. */
#include "guard.h"
#include "segue/protocol.h"

#include <criterion/criterion.h>
#include <string.h>

static struct guard page;

#define PLACE(bytes, len)          guard_place(&page, bytes, len)
#define READ(reader, literal, ret) reader(PLACE(literal, sizeof(literal) - 1), sizeof(literal) - 1, ret)

Test(backend, ready) {
    char status = 'x';
    cr_assert(READ(sg_ready_read, "", &status) == SG_READ_BAD);
    cr_assert(READ(sg_ready_read, "II", &status) == SG_READ_BAD);
    cr_assert(READ(sg_ready_read, "X", &status) == SG_READ_BAD);
    cr_assert(READ(sg_ready_read, "\0", &status) == SG_READ_BAD);
    cr_assert(status == 'x');
    for (const char *c = "ITE"; *c; c++) {
        cr_assert(sg_ready_read(PLACE(c, 1), 1, &status) == SG_READ_OK && status == *c);
    }
}

Test(backend, parameter_status) {
    static const char body[] = "TimeZone\0UTC";
    struct sg_parameter_status view;
    for (size_t len = 0; len < sizeof body; len++) {
        cr_assert(sg_parameter_status_read(PLACE(body, len), len, &view) == SG_READ_BAD);
    }
    cr_assert(sg_parameter_status_read(PLACE(body, sizeof body), sizeof body, &view) == SG_READ_OK);
    cr_assert(sg_span_eq_cstr(view.name, "TimeZone") && sg_span_eq_cstr(view.value, "UTC"));
    cr_assert(READ(sg_parameter_status_read, "a\0b\0c\0", &view) == SG_READ_BAD);
    cr_assert(READ(sg_parameter_status_read, "\0\0", &view) == SG_READ_OK);
}

Test(backend, key_is_4_to_256_bytes) {
    char body[4 + 257] = {0, 0, 1, 2};
    for (size_t key = 0; key <= 257; key++) {
        struct sg_backend_key view;
        bool legal = key >= 4 && key <= 256;
        cr_assert(sg_backend_key_read(PLACE(body, 4 + key), 4 + key, &view) == (legal ? SG_READ_OK : SG_READ_BAD));
        cr_assert(!legal || (view.pid == 258 && view.key.len == key));
    }
    struct sg_backend_key view;
    cr_assert(READ(sg_backend_key_read, "abc", &view) == SG_READ_BAD);
}

Test(backend, auth_and_tag) {
    int32_t code = 7;
    cr_assert(READ(sg_auth_read, "\0\0\0", &code) == SG_READ_BAD && code == 7);
    cr_assert(READ(sg_auth_read, "\0\0\0\0", &code) == SG_READ_OK && code == 0);
    cr_assert(READ(sg_auth_read, "\0\0\0\x0aSCRAM-SHA-256\0\0", &code) == SG_READ_OK && code == 10);
    cr_assert(READ(sg_auth_read, "\xff\xff\xff\xff", &code) == SG_READ_OK && code == -1);
    struct sg_span tag;
    cr_assert(READ(sg_command_tag_read, "INSERT 0 1\0", &tag) == SG_READ_OK && sg_span_eq_cstr(tag, "INSERT 0 1"));
    cr_assert(READ(sg_command_tag_read, "INSERT 0 1", &tag) == SG_READ_BAD);
    cr_assert(READ(sg_command_tag_read, "A\0B\0", &tag) == SG_READ_BAD);
    cr_assert(READ(sg_command_tag_read, "", &tag) == SG_READ_BAD);
}

Test(errors, fields_of_any_kind_in_any_order) {
    static const char body[] = "M\xc3\xa9t\xc3\xa9\0Xnew\0C22012\0?\0"; /* 'X' and '?' are not in the documentation */
    static const char codes[] = "MXC?";
    size_t cursor = 0, n = 0;
    char code;
    struct sg_span value;
    const uint8_t *bytes = PLACE(body, sizeof body);
    while (sg_error_field_next(bytes, sizeof body, &cursor, &code, &value)) {
        cr_assert(code == codes[n++] && value.ptr[value.len] == 0);
    }
    cr_assert(n == 4 && cursor == sizeof body - 1, "stops on the terminator");
    cr_assert(sg_span_eq_cstr(sg_error_field(bytes, sizeof body, 'C'), "22012"));
    cr_assert(sg_error_field(bytes, sizeof body, '?').ptr && sg_error_field(bytes, sizeof body, '?').len == 0);
    cr_assert(sg_error_field(bytes, sizeof body, 'S').ptr == NULL);
}

Test(errors, an_error_may_lack_everything) {
    cr_assert(sg_error_field(PLACE("\0", 1), 1, 'C').ptr == NULL);
    cr_assert(sg_error_field(PLACE("", 0), 0, 'C').ptr == NULL);
    cr_assert(sg_error_field(NULL, 0, 'C').ptr == NULL);
    cr_assert(sg_error_field(PLACE("C22012", 6), 6, 'C').ptr == NULL, "value not ended");
    cr_assert(sg_error_field(PLACE("C", 1), 1, 'C').ptr == NULL);
    cr_assert(sg_error_field(PLACE("\0C1\0", 4), 4, 'C').ptr == NULL, "nothing counts behind the terminator");
    cr_assert(sg_error_field(PLACE("\0C1\0", 4), 4, 0).ptr == NULL, "the terminator is no field");
    size_t cursor = 0;
    char code = 'x';
    struct sg_span value = {NULL, 42};
    cr_assert(!sg_error_field_next(PLACE("Cab", 3), 3, &cursor, &code, &value));
    cr_assert(cursor == 0 && code == 'x' && value.len == 42, "false leaves the outputs alone");
    cursor = SIZE_MAX;
    cr_assert(!sg_error_field_next(PLACE("\0", 1), 1, &cursor, &code, &value), "a cursor past the end is the end");
}

static const char ROW_FIELDS[] = "\0\x02"
                                 "id\0\0\0\x40\0\0\x01\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0"
                                 "\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\0\0\0\x05\0\x01";
#define ROW_FIELDS_BYTES (sizeof ROW_FIELDS - 1)

Test(rows, description) {
    uint16_t count = 0;
    struct sg_row_field field;
    size_t cursor = 0;
    const uint8_t *body = PLACE(ROW_FIELDS, ROW_FIELDS_BYTES);
    cr_assert(sg_row_description_count(body, ROW_FIELDS_BYTES, &count) == SG_READ_OK && count == 2);
    cr_assert(sg_row_field_next(body, ROW_FIELDS_BYTES, &cursor, &field));
    cr_assert(sg_span_eq_cstr(field.name, "id") && field.table_oid == 0x4000 && field.attnum == 1);
    cr_assert(field.type_oid == 23 && field.type_size == 4 && field.type_mod == -1 && field.format == 0);
    cr_assert(sg_row_field_next(body, ROW_FIELDS_BYTES, &cursor, &field));
    cr_assert(field.name.len == 0 && field.table_oid == 0 && field.attnum == 0);
    cr_assert(field.type_oid == 25 && field.type_size == -1 && field.type_mod == 5 && field.format == 1);
    cr_assert(!sg_row_field_next(body, ROW_FIELDS_BYTES, &cursor, &field) && cursor == ROW_FIELDS_BYTES);
}

Test(rows, description_cut_anywhere) {
    for (size_t len = 0; len < ROW_FIELDS_BYTES; len++) {
        const uint8_t *body = PLACE(ROW_FIELDS, len);
        uint16_t count = 77;
        struct sg_row_field field;
        size_t cursor = 0, n = 0;
        cr_assert(sg_row_description_count(body, len, &count) == SG_READ_BAD || len >= 2 + 2 * 19);
        while (sg_row_field_next(body, len, &cursor, &field)) {
            n++;
        }
        cr_assert(n == (len >= 23) && cursor == (n ? 23u : 0u), "%zu bytes", len);
    }
}

Test(rows, count_that_cannot_be) {
    uint16_t count = 5;
    cr_assert(READ(sg_row_description_count, "\xff\xff", &count) == SG_READ_BAD);
    cr_assert(READ(sg_row_description_count, "\0\x01", &count) == SG_READ_BAD && count == 5);
    cr_assert(READ(sg_row_description_count, "\0\0", &count) == SG_READ_OK && count == 0);
    cr_assert(READ(sg_row_description_count, "\0", &count) == SG_READ_BAD);
}

Test(rows, description_of_1600_columns) {
    const char *names[1600];
    for (size_t i = 0; i < 1600; i++) {
        names[i] = "";
    }
    struct sg_buf buf = {0};
    sg_msg_text_row_description(&buf, names, 1600);
    const uint8_t *body = PLACE(buf.data + SG_FRAME_HEADER_BYTES, buf.len - SG_FRAME_HEADER_BYTES);
    size_t len = buf.len - SG_FRAME_HEADER_BYTES, cursor = 0, n = 0;
    uint16_t count;
    struct sg_row_field field;
    cr_assert(sg_row_description_count(body, len, &count) == SG_READ_OK && count == 1600);
    while (sg_row_field_next(body, len, &cursor, &field)) {
        n++;
    }
    cr_assert(n == 1600 && cursor == len);
    sg_buf_free(&buf);
}

Test(rows, data_values) {
    static const char body[] = "\0\x03\0\0\0\x02hi\xff\xff\xff\xff\0\0\0\0";
    size_t len = sizeof body - 1, cursor = 0;
    struct sg_span value;
    const uint8_t *bytes = PLACE(body, len);
    cr_assert(sg_data_value_next(bytes, len, &cursor, &value) && sg_span_eq_cstr(value, "hi"));
    cr_assert(sg_data_value_next(bytes, len, &cursor, &value) && value.ptr == NULL, "SQL NULL");
    cr_assert(sg_data_value_next(bytes, len, &cursor, &value) && value.ptr != NULL && value.len == 0, "empty string");
    cr_assert(!sg_data_value_next(bytes, len, &cursor, &value) && cursor == len);
    cursor = 0;
    cr_assert(!sg_data_value_next(PLACE("\0\0", 2), 2, &cursor, &value), "no columns");
}

Test(rows, data_lengths_that_lie) {
    static const char *const lies[] = {"\0\x01\0\0\0\x03hi", "\0\x01\x7f\xff\xff\xffhi", "\0\x01\xff\xff\xff\xfehi",
                                       "\0\x01\x80\0\0\0hi"};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        size_t cursor = 0;
        struct sg_span value = {NULL, 42};
        cr_assert(!sg_data_value_next(PLACE(lies[i], 8), 8, &cursor, &value), "lie %zu", i);
        cr_assert(cursor == 0 && value.len == 42);
    }
}
