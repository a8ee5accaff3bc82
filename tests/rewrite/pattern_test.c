/* Texts of one shape: which share a plan, which must not, and that a shared plan is the one that each text would have
 * got by itself. */
#include "literals.h"
#include "world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { PHASES = SG_PHASE_NEW_ONLY + 1 };

struct pair {
    const char *first, *second;
};

static struct sg_rewriter_stats stats_of(const struct sg_rewriter *rewriter) {
    struct sg_rewriter_stats stats;
    sg_rewriter_stats(rewriter, &stats);
    return stats;
}

/* Plans both, with a cache and without; the second's plan is the same either way. True: it was made from the first's.
 */
static bool shares(const struct pair *pair, struct sg_snapshot *snapshot, struct sg_request request) {
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 20), *forgetful = sg_rewriter_new(0);
    request.sql = sg_span_of(pair->first);
    sg_rewriter_plan(rewriter, snapshot, &request);
    request.sql = sg_span_of(pair->second);
    const struct sg_plan *got = sg_rewriter_plan(rewriter, snapshot, &request);
    const struct sg_plan *wanted = sg_rewriter_plan(forgetful, snapshot, &request);
    const char *difference = plans_differ(got, wanted);
    cr_expect_null(difference, "%s differs\n  for     |%s\n  after   |%s\n  got     |%s\n  without |%s", difference,
                   pair->second, pair->first, got->sql.ptr, wanted->sql.ptr);
    bool shared = stats_of(rewriter).shape_hit == 1;
    cr_expect_eq(stats_of(rewriter).cold, shared ? 1 : 2);
    sg_rewriter_free(rewriter);
    sg_rewriter_free(forgetful);
    return shared;
}

static void all_pairs(const struct pair *pairs, size_t n, struct sg_request request, bool wanted) {
    for (int phase = 0; phase < PHASES; phase++) {
        struct sg_snapshot *snapshot = world_users((enum sg_phase)phase, 1);
        for (size_t i = 0; i < n; i++) {
            cr_expect_eq(shares(&pairs[i], snapshot, request), wanted, "%s after %s", pairs[i].second, pairs[i].first);
        }
        sg_snapshot_unref(snapshot);
    }
}

static unsigned roll(uint64_t *seed, unsigned sides) {
    *seed = *seed * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(*seed >> 33) % sides;
}

#define ALL_PAIRS(pairs, request, wanted) all_pairs((pairs), sizeof(pairs) / sizeof *(pairs), (request), (wanted))

Test(pattern, texts_that_share_a_plan) {
    static const struct pair pairs[] = {
        {"SELECT username FROM users WHERE user_id = 1", "SELECT username FROM users WHERE user_id = 1234567890123"},
        {"SELECT username FROM users WHERE nickname = 'a'", "SELECT username FROM users WHERE nickname = 'it''s ''b'"},
        {"SELECT username FROM users WHERE nickname='a'AND user_id=1",
         "SELECT username FROM users WHERE nickname='username -- /* $$'AND user_id=22"},
        {"INSERT INTO users (user_id, nickname) VALUES (1, 'a'), (2, 'b')",
         "INSERT INTO users (user_id, nickname) VALUES (10, 'users'), (20, '')"},
        {"INSERT INTO users VALUES (1, 'a', 'b')", "INSERT INTO users VALUES (1.5, 'nickname', '\"')"},
        {"UPDATE users SET nickname='a',email='b'WHERE user_id=1",
         "UPDATE users SET nickname='',email=''WHERE user_id=2"},
        {"UPDATE users SET nickname = upper('a' || 'b') WHERE user_id IN (1, 2)",
         "UPDATE users SET nickname = upper('' || 'username') WHERE user_id IN (1e3, 0)"},
        {"UPDATE users SET (nickname, email) = ('a', 'b')", "UPDATE users SET (nickname, email) = ('abc', '')"},
        {"UPDATE users SET nickname = md5(random()::text || 'a')",
         "UPDATE users SET nickname = md5(random()::text || '')"},
        {"SELECT username FROM users WHERE user_id = -1 OR user_id = - 5",
         "SELECT username FROM users WHERE user_id = -77 OR user_id = - 1.5"},
        {"SELECT 1-1, username FROM users LIMIT 10 OFFSET 20", "SELECT 5-7, username FROM users LIMIT 100 OFFSET 0"},
        {"SELECT username FROM users ORDER BY 1", "SELECT username FROM users ORDER BY 2"},
        {"SELECT * FROM users WHERE email LIKE 'a%' ESCAPE '!'", "SELECT * FROM users WHERE email LIKE '%' ESCAPE ''"},
        {"SELECT username FROM users WHERE now() > date '2020-01-01' - interval '1 day'",
         "SELECT username FROM users WHERE now() > date '' - interval '1000 years'"},
        {"SELECT x.username FROM (SELECT username, 'a' FROM users WHERE user_id = 3) x JOIN players ON true",
         "SELECT x.username FROM (SELECT username, 'bc' FROM users WHERE user_id = 33) x JOIN players ON true"},
        {"WITH w AS (SELECT 'a'::text AS t) UPDATE users SET nickname = w.t FROM w WHERE email = 'c'",
         "WITH w AS (SELECT ''::text AS t) UPDATE users SET nickname = w.t FROM w WHERE email = 'long'"},
        {"SELECT username FROM users /* 7 */ WHERE user_id = 7 -- 7",
         "SELECT username FROM users /* 7 */ WHERE user_id = 8 -- 7"},
        {"SELECT count(*) FROM users WHERE user_id = 1", "SELECT count(*) FROM users WHERE user_id = 2"},
        {"SELECT username FROM users WHERE user_id = $1 AND email = 'a'",
         "SELECT username FROM users WHERE user_id = $1 AND email = 'bb'"},
        {"SELECT 1; SELECT username FROM users; SELECT 'a'", "SELECT 22; SELECT username FROM users; SELECT 'bbb'"},
        {"EXPLAIN SELECT username FROM users WHERE user_id = 1",
         "EXPLAIN SELECT username FROM users WHERE user_id = 2"},
        {"SELECT username::varchar(5) FROM users WHERE user_id = 1",
         "SELECT username::varchar(5) FROM users WHERE user_id = 2"},
        {"SELECT \"username\"FROM users WHERE'\303\251'=nickname", "SELECT \"username\"FROM users WHERE'e'=nickname"},
    };
    ALL_PAIRS(pairs, world_request(""), true);
}

