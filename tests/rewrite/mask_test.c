/* sg_mask_literals: what of a statement may be shown. */
#include "segue/mask.h"

#include <criterion/criterion.h>

static struct sg_arena arena;

static void setup(void) {
    sg_arena_init(&arena, 1024);
}

static void teardown(void) {
    sg_arena_free(&arena);
}

TestSuite(mask, .init = setup, .fini = teardown);

static const char *masked(const char *sql, size_t max) {
    return sg_mask_literals(&arena, sg_span_of(sql), max, SG_ENCODING_UTF8, false);
}

Test(mask, values_and_comments_go_names_stay) {
    static const struct {
        const char *sql, *shown;
    } cases[] = {
        {"SELECT 'a', 1.5, E'it\\'s', $$x$$, B'1', $1, \"Na'me\" FROM t", "SELECT ?, ?, ?, ?, ?, $1, \"Na'me\" FROM t"},
        {"  SELECT\n\t1 -- secret\n + /* secret /* too */ */ 2 ;  ", "SELECT ? + ? ;"},
        {"INSERT INTO t VALUES('o''clock',-3)", "INSERT INTO t VALUES(?,-?)"},
        {"SELECT 'never ends", "SELECT ?"},
        {"SELECT 1 /* never ends", "SELECT ?"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_str_eq(masked(cases[i].sql, 1000), cases[i].shown);
}

Test(mask, long_texts_are_cut_between_characters) {
    cr_expect_str_eq(masked("SELECT a FROM t", 8), "SELECT a...");
    cr_expect_str_eq(masked("SELECT \xc3\xa9t\xc3\xa9", 8), "SELECT ...");
    cr_expect_str_eq(masked("SELECT \xc3\xa9t\xc3\xa9", 9), "SELECT \xc3\xa9...");
    char *text = sg_arena_alloc(&arena, 100001);
    memset(text, 'x', 100000);
    memcpy(text, "SELECT '", 8);
    cr_expect_str_eq(masked(text, 100), "SELECT ?...", "the string is not read to its end");
}

Test(mask, settings_say_where_strings_end) {
    const char *sql = "SELECT 'it\\'s a secret', name";
    cr_expect_str_eq(sg_mask_literals(&arena, sg_span_of(sql), 1000, SG_ENCODING_UTF8, true), "SELECT ?, name");
    /* 0x5c is half a character here; and what cannot be read as UTF-8 is not shown. */
    sql = "SELECT E'\x95\x5c', \x95\x5c";
    cr_expect_str_eq(sg_mask_literals(&arena, sg_span_of(sql), 1000, SG_ENCODING_SJIS, false), "SELECT ?, ?");
}
