/*
 * Views of client messages. The same three questions to each: is the good body read right, is every shorter one BAD, is
 * one byte more BAD — always with the body at the end of a page.
 */
#include "guard.h"
#include "segue/protocol.h"

#include <criterion/criterion.h>
#include <string.h>

static struct guard page;

#define PLACE(bytes, len) guard_place(&page, bytes, len)

/* Asks a reader about every proper prefix of the body, and about the body with a byte more. */
#define EXPECT_ONLY_WHOLE(reader, literal)                                                         \
    do {                                                                                           \
        static const char whole[] = literal; /* with a NUL, which is the byte more */              \
        memset(&view, 0xee, sizeof view);                                                          \
        for (size_t len = 0; len <= sizeof whole; len++) {                                         \
            if (len != sizeof whole - 1) {                                                         \
                cr_assert(reader(PLACE(whole, len), len, &view) == SG_READ_BAD, "%zu bytes", len); \
            }                                                                                      \
        }                                                                                          \
        for (size_t i = 0; i < sizeof view; i++) {                                                 \
            cr_assert(((unsigned char *)&view)[i] == 0xee, "BAD leaves the output alone");         \
        }                                                                                          \
        cr_assert(reader(PLACE(whole, sizeof whole - 1), sizeof whole - 1, &view) == SG_READ_OK);  \
    } while (0)

Test(frontend, query) {
    struct sg_query view;
    EXPECT_ONLY_WHOLE(sg_query_read, "select 1\0");
    cr_assert(sg_span_eq_cstr(view.sql, "select 1") && view.sql.ptr[8] == 0);
    cr_assert(sg_query_read(PLACE("\0", 1), 1, &view) == SG_READ_OK && view.sql.len == 0);
    cr_assert(sg_query_read(PLACE("a\0b\0", 4), 4, &view) == SG_READ_BAD, "a NUL inside hides the rest");
    cr_assert(sg_query_read(NULL, 0, &view) == SG_READ_BAD);
}

Test(frontend, parse) {
    struct sg_parse view;
    EXPECT_ONLY_WHOLE(sg_parse_read, "s1\0select $1, $2\0\0\x02\0\0\0\x17\0\0\0\x19");
    cr_assert(sg_span_eq_cstr(view.name, "s1") && sg_span_eq_cstr(view.sql, "select $1, $2"));
    cr_assert(view.nparams == 2 && memcmp(view.param_oids, "\0\0\0\x17\0\0\0\x19", 8) == 0);
    cr_assert(sg_parse_read(PLACE("\0\0\0\0", 4), 4, &view) == SG_READ_OK, "unnamed, empty, no types");
    cr_assert(view.name.len == 0 && view.sql.len == 0 && view.nparams == 0);
    cr_assert(sg_parse_read(PLACE("\0\0\xff\xff", 4), 4, &view) == SG_READ_BAD, "more types than the body holds");
}

Test(frontend, parse_with_65535_types) {
    static char body[4 + 4 * 65535] = {0, 0, '\xff', '\xff'};
    struct sg_parse view;
    cr_assert(sg_parse_read(PLACE(body, sizeof body), sizeof body, &view) == SG_READ_OK && view.nparams == 65535);
    cr_assert(sg_parse_read(PLACE(body, sizeof body - 1), sizeof body - 1, &view) == SG_READ_BAD);
}

Test(frontend, bind_head_answers_as_soon_as_it_can) {
    static const char body[] = "p1\0s1\0\0\x01\0\x01\0\x01\0\0\0\x02hi\0\0";
    struct sg_bind_head view = {.head_bytes = 99};
    for (size_t len = 0; len < 6; len++) {
        cr_assert(sg_bind_head_read(PLACE(body, len), len, &view) == SG_READ_MORE);
    }
    cr_assert(view.head_bytes == 99);
    for (size_t len = 6; len < sizeof body; len++) {
        cr_assert(sg_bind_head_read(PLACE(body, len), len, &view) == SG_READ_OK);
        cr_assert(sg_span_eq_cstr(view.portal, "p1") && sg_span_eq_cstr(view.statement, "s1"));
        cr_assert(view.head_bytes == 6);
    }
    cr_assert(sg_bind_head_read(PLACE("\0\0", 2), 2, &view) == SG_READ_OK && view.head_bytes == 2);
    cr_assert(sg_bind_head_read(NULL, 0, &view) == SG_READ_MORE);
}

Test(frontend, describe_and_close) {
    struct sg_target view;
    EXPECT_ONLY_WHOLE(sg_target_read, "Ss1\0");
    cr_assert(view.kind == 'S' && sg_span_eq_cstr(view.name, "s1"));
    cr_assert(sg_target_read(PLACE("P\0", 2), 2, &view) == SG_READ_OK && view.kind == 'P' && view.name.len == 0);
    cr_assert(sg_target_read(PLACE("X\0", 2), 2, &view) == SG_READ_BAD);
    cr_assert(sg_target_read(NULL, 0, &view) == SG_READ_BAD);
}

Test(frontend, execute) {
    struct sg_execute view;
    EXPECT_ONLY_WHOLE(sg_execute_read, "p1\0\0\0\x01\x02");
    cr_assert(sg_span_eq_cstr(view.portal, "p1") && view.max_rows == 258);
    cr_assert(sg_execute_read(PLACE("\0\xff\xff\xff\xff", 5), 5, &view) == SG_READ_OK && view.max_rows == -1);
    cr_assert(sg_execute_read(PLACE("\0\x80\0\0\0", 5), 5, &view) == SG_READ_OK && view.max_rows == INT32_MIN);
}
