/* Builders: the exact bytes, and back through the views. */
#include "segue/error.h"
#include "segue/protocol.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static void expect_bytes(struct sg_buf *buf, const void *bytes, size_t len) {
    cr_assert(buf->len == len && memcmp(buf->data, bytes, len) == 0, "%zu bytes instead of %zu", buf->len, len);
    sg_buf_free(buf);
    cr_assert(buf->data == NULL && buf->len == 0 && buf->cap == 0);
}
#define EXPECT(buf, literal) expect_bytes(buf, literal, sizeof(literal) - 1)

Test(buffer, grows_by_any_step) {
    struct sg_buf buf = {0};
    for (size_t i = 0; i < 100000; i++) {
        sg_buf_put_u8(&buf, (uint8_t)i);
    }
    cr_assert(buf.len == 100000 && buf.cap >= buf.len);
    for (size_t i = 0; i < 100000; i++) {
        cr_assert(buf.data[i] == (uint8_t)i);
    }
    sg_buf_reserve(&buf, 1 << 20);
    cr_assert(buf.cap - buf.len >= 1 << 20 && buf.len == 100000);
    uint8_t *before = buf.data;
    sg_buf_reserve(&buf, 1 << 20);
    cr_assert(buf.data == before, "what is reserved does not move");
    sg_buf_free(&buf);
}

Test(buffer, numbers_are_big_endian_and_nothing_is_nothing) {
    struct sg_buf buf = {0};
    sg_buf_put(&buf, NULL, 0);
    cr_assert(buf.data == NULL && buf.len == 0);
    sg_buf_put_u8(&buf, 0x01);
    sg_buf_put_u16(&buf, 0x0203);
    sg_buf_put_u32(&buf, 0x04050607);
    sg_buf_put_cstr(&buf, "ab");
    sg_buf_put_span_cstr(&buf, (struct sg_span){NULL, 0});
    sg_buf_put_span_cstr(&buf, (struct sg_span){"xyz", 2});
    EXPECT(&buf, "\x01\x02\x03\x04\x05\x06\x07"
                 "ab\0\0xy\0");
}

Test(build, short_messages) {
    struct sg_buf buf = {0};
    sg_msg_ready(&buf, 'T');
    sg_msg_auth_ok(&buf);
    sg_msg_parameter_status(&buf, "a", "b");
    sg_msg_backend_key(&buf, 0x01020304, SG_SPAN_LIT("keyy"));
    sg_msg_command_complete(&buf, "SELECT 1");
    sg_msg_close(&buf, 'S', SG_SPAN_LIT("s1"));
    sg_msg_query(&buf, SG_SPAN_LIT("select 1"));
    EXPECT(&buf, "Z\0\0\0\x05T"
                 "R\0\0\0\x08\0\0\0\0"
                 "S\0\0\0\x08"
                 "a\0b\0"
                 "K\0\0\0\x0c\x01\x02\x03\x04keyy"
                 "C\0\0\0\x0dSELECT 1\0"
                 "C\0\0\0\x08Ss1\0"
                 "Q\0\0\0\x0dselect 1\0");
}

Test(build, parse) {
    struct sg_buf buf = {0};
    sg_msg_parse(&buf, SG_SPAN_LIT("s"), SG_SPAN_LIT("q"), 1, (const uint8_t *)"\0\0\0\x17");
    sg_msg_parse(&buf, (struct sg_span){NULL, 0}, SG_SPAN_LIT(""), 0, NULL);
    EXPECT(&buf, "P\0\0\0\x0es\0q\0\0\x01\0\0\0\x17"
                 "P\0\0\0\x08\0\0\0\0");
}

Test(build, startup_packet_has_no_type) {
    struct sg_buf buf = {0};
    sg_buf_put_u8(&buf, '!'); /* what stands before is left alone */
    sg_msg_begin(&buf, 0);
    sg_buf_put_u32(&buf, 80877103);
    sg_msg_end(&buf);
    EXPECT(&buf, "!\0\0\0\x08\x04\xd2\x16\x2f");
}

