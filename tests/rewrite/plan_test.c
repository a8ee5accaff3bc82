/* What a plan says beside its text: which names were used, and what the session's settings change. */
#include "world.h"

#include <criterion/criterion.h>

/* Which names were used, for SHOW REFERENCES. */
Test(plan, tells_which_names_were_used) {
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 1);
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 16);
    static const struct {
        const char *text;
        uint64_t used_old, used_new, used_star;
    } cases[] = {
        {"SELECT nickname FROM users", 1, 0, 0},
        {"SELECT username FROM users", 0, 1, 0},
        {"SELECT * FROM users", 0, 0, 1},
        {"SELECT nickname FROM users WHERE username = 'x'", 1, 1, 0},
        {"INSERT INTO users (nickname) VALUES ('x')", 1, 0, 0},
        {"UPDATE users SET username = 'x'", 0, 1, 0},
        {"SELECT user_id FROM users", 0, 0, 0},
        {"SELECT 1 FROM users; SELECT nickname FROM users", 1, 0, 0},
        {"SELECT p.nickname FROM players p, users u", 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sg_request request = world_request(cases[i].text);
        const struct sg_plan *plan = sg_rewriter_plan(rewriter, snapshot, &request);
        cr_assert_not_null(plan);
        cr_expect_eq(plan->used_old, cases[i].used_old, "%s", cases[i].text);
        cr_expect_eq(plan->used_new, cases[i].used_new, "%s", cases[i].text);
        cr_expect_eq(plan->used_star, cases[i].used_star, "%s", cases[i].text);
    }
    sg_rewriter_free(rewriter);
    sg_snapshot_unref(snapshot);
}

/* ---- Several mappings, each in a phase of its own ---- */

static struct sg_snapshot *person(enum sg_phase name_phase, enum sg_phase city_phase) {
    struct sg_error err = {0};
    struct sg_catalog *catalog = sg_catalog_new();
    cr_assert(sg_catalog_add_ddl(
        catalog, SG_SPAN_LIT("CREATE TABLE person (id bigint, name text, city text, full_name text, town text)"),
        &err));
    static const struct sg_column shape[] = {
        {.name = "id", .type = "int8"}, {.name = "name", .type = "text"}, {.name = "city", .type = "text"}};
    struct sg_mapping mappings[] = {{.migration = "m1",
                                     .schema = "public",
                                     .table = "person",
                                     .old_name = "name",
                                     .new_name = "full_name",
                                     .phase = name_phase,
                                     .shape = shape,
                                     .shape_len = 3},
                                    {.migration = "m2",
                                     .schema = "public",
                                     .table = "person",
                                     .old_name = "city",
                                     .new_name = "town",
                                     .phase = city_phase,
                                     .shape = shape,
                                     .shape_len = 3}};
    struct sg_snapshot *snapshot = sg_snapshot_new(1, catalog, mappings, 2, &err);
    cr_assert_not_null(snapshot, "%s", err.message);
    return snapshot;
}

static void expect(enum sg_phase name_phase, enum sg_phase city_phase, const char *sql, const char *wanted) {
    struct sg_snapshot *snapshot = person(name_phase, city_phase);
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 16);
    cr_expect_str_eq(world_rewrite(rewriter, snapshot, sql), wanted, "%s in %s and %s: %s", sql,
                     sg_phase_name(name_phase), sg_phase_name(city_phase), world_rewrite(rewriter, snapshot, sql));
    sg_rewriter_free(rewriter);
    sg_snapshot_unref(snapshot);
}