/* Whatever is not a mere value to the parser, and whatever the one pass is not sure of. */
Test(pattern, texts_that_must_not) {
    static const struct pair pairs[] = {
        {"SELECT username FROM users WHERE user_id = 1", "SELECT username FROM users WHERE user_id = '1'"},
        {"SELECT username FROM users WHERE nickname = 'a'", "SELECT username FROM users WHERE nickname = NULL"},
        {"SELECT username FROM users WHERE user_id IN (1)", "SELECT username FROM users WHERE user_id IN (1, 1)"},
        {"SELECT username FROM users WHERE user_id = 1", "SELECT username FROM users WHERE user_id = -1"},
        {"SELECT username FROM users WHERE user_id = 1", "SELECT username FROM users WHERE user_id =  1"},
        {"SELECT username::varchar(5) FROM users", "SELECT username::varchar(6) FROM users"},
        {"SELECT username, '1'::float(5) FROM users", "SELECT username, '1'::float(50) FROM users"},
        {"SELECT username, '{}'::int[3] FROM users", "SELECT username, '{}'::int[4] FROM users"},
        {"SELECT username, interval(0) '1' FROM users", "SELECT username, interval(3) '1' FROM users"},
        {"SELECT username, E'a' FROM users", "SELECT username, E'b' FROM users"},
        {"SELECT username, E'\\'', 'a' FROM users", "SELECT username, E'\\'', 'nickname' FROM users -- '"},
        {"SELECT username, B'1' FROM users", "SELECT username, B'0' FROM users"},
        {"SELECT username, x'1' FROM users", "SELECT username, x'0' FROM users"},
        {"SELECT username, N'1' FROM users", "SELECT username, N'0' FROM users"},
        {"SELECT username, $$1$$ FROM users", "SELECT username, $$2$$ FROM users"},
        {"SELECT username, $a$ 'x' $a$ FROM users", "SELECT username, $a$ 'y' $a$ FROM users"},
        {"SELECT username, U&'a!0061' UESCAPE '!' FROM users", "SELECT username, U&'a!0061' UESCAPE '#' FROM users"},
        {"SELECT username AS U&\"a!0061\" UESCAPE '!' FROM users",
         "SELECT username AS U&\"a!0061\" UESCAPE '#' FROM users"},
        {"SELECT username, 'a'\n'b' FROM users", "SELECT username, 'a'\n'c' FROM users"},
        {"SELECT username FROM users WHERE user_id = $1", "SELECT username FROM users WHERE user_id = $2"},
        {"SELECT username AS a1 FROM users", "SELECT username AS a2 FROM users"},
        {"SELECT username AS \"1\" FROM users", "SELECT username AS \"2\" FROM users"},
        {"SELECT username FROM users -- 1", "SELECT username FROM users -- 2"},
        {"SELECT username FROM users /* 'a' */", "SELECT username FROM users /* 'b' */"},
        {"SELECT username FROM users /*+ SeqScan(1) */ WHERE user_id = 7",
         "SELECT username FROM users /*+ SeqScan(2) */ WHERE user_id = 7"},
        {"SELECT username FROM users WHERE user_id = 1", "SELECT username FROM users WHERE user_id = 1and true"},
        {"SELECT username FROM users WHERE user_id = 1", "SELECT username FROM users WHERE user_id = 1.. "},
        {"COPY users (nickname) FROM STDIN DELIMITER ','", "COPY users (nickname) FROM STDIN DELIMITER ';'"},
        {"COPY users (nickname) FROM STDIN WHERE user_id > 1", "COPY users (nickname) FROM STDIN WHERE user_id > 2"},
        {"SELECT username FROM users WHERE user_id = 1 FROM", "SELECT username FROM users WHERE user_id = 2 FROM"},
        {"SELECT username FROM users WHERE email = 'b'", "SELECT username FROM users WHERE email = 'b\xff'"},
        {"DO 'SELECT 1 FROM users'", "DO 'SELECT 2 FROM users'"},
        {"SELECT username FROM users WHERE email = 'a", "SELECT username FROM users WHERE email = 'b"},
        {"SELECT username FROM users WHERE user_id = 1 /* ", "SELECT username FROM users WHERE user_id = 2 /* "},
    };
    for (int phase = SG_PHASE_DUAL_WRITE; phase <= SG_PHASE_READ_NEW; phase++) {
        struct sg_snapshot *snapshot = world_users((enum sg_phase)phase, 1);
        for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
            cr_expect_not(shares(&pairs[i], snapshot, world_request("")), "%s after %s", pairs[i].second,
                          pairs[i].first);
        }
        sg_snapshot_unref(snapshot);
    }
}

