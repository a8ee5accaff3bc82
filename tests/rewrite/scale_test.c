/*
 * Large statements: legal ones are answered in time that grows with their length, hostile ones are refused before the
 * stack or the memory is gone. No time is asserted: with a quadratic step somewhere these take longer than ctest waits.
 */
#include "world.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Text that grows. */
struct text {
    char *ptr;
    size_t len, cap;
};

static void append(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void append(struct text *text, const char *format, ...) {
    char piece[256];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(piece, sizeof piece, format, arguments);
    va_end(arguments);
    if (text->len + (size_t)len + 1 > text->cap) {
        text->cap = 2 * text->cap + sizeof piece;
        text->ptr = realloc(text->ptr, text->cap);
        cr_assert_not_null(text->ptr);
    }
    memcpy(text->ptr + text->len, piece, (size_t)len + 1);
    text->len += (size_t)len;
}

static void expect_rewrite(const struct text *sql, const struct text *wanted) {
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 1);
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 20);
    const char *got = world_rewrite(rewriter, snapshot, sql->ptr);
    cr_assert_not_null(got, "refused");
    cr_assert(strcmp(got, wanted->ptr) == 0, "another text: %.200s", got);
    struct sg_rewriter_stats stats;
    sg_rewriter_stats(rewriter, &stats);
    cr_assert_leq(stats.cache_bytes, 1 << 20);
    sg_rewriter_free(rewriter);
    sg_snapshot_unref(snapshot);
}

/* A bulk load by INSERT: 200,000 rows in one statement. */
Test(scale, many_rows) {
    struct text sql = {0};
    struct text wanted = {0};
    append(&sql, "INSERT INTO users (user_id, nickname) VALUES (0, 'x')");
    append(&wanted, "INSERT INTO users (user_id, nickname, username) VALUES (0, 'x', 'x')");
    for (int i = 1; i < 200000; i++) {
        append(&sql, ", (%d, 'name%d')", i, i);
        append(&wanted, ", (%d, 'name%d', 'name%d')", i, i, i);
    }
    expect_rewrite(&sql, &wanted);
    free(sql.ptr);
    free(wanted.ptr);
}

/* A dump, or a batch of a driver in simple mode: many statements in one message. */
Test(scale, many_statements) {
    struct text sql = {0};
    struct text wanted = {0};
    for (int i = 0; i < 50000; i++) {
        append(&sql, "UPDATE users SET nickname = 'x%d' WHERE user_id = %d;", i, i);
        append(&wanted, "UPDATE users SET nickname = 'x%d', username = 'x%d' WHERE user_id = %d;", i, i, i);
    }
    expect_rewrite(&sql, &wanted);
    free(sql.ptr);
    free(wanted.ptr);
}

/* As many as this no program writes; time grows with their square, here as on the server. */
Test(scale, too_many_common_table_expressions) {
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 1);
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 20);
    struct text sql = {NULL, 0, 0};
    append(&sql, "WITH a AS (SELECT username FROM users)");
    for (int i = 0; i < 200000; i++) {
        append(&sql, ", c%d AS (TABLE a)", i);
    }
    append(&sql, " SELECT 1");
    struct sg_request request = world_request(sql.ptr);
    const struct sg_plan *plan = sg_rewriter_plan(rewriter, snapshot, &request);
    cr_assert_eq(plan->action, SG_REFUSE);
    cr_expect(strstr(plan->error->message, "common table expressions"), "%s", plan->error->message);
    free(sql.ptr);
    sg_rewriter_free(rewriter);
    sg_snapshot_unref(snapshot);
}

Test(scale, many_definitions) {
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 1);
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 20);
    struct text sql = {NULL, 0, 0};
    for (int i = 0; i < 100000; i++) {
        append(&sql, "CREATE INDEX ON users (email);");
    }
    struct sg_request request = world_request(sql.ptr);
    request.can_ask = true;
    const struct sg_plan *plan = sg_rewriter_plan(rewriter, snapshot, &request);
    cr_expect_eq(plan->action, SG_PASS);
    free(sql.ptr);
    sg_rewriter_free(rewriter);
    sg_snapshot_unref(snapshot);
}

