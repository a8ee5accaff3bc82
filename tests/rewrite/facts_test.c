/* Names whose meaning only the session's server knows: what is asked, when, and what the answers lead to. */
#include "world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static const char tenants[] = "CREATE TABLE users (user_id bigint, nickname text, email text);"
                              "CREATE TABLE tenant_2.users (user_id bigint, nickname text, email text);"
                              "CREATE TABLE orders (order_id bigint, user_id bigint);"
                              "CREATE TABLE tenant_2.orders (order_id bigint, nickname text)";

struct session {
    struct sg_rewriter *rewriter;
    struct sg_snapshot *snapshot;
    struct sg_request request;
};

static struct session session_open(const char *ddl) {
    struct session session = {
        .rewriter = sg_rewriter_new(1 << 20),
        .snapshot = world_make(ddl, "users", "nickname", "username", SG_PHASE_READ_NEW, 1),
        .request = {.star = SG_STAR_BOTH, .can_ask = true},
    };
    return session;
}

static void session_close(struct session *session) {
    sg_rewriter_free(session->rewriter);
    sg_snapshot_unref(session->snapshot);
}

/* What the statement becomes; "? name name" where the server must be asked; "! message" where it is refused. */
static const char *said(struct session *session, const char *sql, const char *facts) {
    static char text[2048];
    session->request.sql = sg_span_of(sql);
    session->request.facts = sg_span_of(facts);
    const struct sg_plan *plan = sg_rewriter_plan(session->rewriter, session->snapshot, &session->request);
    if (!plan || plan->action == SG_PASS) {
        return "as it is";
    }
    if (plan->action == SG_REFUSE) {
        snprintf(text, sizeof text, "! %s", plan->error->message);
    } else if (plan->action == SG_REWRITE) {
        snprintf(text, sizeof text, "%s", plan->sql.ptr);
    } else {
        int at = snprintf(text, sizeof text, "?");
        for (size_t i = 0; i < plan->asks_len; i++) {
            at += snprintf(text + at, sizeof text - (size_t)at, " %s", plan->asks[i].ptr);
        }
    }
    return text;
}

#define ON_PUBLIC   "\"users\"=\"public\" \"user_id\" \"nickname\" \"username\" \"email\";"
#define ON_TENANT_2 "\"users\"=\"tenant_2\" \"user_id\" \"nickname\" \"email\";"

Test(facts, an_ambiguous_name_is_asked_for_and_then_known) {
    struct session s = session_open(tenants);
    static const char sql[] = "UPDATE users SET nickname = 'x'";
    cr_assert_str_eq(said(&s, sql, ""), "? \"users\"");
    cr_assert_str_eq(said(&s, sql, ON_PUBLIC), "UPDATE users SET nickname = 'x', username = 'x'");
    cr_assert_str_eq(said(&s, sql, ON_TENANT_2), "as it is");
    cr_assert_str_eq(said(&s, sql, "\"users\"=;"), "as it is", "no such table: the server says so");
    cr_assert_str_eq(said(&s, sql, "\"users\"=\"pg_temp_3\" \"a\";"), "as it is");
    cr_assert_str_eq(said(&s, sql, ""), "? \"users\"", "the cache keeps answers apart");
    cr_assert_str_eq(said(&s, sql, ON_PUBLIC), "UPDATE users SET nickname = 'x', username = 'x'");
    session_close(&s);
}

Test(facts, who_cannot_ask_is_refused) {
    struct session s = session_open(tenants);
    s.request.can_ask = false;
    cr_assert(strncmp(said(&s, "SELECT nickname FROM users", ""), "!", 1) == 0);
    session_close(&s);
}

Test(facts, nothing_is_asked_that_does_not_matter) {
    struct session s = session_open(tenants);
    cr_assert_str_eq(said(&s, "SELECT nickname FROM public.users", ""),
                     "SELECT username AS nickname FROM public.users");
    cr_assert_str_eq(said(&s, "SELECT nickname FROM tenant_2.users", ""), "as it is");
    cr_assert_str_eq(said(&s, "SELECT u.nickname FROM public.users u JOIN orders o USING (user_id)", ""),
                     "SELECT u.username AS nickname FROM public.users u JOIN orders o USING (user_id)");
    cr_assert_str_eq(said(&s, "SELECT u.nickname, n.* FROM public.users u, new_table n WHERE n.x = u.user_id", ""),
                     "SELECT u.username AS nickname, n.* FROM public.users u, new_table n WHERE n.x = u.user_id");
    cr_assert_str_eq(said(&s, "SELECT 'users' FROM orders", ""), "as it is");
    cr_assert_str_eq(said(&s, "SELECT n.x, count(*) FROM public.users u, new_table n GROUP BY x", ""), "as it is");
    session_close(&s);
}

