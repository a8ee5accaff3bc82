/* sg_split_next: statements as psql would see them; the spans together are the text. */
#include "segue/rewrite.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* The statements of sql, each in brackets. Checks on the way that no byte is lost or given twice. */
static char *split(const char *sql) {
    static char out[8192];
    size_t cursor = 0;
    size_t expected = 0;
    size_t len = 0;
    struct sg_span statement;
    out[0] = '\0';
    while (sg_split_next(sg_span_of(sql), &cursor, &statement)) {
        cr_assert_eq(statement.ptr, sql + expected, "a gap or an overlap in: %s", sql);
        cr_assert_gt(statement.len, 0);
        expected += statement.len;
        len += (size_t)snprintf(out + len, sizeof out - len, "[%.*s]", (int)statement.len, statement.ptr);
    }
    cr_assert_eq(expected, strlen(sql), "bytes left over in: %s", sql);
    return out;
}

Test(split, nothing) {
    cr_assert_str_eq(split(""), "");
}

Test(split, one_without_and_with_a_semicolon) {
    cr_assert_str_eq(split("SELECT 1"), "[SELECT 1]");
    cr_assert_str_eq(split("SELECT 1;"), "[SELECT 1;]");
}

Test(split, two) {
    cr_assert_str_eq(split("SELECT 1; SELECT 2"), "[SELECT 1;][ SELECT 2]");
}

Test(split, semicolons_that_are_none) {
    static const char *const whole[] = {
        "SELECT ';'",
        "SELECT 'it''s;'",
        "SELECT E'\\';'",
        "SELECT \"a;b\"",
        "SELECT \"a\"\";b\"",
        "SELECT $$;$$",
        "SELECT $tag$ $$ ; $other$ $tag$",
        "SELECT 1 -- ; not yet",
        "SELECT /* ; /* ; */ ; */ 1",
        "SELECT U&\"d\\0061t;a\"",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END",
        "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)",
    };
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        char wanted[256];
        snprintf(wanted, sizeof wanted, "[%s]", whole[i]);
        cr_expect_str_eq(split(whole[i]), wanted, "%s split as %s", whole[i], split(whole[i]));
    }
}

Test(split, after_each_of_those_a_semicolon_counts_again) {
    cr_expect_str_eq(split("SELECT ';' ; SELECT $$;$$;-- ;\nSELECT 3"),
                     "[SELECT ';' ;][ SELECT $$;$$;][-- ;\nSELECT 3]");
    /* A dollar inside an identifier opens nothing. */
    cr_expect_str_eq(split("SELECT a$b$;SELECT c$b$"), "[SELECT a$b$;][SELECT c$b$]");
    /* A standard string ends at its quote, whatever stands before it. */
    cr_expect_str_eq(split("SELECT 'a\\'; SELECT 2"), "[SELECT 'a\\';][ SELECT 2]");
    cr_expect_str_eq(
        split("CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; "
              "END; SELECT 9"),
        "[CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END;]"
        "[ SELECT 9]");
}

Test(split, begin_is_a_statement_of_its_own) {
    cr_expect_str_eq(split("BEGIN; SELECT 1; END; SELECT 2"), "[BEGIN;][ SELECT 1;][ END;][ SELECT 2]");
}

Test(split, what_does_not_end_goes_to_the_end) {
    cr_expect_str_eq(split("SELECT 'open; SELECT 2"), "[SELECT 'open; SELECT 2]");
    cr_expect_str_eq(split("SELECT /* open; SELECT 2"), "[SELECT /* open; SELECT 2]");
    cr_expect_str_eq(split("SELECT $a$ open; SELECT 2 $b$"), "[SELECT $a$ open; SELECT 2 $b$]");
    cr_expect_str_eq(split("SELECT (1; SELECT 2"), "[SELECT (1; SELECT 2]");
}

Test(split, text_that_is_no_sql_ends_and_loses_nothing) {
    static const char bytes[] = "';\"$-/*\\(\n[x{E;&U";
    unsigned seed = 1;
    for (int round = 0; round < 20000; round++) {
        char sql[24];
        size_t len = (size_t)(round % 23);
        for (size_t i = 0; i < len; i++) {
            seed = seed * 1103515245u + 12345u;
            sql[i] = bytes[(seed >> 16) % (sizeof bytes - 1)];
        }
        sql[len] = '\0';
        split(sql);
    }
}