/* Where a string ends is not plain from its bytes. */
Test(pattern, settings_under_which_nothing_is_shared) {
    static const struct pair pairs[] = {
        {"SELECT username FROM users WHERE nickname = 'a'", "SELECT username FROM users WHERE nickname = 'b'"},
    };
    struct sg_request request = world_request("");
    request.backslash_quotes = true;
    ALL_PAIRS(pairs, request, false);
    request = world_request("");
    request.encoding = SG_ENCODING_SJIS;
    ALL_PAIRS(pairs, request, false);
}

/* Several statements, where the server can be asked what names mean: only while none of them can change the answer,
 * which is judged by words, wherever they stand. */
Test(pattern, texts_of_several_statements) {
    static const struct pair alike[] = {
        {"UPDATE users SET nickname = 'a' WHERE user_id = 1; UPDATE users SET nickname = 'b' WHERE user_id = 2",
         "UPDATE users SET nickname = '' WHERE user_id = 10; UPDATE users SET nickname = 'it''s' WHERE user_id = 20"},
        {"SELECT username FROM users WHERE email = 'a'; SELECT 'b', nickname FROM users",
         "SELECT username FROM users WHERE email = 'of'; SELECT 'set', nickname FROM users"},
    };
    static const struct pair others[] = {
        {"SELECT username FROM users WHERE email = 'a'; SELECT 'b', nickname FROM users",
         "SELECT username FROM users WHERE email = 'into'; SELECT 'b', nickname FROM users"},
        {"SELECT username FROM users WHERE email = 'a'; SELECT 'b', nickname FROM users",
         "SELECT username FROM users WHERE email = 'set_config('; SELECT 'b', nickname FROM users"},
        {"SELECT username FROM users WHERE email = 'a'; COMMIT; SELECT 'b', nickname FROM users",
         "SELECT username FROM users WHERE email = 'aa'; COMMIT; SELECT 'b', nickname FROM users"},
    };
    struct sg_request request = world_request("");
    request.search_path = NULL;
    request.can_ask = true;
    ALL_PAIRS(alike, request, true);
    ALL_PAIRS(others, request, false);
}

