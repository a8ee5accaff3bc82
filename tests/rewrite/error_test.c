/* error: plain memory, cut at character boundaries. */
#include "segue/error.h"

#include <criterion/criterion.h>
#include <string.h>

Test(error, set_clears_the_rest) {
    struct sg_error err = {.position = 7};
    strcpy(err.detail, "old");
    strcpy(err.hint, "old");
    sg_error_set(&err, SG_SQLSTATE_UNDEFINED_COLUMN, "column \"%s\" does not exist", "x");
    cr_assert_str_eq(err.sqlstate, "42703");
    cr_assert_str_eq(err.message, "column \"x\" does not exist");
    cr_assert_eq(err.position, 0);
    cr_assert_str_empty(err.detail);
    cr_assert_str_empty(err.hint);
    sg_error_detail(&err, "detail %d", 1);
    sg_error_hint(&err, "hint %d", 2);
    cr_assert_str_eq(err.detail, "detail 1");
    cr_assert_str_eq(err.hint, "hint 2");
    cr_assert_str_eq(err.message, "column \"x\" does not exist");
}

/* A message that ends in half a character is not UTF-8, and a client may drop the connection over it. */
Test(error, text_that_does_not_fit_is_cut_at_a_character) {
    static const char *const characters[] = {"x", "ü", "€", "😀"};
    for (size_t c = 0; c < 4; c++) {
        for (size_t shift = 0; shift < 4; shift++) {
            char text[2048] = "";
            memset(text, '.', shift);
            while (strlen(text) < 1500) {
                strcat(text, characters[c]);
            }
            struct sg_error err = {0};
            sg_error_set(&err, SG_SQLSTATE_INTERNAL_ERROR, "%s", text);
            size_t len = strlen(err.message);
            cr_assert_lt(len, sizeof err.message);
            cr_assert_gt(len, sizeof err.message - 8);
            cr_assert_eq(memcmp(err.message, text, len), 0);
            cr_assert_eq((len - shift) % strlen(characters[c]), 0, "cut inside a character: %s", characters[c]);
        }
    }
}

Test(error, states_have_five_characters_and_are_distinct) {
    static const char *const codes[] = {
#define X(name, code) code,
        SG_SQLSTATES(X)
#undef X
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        cr_assert_eq(strlen(codes[i]), 5);
        cr_assert_str_eq(codes[i], sg_sqlstate_code((enum sg_sqlstate)i));
        for (size_t j = 0; j < i; j++) {
            cr_assert_str_neq(codes[i], codes[j]);
        }
    }
}
