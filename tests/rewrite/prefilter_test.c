/* sg_prefilter_may_match: false is certain, so every spelling of a mapped name must answer true. */
#include "segue/arena.h"
#include "world.h"

#include <criterion/criterion.h>
#include <stdio.h>

static void each(struct sg_snapshot *snapshot, const char *const *texts, size_t n, bool wanted) {
    for (size_t i = 0; i < n; i++) {
        cr_expect_eq(sg_prefilter_may_match(snapshot, sg_span_of(texts[i]), SG_ENCODING_UTF8), wanted, "%s", texts[i]);
    }
}

#define EACH(snapshot, wanted, ...)                                      \
    do {                                                                 \
        static const char *const texts[] = {__VA_ARGS__};                \
        each((snapshot), texts, sizeof texts / sizeof *texts, (wanted)); \
    } while (0)

Test(prefilter, every_spelling_of_the_tables_name) {
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 1);
    EACH(snapshot, true, "SELECT * FROM users", "INSERT INTO users VALUES (1, 'a')", "select * from USERS",
         "select * from \"users\"", "select*from users", "SELECT * FROM public.users", "SELECT * FROM public . Users",
         "TABLE users", "SELECT * FROM/**/users/**/", "SELECT * FROM--\nusers", "SELECT count(*)FROM(users)",
         "SELECT * FROM \"public\".\"users\"", "users", "COPY users FROM STDIN", "\"users\"", "UsErS;");
    sg_snapshot_unref(snapshot);
}

/* `U&"\0075sers"` is users; with UESCAPE any character may be the escape. Such text is always a maybe. */
Test(prefilter, unicode_escapes) {
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 1);
    EACH(snapshot, true, "SELECT * FROM U&\"\\0075sers\"", "SELECT * FROM u&\"\\+000075sers\"",
         "SELECT * FROM U&\"!0075sers\" UESCAPE '!'", "SELECT * FROM x, U&\"us\\0065rs\"");
    sg_snapshot_unref(snapshot);
}

/* The search goes by blocks, the last of which overlaps: no place and no length may be missed. */
Test(prefilter, at_every_place_of_every_length) {
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 1);
    char text[80];
    for (size_t len = 5; len <= sizeof(text); len++) {
        for (size_t at = 0; at + 5 <= len; at++) {
            memset(text, '+', sizeof(text));
            memcpy(text + at, "UseRs", 5);
            cr_expect(sg_prefilter_may_match(snapshot, (struct sg_span){text, len}, SG_ENCODING_UTF8), "%zu of %zu", at,
                      len);
            text[at + 4] = 'z'; /* begins like it, and what follows ends like it */
            memset(text + at + 5, 's', sizeof(text) - at - 5);
            cr_expect_not(sg_prefilter_may_match(snapshot, (struct sg_span){text, len}, SG_ENCODING_UTF8), "%zu of %zu",
                          at, len);
        }
    }
    sg_snapshot_unref(snapshot);
}

/* A statement that cannot concern the mapping must cost no parse: this is most of the traffic. */
Test(prefilter, other_statements_are_certain) {
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 1);
    EACH(snapshot, false, "", "SELECT 1", "BEGIN", "SELECT * FROM orders WHERE id = $1", "SELECT nickname FROM players",
         "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = 5", "SELECT * FROM user", "SELECT user_s",
         "INSERT INTO players (player_id, nickname) VALUES (1, 'x')", "SELECT us, ers", "SELECT 'u', 's', 'ers'");
    sg_snapshot_unref(snapshot);
}

Test(prefilter, without_mappings_nothing_matches) {
    struct sg_error err = {0};
    struct sg_catalog *catalog = sg_catalog_new();
    cr_assert(sg_catalog_add_ddl(catalog, SG_SPAN_LIT("CREATE TABLE users (nickname text)"), &err));
    struct sg_snapshot *snapshot = sg_snapshot_new(1, catalog, NULL, 0, &err);
    cr_assert_not_null(snapshot);
    EACH(snapshot, false, "SELECT nickname FROM users", "SELECT * FROM U&\"users\"", "");
    sg_snapshot_unref(snapshot);
}

Test(prefilter, a_table_whose_name_needs_quotes) {
    struct sg_snapshot *snapshot = world_make("CREATE TABLE \"Shop \"\"Items\"\"\" (id bigint, a text)",
                                              "Shop \"Items\"", "a", "b", SG_PHASE_PLANNED, 1);
    EACH(snapshot, true, "SELECT a FROM \"Shop \"\"Items\"\"\"", "SELECT * FROM public.\"Shop \"\"Items\"\"\"");
    EACH(snapshot, false, "SELECT a FROM shop", "SELECT 1");
    sg_snapshot_unref(snapshot);
}

/* PostgreSQL folds only ASCII in a multi-byte encoding; letters of other alphabets stand for themselves. */
Test(prefilter, letters_outside_ascii) {
    struct sg_snapshot *snapshot =
        world_make("CREATE TABLE \"люди\" (id bigint, a text)", "люди", "a", "b", SG_PHASE_PLANNED, 1);
    EACH(snapshot, true, "SELECT a FROM люди", "SELECT a FROM \"люди\"", "SELECT a FROM public.люди");
    EACH(snapshot, false, "SELECT a FROM люд", "SELECT 'ж' FROM x");
    sg_snapshot_unref(snapshot);
}

