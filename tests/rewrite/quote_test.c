/* quoting: what we write is what PostgreSQL reads back, and no more quotes than it would need. */
#include "segue/rewrite.h"

#include <criterion/criterion.h>
#include <pg_query.h>
#include <stdio.h>

static const char *ident(struct sg_arena *arena, const char *name) {
    struct sg_span quoted;
    sg_quote_ident(arena, name, &quoted);
    return sg_arena_strndup(arena, quoted.ptr, quoted.len);
}

static const char *literal(struct sg_arena *arena, const char *value) {
    struct sg_span quoted;
    sg_quote_literal(arena, value, &quoted);
    return sg_arena_strndup(arena, quoted.ptr, quoted.len);
}

Test(quote, identifiers) {
    static const char *const cases[][2] = {
        {"username", "username"},
        {"user_name2", "user_name2"},
        {"_x", "_x"},
        {"a$1", "\"a$1\""},
        {"User", "\"User\""},
        {"user name", "\"user name\""},
        {"2fast", "\"2fast\""},
        {"user", "\"user\""},
        {"order", "\"order\""},
        {"select", "\"select\""},
        {"say \"hi\"", "\"say \"\"hi\"\"\""},
        {"имя", "\"имя\""},
        {"$x", "\"$x\""},
        {"a-b", "\"a-b\""},
        {"", "\"\""},
    };
    struct sg_arena arena;
    sg_arena_init(&arena, 256);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_str_eq(ident(&arena, cases[i][0]), cases[i][1], "%s", ident(&arena, cases[i][0]));
    }
    sg_arena_free(&arena);
}

/* Whatever the keyword's class, the quoted form must stand as column, table, alias and behind a dot. */
Test(quote, keywords_parse_as_names_everywhere) {
    static const char *const words[] = {
        "user",     "order",   "value",    "values",    "between",       "int",    "name",         "type",
        "left",     "natural", "verbose",  "isnull",    "window",        "with",   "current_user", "row",
        "year",     "over",    "filter",   "precision", "setof",         "key",    "text",         "char",
        "interval", "overlay", "coalesce", "exists",    "authorization", "freeze", "default",      "end"};
    struct sg_arena arena;
    sg_arena_init(&arena, 256);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *q = ident(&arena, words[i]);
        const char *sql = sg_arena_printf(&arena,
                                          "SELECT %s, t.%s AS %s, f(%s) FROM %s AS t ORDER BY %s; "
                                          "INSERT INTO %s (%s) VALUES (1); UPDATE t SET %s = 1",
                                          q, q, q, q, q, q, q, q, q);
        PgQueryParseResult parsed = pg_query_parse(sql);
        cr_expect_null(parsed.error, "%s", sql);
        pg_query_free_parse_result(parsed);
    }
    sg_arena_free(&arena);
}

Test(quote, literals) {
    static const char *const cases[][2] = {
        {"zed", "'zed'"}, {"", "''"}, {"O'Hara", "'O''Hara'"}, {"''", "''''''"}, {"имя", "'имя'"}, {"a\nb", "'a\nb'"},
    };
    struct sg_arena arena;
    sg_arena_init(&arena, 256);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_str_eq(literal(&arena, cases[i][0]), cases[i][1]);
    }
    sg_arena_free(&arena);
}

/* A backslash must mean itself whatever standard_conforming_strings says: the E form is the only one that does. */
Test(quote, a_literal_with_a_backslash_means_the_same_under_both_settings) {
    struct sg_arena arena;
    sg_arena_init(&arena, 256);
    const char *got = literal(&arena, "a\\'b");
    cr_assert_str_eq(got + (got[0] == ' '), "E'a\\\\''b'");
    sg_arena_free(&arena);
}