Test(build, negotiate_version) {
    struct sg_buf buf = {0};
    const struct sg_span options[] = {SG_SPAN_LIT("_pq_.a"), SG_SPAN_LIT("_pq_.b")};
    sg_msg_negotiate_version(&buf, 3u << 16, options, 2);
    sg_msg_negotiate_version(&buf, 3u << 16 | 2, NULL, 0);
    EXPECT(&buf, "v\0\0\0\x1a\0\x03\0\0\0\0\0\x02_pq_.a\0_pq_.b\0"
                 "v\0\0\0\x0c\0\x03\0\x02\0\0\0\0");
}

Test(build, error_with_every_field) {
    struct sg_error err = {.sqlstate = "42703", .position = 8, .message = "m", .detail = "d", .hint = "h"};
    struct sg_buf buf = {0};
    sg_msg_error(&buf, "ERROR", &err);
    EXPECT(&buf, "E\0\0\0\x26SERROR\0VERROR\0C42703\0Mm\0Dd\0Hh\0P8\0\0");
}

Test(build, error_leaves_out_what_is_empty) {
    struct sg_error err = {.sqlstate = "57P01", .message = "bye"};
    struct sg_buf buf = {0};
    sg_msg_notice(&buf, "WARNING", &err);
    EXPECT(&buf, "N\0\0\0\x23SWARNING\0VWARNING\0C57P01\0Mbye\0\0");
    err.position = 1;
    sg_msg_notice(&buf, "WARNING", &err);
    cr_assert(sg_span_eq_cstr(sg_error_field(buf.data + 5, buf.len - 5, 'P'), "1"), "the first character is a place");
    buf.len = 0;
    const struct sg_error blank = {.message = "x"};
    sg_msg_error(&buf, "FATAL", &blank);
    cr_assert(sg_span_eq_cstr(sg_error_field(buf.data + 5, buf.len - 5, 'C'), "XX000"), "a client needs some SQLSTATE");
    sg_buf_free(&buf);
}

Test(build, error_of_the_greatest_length) {
    struct sg_error err = {.sqlstate = "XX000", .position = INT32_MAX};
    memset(err.message, 'm', sizeof err.message - 1);
    memset(err.detail, 'd', sizeof err.detail - 1);
    memset(err.hint, 'h', sizeof err.hint - 1);
    struct sg_buf buf = {0};
    sg_msg_error(&buf, "PANIC", &err);
    struct sg_frame frame;
    cr_assert(sg_frame_header(buf.data, buf.len, SG_FRAME_MAX_BYTES, &frame) == SG_READ_OK);
    cr_assert(frame.body_bytes == buf.len - 5);
    cr_assert(sg_error_field(buf.data + 5, buf.len - 5, 'H').len == sizeof err.hint - 1);
    cr_assert(sg_span_eq_cstr(sg_error_field(buf.data + 5, buf.len - 5, 'P'), "2147483647"));
    sg_buf_free(&buf);
}

Test(build, text_rows_come_back) {
    const char *const names[] = {"name", ""}, *const values[] = {NULL, "v"};
    struct sg_buf buf = {0};
    sg_msg_text_row_description(&buf, names, 2);
    uint16_t count;
    size_t cursor = 0, len = buf.len - 5;
    struct sg_row_field field;
    cr_assert(sg_row_description_count(buf.data + 5, len, &count) == SG_READ_OK && count == 2);
    cr_assert(sg_row_field_next(buf.data + 5, len, &cursor, &field) && sg_span_eq_cstr(field.name, "name"));
    cr_assert(field.type_oid == 25 && field.type_size == -1 && field.type_mod == -1 && field.format == 0);
    cr_assert(field.table_oid == 0 && field.attnum == 0);
    cr_assert(sg_row_field_next(buf.data + 5, len, &cursor, &field) && field.name.len == 0);
    buf.len = 0;
    sg_msg_text_row(&buf, values, 2);
    EXPECT(&buf, "D\0\0\0\x0f\0\x02\xff\xff\xff\xff\0\0\0\x01v");
}
