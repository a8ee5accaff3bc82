/* The plan cache: never an answer of another epoch, session or database, and never more memory than it was given. */
#include "world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct sg_rewriter_stats stats_of(const struct sg_rewriter *rewriter) {
    struct sg_rewriter_stats stats;
    sg_rewriter_stats(rewriter, &stats);
    return stats;
}

enum { PHASES = SG_PHASE_NEW_ONLY + 1 };

static const char sql[] = "SELECT username FROM users";

Test(plan_cache, the_second_time_is_a_hit) {
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 1);
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 16);
    cr_assert_str_eq(world_rewrite(rewriter, snapshot, sql), "SELECT nickname AS username FROM users");
    cr_assert_eq(stats_of(rewriter).cold, 1);
    cr_assert_eq(stats_of(rewriter).cache_hit, 0);
    cr_assert_str_eq(world_rewrite(rewriter, snapshot, sql), "SELECT nickname AS username FROM users");
    cr_assert_eq(stats_of(rewriter).cold, 1);
    cr_assert_eq(stats_of(rewriter).cache_hit, 1);
    cr_assert_eq(stats_of(rewriter).cache_plans, 1);
    cr_assert_gt(stats_of(rewriter).cache_bytes, 0);
    sg_rewriter_free(rewriter);
    sg_snapshot_unref(snapshot);
}

/* Refusals and statements left alone are answers too. */
Test(plan_cache, every_action_is_cached) {
    struct sg_snapshot *snapshot = world_users(SG_PHASE_READ_NEW, 1);
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 16);
    static const char *const texts[] = {"SELECT user_id FROM users", "SELECT nickname FROM users",
                                        "SELECT FROM WHERE users ((("};
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3; i++) {
            struct sg_request request = world_request(texts[i]);
            const struct sg_plan *plan = sg_rewriter_plan(rewriter, snapshot, &request);
            cr_assert_not_null(plan);
            cr_assert_eq(plan->action, (enum sg_action)i);
        }
    }
    cr_assert_eq(stats_of(rewriter).cold, 3);
    cr_assert_eq(stats_of(rewriter).cache_hit, 6);
    cr_assert_eq(stats_of(rewriter).rewritten + stats_of(rewriter).refused, 6);
    sg_rewriter_free(rewriter);
    sg_snapshot_unref(snapshot);
}

/* Sessions of one thread may be pinned to different epochs for a while; each gets its own answer, in any order. */
Test(plan_cache, an_epoch_never_answers_for_another) {
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 16);
    struct sg_snapshot *snapshots[PHASES];
    static const char *const wanted[] = {
        "INSERT INTO users (nickname) VALUES ('a') RETURNING nickname AS username",
        "INSERT INTO users (nickname, username) VALUES ('a', 'a') RETURNING nickname AS username",
        "INSERT INTO users (nickname, username) VALUES ('a', 'a') RETURNING username",
        "INSERT INTO users (username) VALUES ('a') RETURNING username",
    };
    for (int phase = 0; phase < PHASES; phase++) {
        snapshots[phase] = world_users((enum sg_phase)phase, (uint64_t)phase + 1);
    }
    unsigned seed = 7;
    for (int round = 0; round < 200; round++) {
        seed = seed * 1103515245u + 12345u;
        int phase = (int)((seed >> 16) % PHASES);
        struct sg_request request = world_request("INSERT INTO users (nickname) VALUES ('a') RETURNING username");
        const struct sg_plan *plan = sg_rewriter_plan(rewriter, snapshots[phase], &request);
        cr_assert_not_null(plan);
        cr_assert_eq(plan->epoch, (uint64_t)phase + 1);
        cr_assert_str_eq(plan->sql.ptr, wanted[phase]);
    }
    for (int phase = 0; phase < PHASES; phase++) {
        sg_snapshot_unref(snapshots[phase]);
    }
    sg_rewriter_free(rewriter);
}