/* A text that comes again and again is answered by its own plan, not by its shape's. */
Test(pattern, a_text_that_comes_again_gets_a_plan_of_its_own) {
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 1);
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 20);
    char text[100];
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "SELECT username FROM users WHERE user_id = %d", i);
        world_rewrite(rewriter, snapshot, text);
    }
    cr_expect_eq(stats_of(rewriter).cold, 1);
    cr_expect_eq(stats_of(rewriter).shape_hit, 99);
    cr_expect_eq(stats_of(rewriter).cache_plans, 1, "texts that came once take no room");
    for (int i = 0; i < 100; i++) {
        world_rewrite(rewriter, snapshot, text);
    }
    cr_expect_eq(stats_of(rewriter).cold, 1);
    cr_expect_eq(stats_of(rewriter).shape_hit, 100);
    cr_expect_eq(stats_of(rewriter).cache_hit, 99);
    cr_expect_eq(stats_of(rewriter).cache_plans, 2);
    sg_rewriter_free(rewriter);
    sg_snapshot_unref(snapshot);
}

/* Sessions of one worker, in different epochs and with different settings, send texts of the same few shapes. */
Test(pattern, a_shape_never_answers_for_another_epoch_or_session) {
    static const char *const formats[] = {
        "SELECT username, %d FROM users", "UPDATE users SET nickname = 'a' WHERE user_id = %d",
        "SELECT *, 'ü', %d FROM users WHERE nope = 'ü'", "INSERT INTO users VALUES (%d, 'b') RETURNING username, 'ü'"};
    static const char *const paths[] = {"public", "audit, public", "\"$user\", public", NULL};
    struct sg_snapshot *snapshots[PHASES];
    for (int phase = 0; phase < PHASES; phase++) {
        snapshots[phase] = world_make("CREATE SCHEMA audit; CREATE TABLE audit.users (user_id bigint, nickname text);"
                                      "CREATE TABLE users (user_id bigint, nickname text)",
                                      "users", "nickname", "username", (enum sg_phase)phase, (uint64_t)phase + 1);
    }
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 20), *forgetful = sg_rewriter_new(0);
    uint64_t seed = 3;
    for (int i = 0; i < 5000; i++) {
        char text[200];
        snprintf(text, sizeof text, formats[roll(&seed, 4)], (int)roll(&seed, 100000));
        struct sg_request request = world_request(text);
        request.star = (enum sg_star)roll(&seed, 3);
        request.search_path = paths[roll(&seed, 4)];
        request.encoding = roll(&seed, 2) ? SG_ENCODING_UTF8 : SG_ENCODING_LATIN1;
        request.extended = roll(&seed, 2);
        struct sg_snapshot *snapshot = snapshots[roll(&seed, PHASES)];
        const struct sg_plan *got = sg_rewriter_plan(rewriter, snapshot, &request);
        const char *difference = plans_differ(got, sg_rewriter_plan(forgetful, snapshot, &request));
        cr_assert_null(difference, "%s differs for %s", difference, text);
    }
    cr_expect_gt(stats_of(rewriter).shape_hit, 1500, "%llu", (unsigned long long)stats_of(rewriter).shape_hit);
    for (int phase = 0; phase < PHASES; phase++) {
        sg_snapshot_unref(snapshots[phase]);
    }
    sg_rewriter_free(rewriter);
    sg_rewriter_free(forgetful);
}

/* One shape keeps one pattern: what is bound in it, another text may replace, and memory does not grow. */
Test(pattern, bound_literals_take_turns) {
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 1);
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 20);
    size_t bytes = 0;
    for (int i = 0; i < 300; i++) {
        char text[100];
        char wanted[100];
        snprintf(text, sizeof text, "SELECT username::varchar(%d) FROM users WHERE user_id = %d", 100 + i % 3, 100 + i);
        snprintf(wanted, sizeof wanted, "SELECT nickname::varchar(%d) AS username FROM users WHERE user_id = %d",
                 100 + i % 3, 100 + i);
        cr_assert_str_eq(world_rewrite(rewriter, snapshot, text), wanted);
        bytes = bytes ? bytes : stats_of(rewriter).cache_bytes;
        cr_assert_eq(stats_of(rewriter).cache_bytes, bytes);
    }
    cr_expect_eq(stats_of(rewriter).cold, 300);
    cr_expect_eq(stats_of(rewriter).cache_plans, 1);
    sg_rewriter_free(rewriter);
    sg_snapshot_unref(snapshot);
}

/* ---- Random statements ---- */

static void put(char *text, size_t size, const char *more) {
    size_t len = strlen(text);
    snprintf(text + len, size - len, "%s", more);
}