/* PostgreSQL cuts names at 63 bytes, so a longer spelling means the same table. */
Test(prefilter, a_name_cut_at_63_bytes) {
    static const char name[] = "a23456789012345678901234567890123456789012345678901234567890123";
    cr_assert_eq(sizeof name - 1, 63);
    char sql[256];
    snprintf(sql, sizeof sql, "CREATE TABLE %s (id bigint, a text)", name);
    struct sg_snapshot *snapshot = world_make(sql, name, "a", "b", SG_PHASE_PLANNED, 1);
    snprintf(sql, sizeof sql, "SELECT b FROM %s_and_more", name);
    cr_expect(sg_prefilter_may_match(snapshot, sg_span_of(sql), SG_ENCODING_UTF8), "%s", sql);
    sg_snapshot_unref(snapshot);
}

/* Names that begin alike are searched together: none may be lost among them, whatever is in it. */
static const char *const many_names[] = {
    "events",
    "events_2024_01",
    "events_2024_02",
    "Events_2024_03",
    "events_2024",
    "events 2024",
    "events-old",
    "event",
    "even",
    "events$x",
    "events_люди",
    "q\"quoted_part\"",
    "ev",
    "users",
    "users_backup",
    "users_",
    "tenants",
    "a",
    "zebra_1",
    "zebra_10",
    "zebra_100",
    "parts of",
    "parts_1",
    "parts-list",
    "parts_2",
    "events_2345678901234567890123456789012345678901234567890123456",
    "events_23456789012345678901234567890123456789012345678901",
};
enum { MANY = sizeof many_names / sizeof *many_names };

static struct sg_snapshot *many_tables(void) {
    struct sg_catalog *catalog = sg_catalog_new();
    static const struct sg_column column = {.name = "a", .type = "text"};
    static const char *const schemas[] = {"one", "two"};
    struct sg_mapping mappings[2 * MANY];
    for (size_t i = 0; i < 2 * MANY; i++) {
        const char *schema = schemas[i % 2];
        size_t relation = sg_catalog_add_relation(catalog, schema, many_names[i / 2], 'r');
        sg_catalog_add_column(catalog, relation, &column);
        mappings[i] = (struct sg_mapping){.migration = "m",
                                          .schema = schema,
                                          .table = many_names[i / 2],
                                          .old_name = "a",
                                          .new_name = "b",
                                          .phase = SG_PHASE_PLANNED,
                                          .shape = &column,
                                          .shape_len = 1};
    }
    struct sg_error err = {0};
    struct sg_snapshot *snapshot = sg_snapshot_new(1, catalog, mappings, 2 * MANY, &err);
    cr_assert_not_null(snapshot, "%s", err.message);
    return snapshot;
}

Test(prefilter, many_tables_whose_names_begin_alike) {
    struct sg_snapshot *snapshot = many_tables();
    static const char *const formats[] = {"%s", "SELECT * FROM %s", "SELECT * FROM one.\"%s\" WHERE a = 'events_no'",
                                          "SELECT 'eventsevents', events_2024_0 FROM \"%s\"",
                                          "SELECT no_events_2024_01, zebra_ FROM (SELECT * FROM\"%s\")"};
    for (size_t i = 0; i < MANY; i++) {
        struct sg_span quoted;
        struct sg_arena arena;
        sg_arena_init(&arena, 0);
        sg_quote_ident(&arena, many_names[i], &quoted);
        const char *bare = sg_arena_strndup(&arena, quoted.ptr, quoted.len);
        for (size_t k = 0; k < sizeof formats / sizeof *formats; k++) {
            bool is_quoted = bare[0] == '"', has_quotes = strchr(formats[k], '"') != NULL;
            char sql[400], name[200];
            snprintf(name, sizeof name, "%.*s", (int)strlen(bare) - (is_quoted && has_quotes ? 2 : 0),
                     bare + (is_quoted && has_quotes));
            snprintf(sql, sizeof sql, formats[k], name);
            cr_expect(sg_prefilter_may_match(snapshot, sg_span_of(sql), SG_ENCODING_UTF8), "%s", sql);
        }
        sg_arena_free(&arena);
    }
    EACH(snapshot, false, "", "SELECT 1", "SELECT * FROM eventsx", "SELECT * FROM events_2024_0",
         "SELECT * FROM events_202", "SELECT * FROM xevents", "SELECT * FROM user", "SELECT * FROM zebra_",
         "SELECT * FROM zebra_1000, zebra_01", "SELECT * FROM usersusers", "SELECT * FROM events_2024_011",
         "SELECT ab FROM bev", "SELECT * FROM events_люд");
    sg_snapshot_unref(snapshot);
}

/* What the filter lets pass and what the rewriter does must agree: NULL is only for text that cannot matter. */
Test(prefilter, the_rewriter_says_null_exactly_for_certain_texts) {
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 1);
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 16);
    struct sg_request other = world_request("SELECT 1");
    cr_expect_null(sg_rewriter_plan(rewriter, snapshot, &other));
    struct sg_request ours = world_request("SELECT username FROM users");
    const struct sg_plan *plan = sg_rewriter_plan(rewriter, snapshot, &ours);
    cr_assert_not_null(plan);
    cr_expect_eq(plan->action, SG_REWRITE);
    cr_expect_null(sg_rewriter_plan(rewriter, NULL, &ours), "no snapshot: everything passes");
    struct sg_rewriter_stats stats;
    sg_rewriter_stats(rewriter, &stats);
    cr_expect_geq(stats.prefilter_pass, 1);
    cr_expect_eq(stats.cold, 1);
    cr_expect_eq(stats.rewritten, 1);
    sg_rewriter_free(rewriter);
    sg_snapshot_unref(snapshot);
}