Test(facts, columns_of_other_tables_are_asked_for_where_they_decide) {
    struct session s = session_open(tenants);
    static const char sql[] = "SELECT nickname FROM public.users u, orders o";
    cr_assert_str_eq(said(&s, sql, ""), "? \"orders\"");
    cr_assert_str_eq(said(&s, sql, "\"orders\"=\"public\" \"order_id\";"),
                     "SELECT username AS nickname FROM public.users u, orders o");
    static const char unknown[] = "SELECT nickname FROM public.users u, tmp";
    cr_assert_str_eq(said(&s, unknown, ""), "? \"tmp\"");
    cr_assert_str_eq(said(&s, unknown, "\"tmp\"=\"pg_temp_3\" \"id\";"),
                     "SELECT username AS nickname FROM public.users u, tmp");
    cr_assert_str_eq(said(&s, unknown, "\"tmp\"=\"pg_temp_3\" \"nickname\";"),
                     "SELECT tmp.nickname FROM public.users u, tmp", "an application of after the rename means tmp's");
    cr_assert_str_eq(said(&s, unknown, "\"tmp\"=\"pg_temp_3\"?;"),
                     "! segue cannot rewrite the unqualified name \"nickname\": another FROM item may have a column of "
                     "this name");
    cr_assert_str_eq(said(&s, "SELECT nickname FROM public.users u, pg_temp.t", ""), "? \"pg_temp\".\"t\"");
    cr_assert_str_eq(said(&s, "SELECT nickname FROM public.users u, (SELECT * FROM tmp) s", ""), "? \"tmp\"");
    session_close(&s);
}

/* Each round may show that more must be known. */
Test(facts, several_names_at_once_and_in_turn) {
    struct session s = session_open(tenants);
    cr_assert_str_eq(said(&s, "SELECT nickname FROM users u, orders o, t3", ""), "? \"users\" \"orders\" \"t3\"");
    cr_assert_str_eq(said(&s, "SELECT nickname FROM users u, orders o, t3", ON_PUBLIC "\"orders\"=\"public\" \"x\";"),
                     "? \"t3\"");
    cr_assert_str_eq(said(&s, "SELECT nickname FROM users u, orders o, t3",
                          ON_PUBLIC "\"orders\"=\"public\" \"x\";\"t3\"=\"public\" \"y\";"),
                     "SELECT username AS nickname FROM users u, orders o, t3");
    cr_assert_str_eq(said(&s, "SELECT nickname FROM users u, users v", ""), "? \"users\"");
    session_close(&s);
}

Test(facts, a_unique_name_is_asked_for_only_in_doubt) {
    struct session s = session_open("CREATE TABLE users (user_id bigint, nickname text, email text)");
    static const char sql[] = "SELECT nickname FROM users";
    cr_assert_str_eq(said(&s, sql, ""), "SELECT username AS nickname FROM users");
    s.request.is_doubtful = true;
    cr_assert_str_eq(said(&s, sql, ""), "? \"users\"");
    cr_assert_str_eq(said(&s, sql, "\"users\"=\"pg_temp_3\" \"nickname\";"), "as it is");
    cr_assert_str_eq(said(&s, "SELECT nickname FROM public.users", ""),
                     "SELECT username AS nickname FROM public.users");
    session_close(&s);
}

Test(facts, names_with_quotes_and_other_letters) {
    struct session s = session_open(tenants);
    cr_assert_str_eq(said(&s, "SELECT nickname FROM public.users, \"a;b=\"\"c\"", ""), "? \"a;b=\"\"c\"");
    cr_assert_str_eq(said(&s, "SELECT nickname FROM public.users, \"a;b=\"\"c\"",
                          "\"x\"=;\"a;b=\"\"c\"=\"s;\"\"=\" \"nick\"\"name\";"),
                     "SELECT username AS nickname FROM public.users, \"a;b=\"\"c\"");
    cr_assert_str_eq(said(&s, "SELECT nickname FROM public.users, größe", ""), "? \"größe\"");
    s.request.encoding = SG_ENCODING_LATIN1;
    cr_assert(strncmp(said(&s, "SELECT nickname FROM public.users, größe", ""), "!", 1) == 0);
    session_close(&s);
}

/* The facts hold before the message: not behind a statement in it that changes them. */
Test(facts, statements_behind_one_that_changes_what_names_mean) {
    struct session s = session_open(tenants);
    const char *refusal = "! segue cannot rewrite a statement on \"users\" behind others in one message, which may "
                          "change what that name means";
    cr_assert_str_eq(said(&s, "SET search_path = tenant_2; SELECT nickname FROM users", ON_PUBLIC), refusal);
    cr_assert_str_eq(said(&s, "COMMIT; SELECT nickname FROM users", ""), refusal);
    cr_assert_str_eq(said(&s, "SELECT nickname FROM users; SET search_path = x; SELECT nickname FROM users", ON_PUBLIC),
                     refusal);
    cr_assert_str_eq(said(&s, "BEGIN; SELECT nickname FROM users; SET search_path = x", ON_PUBLIC),
                     "BEGIN; SELECT username AS nickname FROM users; SET search_path = x");
    cr_assert_str_eq(said(&s, "SET search_path = x; SELECT nickname FROM public.users", ""),
                     "SET search_path = x; SELECT username AS nickname FROM public.users");
    session_close(&s);
    s = session_open("CREATE TABLE users (user_id bigint, nickname text)");
    cr_assert_str_eq(said(&s, "CREATE TEMP TABLE users AS SELECT 1 AS x; SELECT nickname FROM users", ""), refusal);
    session_close(&s);
}

