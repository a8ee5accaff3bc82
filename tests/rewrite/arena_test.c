/* arena: one lifespan, zeroed and aligned memory. */
#include "segue/arena.h"

#include <criterion/criterion.h>
#include <stdalign.h>
#include <stdint.h>

Test(arena, memory_is_zeroed_and_aligned_at_any_size) {
    struct sg_arena arena;
    sg_arena_init(&arena, 128);
    for (size_t bytes = 0; bytes < 600; bytes++) {
        unsigned char *got = sg_arena_alloc(&arena, bytes);
        cr_assert_not_null(got);
        cr_assert_eq((uintptr_t)got % alignof(max_align_t), 0, "%zu bytes", bytes);
        for (size_t i = 0; i < bytes; i++) {
            cr_assert_eq(got[i], 0);
            got[i] = 0xa5;
        }
    }
    sg_arena_free(&arena);
}

Test(arena, allocations_do_not_overlap) {
    enum { N = 500 };
    struct sg_arena arena;
    char *got[N];
    sg_arena_init(&arena, 64);
    for (int i = 0; i < N; i++) {
        got[i] = sg_arena_alloc(&arena, (size_t)i + 1);
        memset(got[i], i & 0x7f, (size_t)i + 1);
    }
    for (int i = 0; i < N; i++) {
        for (int j = 0; j <= i; j++) {
            cr_assert_eq(got[i][j], i & 0x7f);
        }
    }
    sg_arena_free(&arena);
}

Test(arena, memory_after_a_reset_is_zeroed_again) {
    struct sg_arena arena;
    sg_arena_init(&arena, 1024);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 50; i++) {
            unsigned char *got = sg_arena_alloc(&arena, 100);
            for (int j = 0; j < 100; j++) {
                cr_assert_eq(got[j], 0);
            }
            memset(got, 0xff, 100);
        }
        sg_arena_reset(&arena);
    }
    sg_arena_free(&arena);
}

Test(arena, a_reset_does_not_grow_what_a_loop_needs) {
    struct sg_arena arena;
    sg_arena_init(&arena, 256);
    sg_arena_alloc(&arena, 100);
    sg_arena_reset(&arena);
    size_t bytes = sg_arena_bytes(&arena);
    for (int i = 0; i < 1000; i++) {
        sg_arena_alloc(&arena, 100);
        sg_arena_reset(&arena);
    }
    cr_assert_eq(sg_arena_bytes(&arena), bytes);
    sg_arena_free(&arena);
}

Test(arena, larger_than_a_block) {
    struct sg_arena arena;
    sg_arena_init(&arena, 64);
    char *small = sg_arena_strdup(&arena, "small");
    char *large = sg_arena_alloc(&arena, 1u << 20);
    large[(1u << 20) - 1] = 'x';
    char *next = sg_arena_strdup(&arena, "next");
    cr_assert_str_eq(small, "small");
    cr_assert_str_eq(next, "next");
    cr_assert_geq(sg_arena_bytes(&arena), 1u << 20);
    sg_arena_free(&arena);
}

Test(arena, may_be_used_again_after_free) {
    struct sg_arena arena;
    sg_arena_init(&arena, 64);
    sg_arena_strdup(&arena, "before");
    sg_arena_free(&arena);
    cr_assert_eq(sg_arena_bytes(&arena), 0);
    cr_assert_str_eq(sg_arena_strdup(&arena, "after"), "after");
    sg_arena_free(&arena);
}

Test(arena, copies_end_with_a_nul) {
    struct sg_arena arena;
    sg_arena_init(&arena, 32);
    cr_assert_str_eq(sg_arena_strndup(&arena, "nickname", 4), "nick");
    cr_assert_str_eq(sg_arena_strndup(&arena, "", 0), "");
    char bytes[] = {1, 0, 2};
    cr_assert_arr_eq(sg_arena_copy(&arena, bytes, sizeof bytes), bytes, sizeof bytes);
    sg_arena_free(&arena);
}

Test(arena, printf_of_any_length) {
    struct sg_arena arena;
    sg_arena_init(&arena, 32);
    for (int width = 0; width < 300; width++) {
        char *got = sg_arena_printf(&arena, "%*s|", width, "");
        cr_assert_eq(strlen(got), (size_t)width + 1);
        cr_assert_eq(got[width], '|');
    }
    sg_arena_free(&arena);
}