Test(plan, mappings_of_one_table_in_different_phases) {
    const char *insert = "INSERT INTO person (id, name, town) VALUES (1, 'n', 'c')";
    expect(SG_PHASE_PLANNED, SG_PHASE_DUAL_WRITE, insert,
           "INSERT INTO person (id, name, town, city) VALUES (1, 'n', 'c', 'c')");
    expect(SG_PHASE_DUAL_WRITE, SG_PHASE_NEW_ONLY, insert,
           "INSERT INTO person (id, name, town, full_name) VALUES (1, 'n', 'c', 'n')");
    expect(SG_PHASE_READ_NEW, SG_PHASE_PLANNED, insert,
           "INSERT INTO person (id, name, city, full_name) VALUES (1, 'n', 'c', 'n')");
    const char *positional = "INSERT INTO person VALUES (1, 'n', 'c')";
    expect(SG_PHASE_NEW_ONLY, SG_PHASE_DUAL_WRITE, positional,
           "INSERT INTO person (id, full_name, city, town) VALUES (1, 'n', 'c', 'c')");
    const char *star = "SELECT * FROM person WHERE full_name = city";
    expect(SG_PHASE_DUAL_WRITE, SG_PHASE_READ_NEW, star,
           "SELECT person.id, person.name, person.town AS city, person.name AS full_name, person.town FROM person "
           "WHERE name = town");
    expect(SG_PHASE_NEW_ONLY, SG_PHASE_PLANNED, star,
           "SELECT person.id, person.full_name AS name, person.city, person.full_name, person.city AS town FROM "
           "person WHERE full_name = city");
    const char *update = "UPDATE person SET name = city, town = full_name";
    expect(SG_PHASE_DUAL_WRITE, SG_PHASE_READ_NEW, update,
           "UPDATE person SET name = town, full_name = town, town = name, city = name");
    expect(SG_PHASE_PLANNED, SG_PHASE_NEW_ONLY, update, "UPDATE person SET name = town, town = name");
}

/* A retired mapping has no other name any more; its neighbour goes on. */
Test(plan, a_retired_mapping_beside_a_live_one) {
    expect(SG_PHASE_RETIRED, SG_PHASE_DUAL_WRITE, "UPDATE person SET full_name = 'x', city = 'y'",
           "UPDATE person SET full_name = 'x', city = 'y', town = 'y'");
}

/* ---- What the session's settings change ---- */

static enum sg_action action_of(struct sg_request request) {
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 1);
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 16);
    const struct sg_plan *plan = sg_rewriter_plan(rewriter, snapshot, &request);
    enum sg_action action = plan ? plan->action : SG_PASS;
    if (action == SG_REFUSE && strcmp(plan->error->sqlstate, "42601") != 0) {
        cr_expect_str_not_empty(plan->error->hint);
    }
    sg_rewriter_free(rewriter);
    sg_snapshot_unref(snapshot);
    return action;
}

/* In SJIS, BIG5, GBK and the like a backslash can be the second byte of a character. */
Test(plan, a_backslash_may_be_half_a_character) {
    struct sg_request request = world_request("INSERT INTO users (nickname) VALUES (E'\x83\x5c')");
    request.encoding = SG_ENCODING_SJIS;
    cr_expect_eq(action_of(request), SG_REWRITE);
    request.encoding = SG_ENCODING_LATIN1; /* here it is one, and the string does not end */
    cr_expect_eq(action_of(request), SG_REFUSE);
    request.encoding = SG_ENCODING_UTF8; /* no text at all: the server says so */
    cr_expect_eq(action_of(request), SG_PASS);
}

/* E'...' says itself what a backslash is; '...' depends on the setting. */
Test(plan, a_backslash_in_a_string_while_strings_are_not_standard) {
    struct sg_request request = world_request("INSERT INTO users (nickname) VALUES (E'it\\'s')");
    request.backslash_quotes = true;
    cr_expect_eq(action_of(request), SG_REWRITE);
    request.sql = sg_span_of("INSERT INTO users (nickname) VALUES ('no backslash')");
    cr_expect_eq(action_of(request), SG_REWRITE);
    request.sql = sg_span_of("INSERT INTO users (nickname) VALUES ('it\\'s')");
    cr_expect_eq(action_of(request), SG_REWRITE);
    request.backslash_quotes = false;
    cr_expect_eq(action_of(request), SG_REFUSE);
}

/* The text is what the span says, not what stands behind it. */
Test(plan, the_length_of_the_text_counts) {
    struct sg_request request = world_request("SELECT username FROM users; DROP TABLE users");
    request.sql.len = strlen("SELECT username FROM users");
    cr_expect_eq(action_of(request), SG_REWRITE);
    request.sql.len = 0;
    cr_expect_eq(action_of(request), SG_PASS);
}