/* One worker serves several databases, and each counts its epochs from the beginning. */
Test(plan_cache, another_database_with_the_same_epoch) {
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 16);
    struct sg_snapshot *a = world_users(SG_PHASE_DUAL_WRITE, 1);
    struct sg_snapshot *b = world_make("CREATE TABLE users (user_id bigint, handle text)", "users", "handle",
                                       "username", SG_PHASE_DUAL_WRITE, 1);
    for (int round = 0; round < 3; round++) {
        cr_assert_str_eq(world_rewrite(rewriter, a, sql), "SELECT nickname AS username FROM users");
        cr_assert_str_eq(world_rewrite(rewriter, b, sql), "SELECT handle AS username FROM users");
    }
    sg_snapshot_unref(a);
    sg_snapshot_unref(b);
    sg_rewriter_free(rewriter);
}

/* A snapshot that is gone may leave its address to the next one. */
Test(plan_cache, a_new_snapshot_at_the_address_of_an_old_one) {
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 20);
    for (int round = 0; round < 50; round++) {
        char name[32];
        char ddl[128];
        char wanted[128];
        snprintf(name, sizeof name, "n%d", round);
        snprintf(ddl, sizeof ddl, "CREATE TABLE users (user_id bigint, %s text)", name);
        snprintf(wanted, sizeof wanted, "SELECT %s AS username FROM users", name);
        struct sg_snapshot *snapshot = world_make(ddl, "users", name, "username", SG_PHASE_DUAL_WRITE, 1);
        cr_assert_str_eq(world_rewrite(rewriter, snapshot, sql), wanted);
        sg_snapshot_unref(snapshot);
    }
    sg_rewriter_free(rewriter);
}

/* The same text can mean different things to sessions with other settings. */
Test(plan_cache, the_sessions_settings_are_part_of_the_question) {
    struct sg_snapshot *snapshot = world_make("CREATE SCHEMA audit; CREATE TABLE audit.users (nickname text);"
                                              "CREATE TABLE users (user_id bigint, nickname text)",
                                              "users", "nickname", "username", SG_PHASE_READ_NEW, 1);
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 16);
    for (int round = 0; round < 2; round++) {
        struct sg_request request = world_request("SELECT * FROM users");
        const struct sg_plan *plan = sg_rewriter_plan(rewriter, snapshot, &request);
        cr_assert_str_eq(plan->sql.ptr, "SELECT users.user_id, users.username AS nickname, users.username FROM users");
        request.star = SG_STAR_NEW;
        plan = sg_rewriter_plan(rewriter, snapshot, &request);
        cr_assert_str_eq(plan->sql.ptr, "SELECT users.user_id, users.username FROM users");
        request.search_path = "audit, public";
        plan = sg_rewriter_plan(rewriter, snapshot, &request);
        cr_assert(!plan || plan->action == SG_PASS);
        request.search_path = NULL;
        plan = sg_rewriter_plan(rewriter, snapshot, &request);
        cr_assert_eq(plan->action, SG_REFUSE);
    }
    sg_rewriter_free(rewriter);
    sg_snapshot_unref(snapshot);
}

/* With standard_conforming_strings off a backslash hides the quote: the rest of the text is still in the string. */
Test(plan_cache, backslash_quotes_are_part_of_the_question) {
    struct sg_snapshot *snapshot = world_users(SG_PHASE_READ_NEW, 1);
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 16);
    struct sg_request request = world_request("SELECT '\\', nickname FROM users --'");
    for (int round = 0; round < 2; round++) {
        request.backslash_quotes = false;
        const struct sg_plan *plan = sg_rewriter_plan(rewriter, snapshot, &request);
        cr_assert_eq(plan->action, SG_REWRITE);
        cr_assert_str_eq(plan->sql.ptr, "SELECT '\\', username AS nickname FROM users --'");
        request.backslash_quotes = true;
        plan = sg_rewriter_plan(rewriter, snapshot, &request);
        cr_assert(!plan || plan->action != SG_REWRITE, "%s", plan ? plan->sql.ptr : "");
    }
    sg_rewriter_free(rewriter);
    sg_snapshot_unref(snapshot);
}