static void put_expression(char *text, size_t size, uint64_t *seed, int depth) {
    static const char *const leaves[] = {
        "1",          "'a'",           "-5",    "- 2.5",   "$1",  "'it''s'",   "nickname", "email",
        "u.username", "user_id",       "NULL",  "E'x\\n'", "1e3", "'x'::text", "now()",    "date '2020-01-01'",
        "'a'\n'b'",   "'{1}'::int[2]", "$$q$$", "username"};
    static const char *const around[][2] = {{"lower(", ")"},
                                            {"(", " || '7')"},
                                            {"coalesce(", ", 'none', '')"},
                                            {"CASE WHEN user_id > 10 THEN ", " ELSE 'z' END"},
                                            {"(SELECT ", " FROM users AS v WHERE v.user_id = 3 LIMIT 1)"},
                                            {"", "::varchar(20)"},
                                            {"1 + ", " - 1"}};
    if (depth == 0 || roll(seed, 2)) {
        put(text, size, leaves[roll(seed, sizeof leaves / sizeof *leaves)]);
        return;
    }
    unsigned which = roll(seed, sizeof around / sizeof *around);
    put(text, size, around[which][0]);
    put_expression(text, size, seed, depth - 1);
    put(text, size, around[which][1]);
}

static void random_statement(char *text, size_t size, uint64_t *seed) {
    static const struct {
        const char *before, *between, *after;
    } kinds[] = {
        {"SELECT u.nickname, ", ", * FROM users AS u WHERE username = ", " ORDER BY 1 LIMIT 10"},
        {"SELECT (", "), username FROM users u NATURAL JOIN players WHERE nickname IN ('a', ", ", 'b')"},
        {"UPDATE users AS u SET nickname = ", ", email = '1' WHERE user_id = 5 AND email = ", " RETURNING *"},
        {"UPDATE users u SET (email, username) = (", ", ", ")"},
        {"INSERT INTO users AS u (user_id, username) VALUES (1, ", "), (2, ", ") ON CONFLICT DO NOTHING"},
        {"INSERT INTO users AS u VALUES (3, ", ", ", ")"},
        {"INSERT INTO users AS u (nickname, email) SELECT ", ", ", " FROM players WHERE player_id < 9"},
        {"DELETE FROM users u WHERE nickname = ", " OR user_id = ", ";SELECT 7"},
        {"WITH w AS (SELECT username, ", " FROM users u) SELECT *, ", " FROM w, users u LIMIT 3"},
        {"MERGE INTO users u USING players p ON p.nickname = u.nickname AND user_id > 3 WHEN MATCHED AND 'x' <> ",
         " THEN UPDATE SET nickname = ", " WHEN NOT MATCHED THEN INSERT (user_id, nickname) VALUES (4, 'four')"},
    };
    unsigned kind = roll(seed, sizeof kinds / sizeof *kinds);
    text[0] = '\0';
    put(text, size, kinds[kind].before);
    put_expression(text, size, seed, 3);
    put(text, size, kinds[kind].between);
    put_expression(text, size, seed, 3);
    put(text, size, kinds[kind].after);
}

/* With a cache and without, statement after statement, each with several sets of literals. */
Test(pattern, the_plan_of_a_shape_is_the_plan_of_each_text) {
    uint64_t seed = 15;
    for (int phase = 0; phase < PHASES; phase++) {
        struct sg_snapshot *snapshot = world_users((enum sg_phase)phase, 1);
        struct sg_rewriter *rewriter = sg_rewriter_new(1 << 18), *forgetful = sg_rewriter_new(0);
        for (int i = 0; i < 1000; i++) {
            char text[2048];
            random_statement(text, sizeof text, &seed);
            for (int k = 0; k < 5; k++) {
                char *sql = k ? other_literals(sg_span_of(text), &seed) : strdup(text);
                struct sg_request request = world_request(sql);
                const struct sg_plan *got = sg_rewriter_plan(rewriter, snapshot, &request);
                const struct sg_plan *wanted = sg_rewriter_plan(forgetful, snapshot, &request);
                const char *difference = plans_differ(got, wanted);
                cr_assert_null(difference, "%s differs for |%s\n  got     |%s\n  without |%s", difference, sql,
                               got->sql.ptr, wanted->sql.ptr);
                free(sql);
            }
        }
        struct sg_rewriter_stats stats = stats_of(rewriter);
        cr_expect_gt(stats.shape_hit, 1000, "%llu", (unsigned long long)stats.shape_hit);
        cr_expect_gt(stats.rewritten, 1000, "%llu", (unsigned long long)stats.rewritten);
        sg_rewriter_free(rewriter);
        sg_rewriter_free(forgetful);
        sg_snapshot_unref(snapshot);
    }
}
