#include "bench/load/model.h"

#include <criterion/criterion.h>

/* Numbers of rows that the ranges do not divide evenly are the interesting ones. */
static const int64_t table_sizes[] = {1000, 1001, 4099, 65537, 100003};

Test(model, every_key_is_owned_by_the_range_that_says_so) {
    for (size_t i = 0; i < sizeof(table_sizes) / sizeof(table_sizes[0]); i++) {
        for (size_t ranges = 1; ranges <= 64; ranges = ranges * 2 + 1) {
            struct sg_model *model = sg_model_new(table_sizes[i], ranges);
            int64_t key = 1;
            for (size_t range = 0; range < ranges; range++) {
                for (size_t row = 0; row < model->ranges[range].initial_len; row++, key++) {
                    size_t found_range = SIZE_MAX, found_row = SIZE_MAX;
                    cr_assert_eq(sg_range_key(&model->ranges[range], row), key);
                    cr_assert(sg_model_find(model, key, &found_range, &found_row));
                    cr_assert_eq(found_range, range);
                    cr_assert_eq(found_row, row);
                }
            }
            cr_assert_eq(key, table_sizes[i] + 1, "the ranges together are the table");
            sg_model_free(model);
        }
    }
}

Test(model, fresh_rows_have_keys_of_their_own) {
    struct sg_model *model = sg_model_new(1000, 3);
    for (size_t range = 0; range < 3; range++) {
        for (int i = 0; i < 5000; i++) {
            size_t row = sg_range_append(&model->ranges[range]), found_range = SIZE_MAX, found_row = SIZE_MAX;
            cr_assert(sg_model_find(model, sg_range_key(&model->ranges[range], row), &found_range, &found_row));
            cr_assert(found_range == range && found_row == row);
        }
    }
    sg_model_free(model);
}

Test(model, keys_of_nobody_are_nobodys) {
    struct sg_model *model = sg_model_new(1000, 3);
    const int64_t keys[] = {-1, 0, 1001, SG_FRESH_SPACING - 1, 4 * SG_FRESH_SPACING};
    size_t range, row;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        cr_expect_not(sg_model_find(model, keys[i], &range, &row), "%lld", (long long)keys[i]);
    sg_model_free(model);
}

Test(model, the_next_version_of_a_row_has_another_text) {
    char before[SG_TEXT_BYTES], after[SG_TEXT_BYTES];
    for (uint32_t version = 1; version < 100; version++) {
        struct sg_row row = {.kind = SG_ROW_GENERATED, .version = version};
        cr_assert_str_eq(sg_row_text(&row, 7, before), before);
        row.version++;
        cr_assert_str_neq(sg_row_text(&row, 7, after), before);
        cr_assert_str_neq(sg_row_text(&row, 8, before), after);
    }
}

Test(model, a_copy_survives_what_happens_to_the_row) {
    char buf[SG_TEXT_BYTES];
    struct sg_row row = {0};
    sg_row_set(&row, SG_ROW_STORED, 3, "kept");
    struct sg_row before = sg_row_copy(&row);
    sg_row_set(&row, SG_ROW_NULL, 4, NULL);
    cr_expect_null(sg_row_text(&row, 1, buf));
    cr_expect_str_eq(sg_row_text(&before, 1, buf), "kept");
    cr_expect_eq(before.version, 3);
    sg_row_set(&before, SG_ROW_ABSENT, 0, NULL);
}