static void many_statements(struct sg_rewriter *rewriter, struct sg_snapshot *snapshot, size_t cache_bytes) {
    for (int i = 0; i < 3000; i++) {
        char text[256];
        char wanted[256];
        snprintf(text, sizeof text, "SELECT username FROM users AS u%d WHERE user_id = %d %*s", i, i, i % 100, "");
        snprintf(wanted, sizeof wanted, "SELECT nickname AS username FROM users AS u%d WHERE user_id = %d %*s", i, i,
                 i % 100, "");
        cr_assert_str_eq(world_rewrite(rewriter, snapshot, text), wanted);
        cr_assert_leq(stats_of(rewriter).cache_bytes, cache_bytes);
    }
}

Test(plan_cache, memory_is_bounded) {
    static const size_t bounds[] = {0, 1, 4096, 1 << 15, 1 << 18};
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 1);
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        struct sg_rewriter *rewriter = sg_rewriter_new(bounds[i]);
        many_statements(rewriter, snapshot, bounds[i]);
        struct sg_rewriter_stats stats = stats_of(rewriter);
        cr_expect_eq(stats.cold, 3000);
        cr_expect_leq(stats.cache_plans, 3000);
        if (bounds[i] >= 1 << 15) {
            cr_expect_gt(stats.cache_plans, 0, "a cache of %zu bytes holds nothing", bounds[i]);
            cr_expect_gt(stats.evicted, 0);
        }
        sg_rewriter_free(rewriter);
    }
    sg_snapshot_unref(snapshot);
}

/* What is used again and again stays, whatever else comes by once. */
Test(plan_cache, a_flood_of_other_statements_leaves_the_hot_one) {
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 1);
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 16);
    world_rewrite(rewriter, snapshot, sql);
    uint64_t hits = 0;
    for (int i = 0; i < 1000; i++) {
        char text[128];
        snprintf(text, sizeof text, "SELECT email FROM users WHERE username = 'u%d'", i);
        world_rewrite(rewriter, snapshot, text);
        uint64_t before = stats_of(rewriter).cache_hit;
        world_rewrite(rewriter, snapshot, sql);
        hits += stats_of(rewriter).cache_hit - before;
    }
    cr_assert_geq(hits, 990);
    sg_rewriter_free(rewriter);
    sg_snapshot_unref(snapshot);
}

Test(plan_cache, a_statement_larger_than_the_cache) {
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 1);
    struct sg_rewriter *rewriter = sg_rewriter_new(4096);
    size_t blanks = 100000;
    char *text = malloc(blanks + sizeof sql);
    memset(text, ' ', blanks);
    memcpy(text + blanks, sql, sizeof sql);
    for (int round = 0; round < 3; round++) {
        const char *got = world_rewrite(rewriter, snapshot, text);
        cr_assert_str_eq(got + blanks, "SELECT nickname AS username FROM users");
        cr_assert_leq(stats_of(rewriter).cache_bytes, 4096);
    }
    free(text);
    sg_rewriter_free(rewriter);
    sg_snapshot_unref(snapshot);
}

/* A prepared statement keeps its plan as long as it lives, whatever happens to the cache and the snapshot. */
Test(plan_cache, a_plan_that_is_held_outlives_cache_and_snapshot) {
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 1);
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 14);
    struct sg_request request = world_request(sql);
    const struct sg_plan *plan = sg_plan_ref(sg_rewriter_plan(rewriter, snapshot, &request));
    many_statements(rewriter, snapshot, 1 << 14);
    sg_snapshot_unref(snapshot);
    sg_rewriter_free(rewriter);
    cr_assert_str_eq(plan->sql.ptr, "SELECT nickname AS username FROM users");
    cr_assert_gt(plan->edits_len, 0);
    sg_plan_unref(plan);
    sg_plan_unref(NULL);
}