Test(facts, a_table_that_hides_the_mapped_one_is_told_of) {
    struct session s = session_open("CREATE TABLE users (user_id bigint, nickname text)");
    s.request.sql = sg_span_of("CREATE TEMP TABLE users AS SELECT * FROM users");
    const struct sg_plan *plan = sg_rewriter_plan(s.rewriter, s.snapshot, &s.request);
    cr_assert_eq(plan->action, SG_REWRITE);
    cr_assert(plan->hides_names);
    s.request.sql = sg_span_of("CREATE TEMP TABLE other AS SELECT * FROM users");
    plan = sg_rewriter_plan(s.rewriter, s.snapshot, &s.request);
    cr_assert_not(plan->hides_names);
    session_close(&s);
}

Test(facts, what_a_text_may_change) {
    static const struct {
        const char *sql;
        enum sg_effect effect;
    } cases[] = {
        {"SELECT 1", SG_EFFECT_NONE},
        {"  /* a/b */ -- c\n (select 1)", SG_EFFECT_NONE},
        {"INSERT INTO t VALUES (1); UPDATE t SET x = 1;", SG_EFFECT_NONE},
        {"WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x", SG_EFFECT_NONE},
        {"", SG_EFFECT_NONE},
        {";;", SG_EFFECT_NONE},
        {"BEGIN", SG_EFFECT_NONE},
        {"COMMIT", SG_EFFECT_ENDS},
        {"rollback to savepoint s", SG_EFFECT_ENDS},
        {"BEGIN; SELECT 1; COMMIT", SG_EFFECT_ENDS},
        {"FETCH c", SG_EFFECT_ENDS},
        {"SET search_path = x", SG_EFFECT_CHANGES},
        {"SET SESSION search_path = x", SG_EFFECT_CHANGES},
        {"SET schema 'x'", SG_EFFECT_CHANGES},
        {"SET \"search_path\" = x", SG_EFFECT_CHANGES},
        {"SET /* */ search_path = x", SG_EFFECT_CHANGES},
        {"SET LOCAL\nRole x", SG_EFFECT_CHANGES},
        {"SET SESSION AUTHORIZATION x", SG_EFFECT_CHANGES},
        {"SET NAMES 'latin1'", SG_EFFECT_CHANGES},
        {"SET U&\"search\\005fpath\" = x", SG_EFFECT_CHANGES},
        {"RESET search_path", SG_EFFECT_CHANGES},
        {"SET statement_timeout = 0; SELECT 1", SG_EFFECT_NONE},
        {"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", SG_EFFECT_NONE},
        {"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", SG_EFFECT_NONE},
        {"SET my.search_path = 'x'", SG_EFFECT_NONE},
        {"RESET statement_timeout", SG_EFFECT_NONE},
        {"sEt LOCAL search_path = x", SG_EFFECT_CHANGES},
        {"RESET ALL", SG_EFFECT_CHANGES},
        {"DISCARD ALL", SG_EFFECT_CHANGES},
        {"CREATE TEMP TABLE t (x int)", SG_EFFECT_CHANGES},
        {"SELECT 1 INTO TEMP t", SG_EFFECT_CHANGES},
        {"SELECT 'a;insert' INTO t", SG_EFFECT_CHANGES},
        {"EXECUTE p", SG_EFFECT_CHANGES},
        {"DO 'x'", SG_EFFECT_CHANGES},
        {"CALL p()", SG_EFFECT_CHANGES},
        {"SELECT set_config('search_path', 'x', false)", SG_EFFECT_CHANGES},
        {"SELECT pg_catalog.\"set_config\"('search_path', 'x', false)", SG_EFFECT_CHANGES},
        {"SELECT U&\"set\\005fconfig\"('search_path', 'x', false)", SG_EFFECT_CHANGES},
        {"UPDATE pg_settings SET setting = 'x' WHERE name = 'search_path'", SG_EFFECT_CHANGES},
        {"SELECT 1; SET search_path = x", SG_EFFECT_CHANGES},
        {"-- ; select\nSET search_path = x", SG_EFFECT_CHANGES},
        {"/* ; select */ SET search_path = x", SG_EFFECT_CHANGES},
        {"/* /* */ select */ SET search_path = x", SG_EFFECT_CHANGES},
        {"/*/ select */ SET search_path = x", SG_EFFECT_CHANGES},
        {"EXPLAIN ANALYZE EXECUTE p", SG_EFFECT_CHANGES},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_eq(sg_text_effect(sg_span_of(cases[i].sql)), cases[i].effect, "%s", cases[i].sql);
    }
}