/* Chains that the grammar reads without nesting, longer than a stack is deep. */
Test(scale, long_chains_of_operators) {
    static const char *const links[] = {" || email", "::text", " COLLATE \"C\"", " AT TIME ZONE 'x'", " + 1"};
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 1);
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 20);
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        struct text sql = {NULL, 0, 0};
        append(&sql, "SELECT username");
        for (int k = 0; k < 600000; k++) {
            append(&sql, "%s", links[i]);
        }
        append(&sql, " FROM users");
        struct sg_request request = world_request(sql.ptr);
        cr_expect_eq(sg_rewriter_plan(rewriter, snapshot, &request)->action, SG_REFUSE, "%s", links[i]);
        free(sql.ptr);
    }
    sg_rewriter_free(rewriter);
    sg_snapshot_unref(snapshot);
}

/* Judged for every message, whether it names a mapped table or not. */
Test(scale, the_effect_of_many_statements) {
    struct text sql = {NULL, 0, 0};
    for (int i = 0; i < 1000000; i++) {
        append(&sql, "SELECT;");
    }
    cr_expect_eq(sg_text_effect((struct sg_span){sql.ptr, sql.len}), SG_EFFECT_NONE);
    append(&sql, "SELECT 1 INTO t");
    cr_expect_eq(sg_text_effect((struct sg_span){sql.ptr, sql.len}), SG_EFFECT_CHANGES);
    free(sql.ptr);
}

Test(scale, a_long_in_list) {
    struct text sql = {0};
    struct text wanted = {0};
    append(&sql, "SELECT username FROM users WHERE user_id IN (0");
    append(&wanted, "SELECT nickname AS username FROM users WHERE user_id IN (0");
    for (int i = 1; i < 300000; i++) {
        append(&sql, ",%d", i);
        append(&wanted, ",%d", i);
    }
    append(&sql, ")");
    append(&wanted, ")");
    expect_rewrite(&sql, &wanted);
    free(sql.ptr);
    free(wanted.ptr);
}

Test(scale, many_columns_and_labels) {
    struct text sql = {0};
    struct text wanted = {0};
    append(&sql, "SELECT username");
    append(&wanted, "SELECT nickname AS username");
    for (int i = 0; i < 1600; i++) {
        append(&sql, ", username");
        append(&wanted, ", nickname AS username");
    }
    append(&sql, " FROM users");
    append(&wanted, " FROM users");
    expect_rewrite(&sql, &wanted);
    free(sql.ptr);
    free(wanted.ptr);
}

/* Nesting that the parser, or a walk over its tree, would follow down the stack. */
static void expect_refused_when_nested(const char *before, const char *open, const char *middle, const char *close) {
    struct text sql = {0};
    append(&sql, "%s", before);
    for (int i = 0; i < 20000; i++) {
        append(&sql, "%s", open);
    }
    append(&sql, "%s", middle);
    for (int i = 0; i < 20000; i++) {
        append(&sql, "%s", close);
    }
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 1);
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 20);
    struct sg_request request = world_request(sql.ptr);
    const struct sg_plan *plan = sg_rewriter_plan(rewriter, snapshot, &request);
    cr_assert_not_null(plan);
    cr_expect_eq(plan->action, SG_REFUSE, "%.80s", sql.ptr);
    cr_expect_str_not_empty(plan->error->sqlstate);
    /* And the next one is answered as if nothing had been. */
    cr_expect_str_eq(world_rewrite(rewriter, snapshot, "SELECT username FROM users"),
                     "SELECT nickname AS username FROM users");
    sg_rewriter_free(rewriter);
    sg_snapshot_unref(snapshot);
    free(sql.ptr);
}

Test(scale, nesting) {
    expect_refused_when_nested("SELECT username FROM users WHERE ", "(", "true", ")");
    expect_refused_when_nested("SELECT username FROM users WHERE ", "NOT ", "true", "");
    expect_refused_when_nested("SELECT username FROM users WHERE 0 = 1", "", "", " + 1");
    expect_refused_when_nested("", "SELECT * FROM (", "SELECT username FROM users", ") s");
    expect_refused_when_nested("SELECT username FROM users", "", "", " UNION ALL SELECT username FROM users");
    expect_refused_when_nested("SELECT username FROM users WHERE ", "EXISTS (SELECT 1 WHERE ", "true", ")");
}
