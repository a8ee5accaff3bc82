/* catalog and snapshot: what is believed of a database, and what is refused as nonsense. */
#include "world.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const char users_ddl[] = "CREATE TABLE users (user_id bigint PRIMARY KEY, nickname varchar(100), email text)";

static struct sg_catalog *catalog_of(const char *ddl) {
    struct sg_error err = {0};
    struct sg_catalog *catalog = sg_catalog_new();
    cr_assert(sg_catalog_add_ddl(catalog, sg_span_of(ddl), &err), "%s", err.message);
    return catalog;
}

static const struct sg_column shape[] = {{.name = "user_id", .type = "bigint"},
                                         {.name = "nickname", .type = "character varying"},
                                         {.name = "email", .type = "text"}};

static struct sg_mapping mapping_of(const char *old_name, const char *new_name) {
    return (struct sg_mapping){.migration = "m",
                               .schema = "public",
                               .table = "users",
                               .old_name = old_name,
                               .new_name = new_name,
                               .phase = SG_PHASE_PLANNED,
                               .shape = shape,
                               .shape_len = 3};
}

/* ---- Names ---- */

Test(names, phases_and_back) {
    for (int i = SG_PHASE_PLANNED; i <= SG_PHASE_RETIRED; i++) {
        enum sg_phase got;
        cr_assert(sg_phase_from_name(sg_phase_name((enum sg_phase)i), &got));
        cr_assert_eq(got, (enum sg_phase)i);
    }
    cr_assert_str_eq(sg_phase_name(SG_PHASE_DUAL_WRITE), "dual_write");
    enum sg_phase untouched = SG_PHASE_READ_NEW;
    cr_assert_not(sg_phase_from_name("dual", &untouched));
    cr_assert_not(sg_phase_from_name("", &untouched));
    cr_assert_eq(untouched, SG_PHASE_READ_NEW);
}

Test(names, stars_and_back) {
    for (int i = SG_STAR_BOTH; i <= SG_STAR_NEW; i++) {
        enum sg_star got;
        cr_assert(sg_star_from_name(sg_star_name((enum sg_star)i), &got));
        cr_assert_eq(got, (enum sg_star)i);
    }
    enum sg_star untouched = SG_STAR_OLD;
    cr_assert_not(sg_star_from_name("none", &untouched));
    cr_assert_eq(untouched, SG_STAR_OLD);
}

/* ---- Catalog from DDL ---- */

Test(catalog, columns_in_order_with_types_and_defaults) {
    struct sg_catalog *catalog =
        catalog_of("CREATE TABLE t (a bigint GENERATED ALWAYS AS IDENTITY, \"B b\" varchar(10) "
                   "DEFAULT 'x', c numeric(10, 2)[], d int GENERATED ALWAYS AS (1 + 1) STORED,"
                   " CHECK (a > 0), UNIQUE (c))");
    size_t n = 0;
    const struct sg_column *columns = sg_catalog_columns(catalog, "public", "t", &n);
    cr_assert_eq(n, 4);
    cr_assert_str_eq(columns[0].name, "a");
    cr_assert_str_eq(columns[0].type, "int8");
    cr_assert(columns[0].is_identity);
    cr_assert_null(columns[0].default_sql);
    cr_assert_str_eq(columns[1].name, "B b");
    cr_assert_str_eq(columns[1].type, "varchar");
    cr_assert_str_eq(columns[1].default_sql, "'x'");
    cr_assert_str_eq(columns[2].name, "c");
    cr_assert_not_null(strstr(columns[2].type, "[]"), "%s", columns[2].type);
    cr_assert(columns[3].is_generated);
    cr_assert_not(columns[3].is_identity);
    sg_catalog_free(catalog);
}

Test(catalog, alter_table_adds_a_column) {
    struct sg_catalog *catalog = catalog_of("CREATE TABLE t (a int); ALTER TABLE t ADD COLUMN b text, ADD c date; "
                                            "ALTER TABLE ONLY public.t ADD COLUMN IF NOT EXISTS d int");
    size_t n = 0;
    const struct sg_column *columns = sg_catalog_columns(catalog, "public", "t", &n);
    cr_assert_eq(n, 4);
    cr_assert_str_eq(columns[1].name, "b");
    cr_assert_str_eq(columns[2].name, "c");
    cr_assert_str_eq(columns[3].name, "d");
    sg_catalog_free(catalog);
}

Test(catalog, other_statements_are_ignored) {
    struct sg_catalog *catalog =
        catalog_of("SET x = 1; CREATE SCHEMA s; CREATE INDEX ON s.t (a); CREATE TABLE s.t (a int);"
                   "INSERT INTO s.t VALUES (1); COMMENT ON TABLE s.t IS 'CREATE TABLE u (b int)'");
    size_t n = 0;
    cr_assert_not_null(sg_catalog_columns(catalog, "s", "t", &n));
    cr_assert_eq(n, 1);
    cr_assert_null(sg_catalog_columns(catalog, "public", "t", &n));
    cr_assert_null(sg_catalog_columns(catalog, "public", "u", &n));
    sg_catalog_free(catalog);
}

Test(catalog, names_are_folded_unless_quoted) {
    struct sg_catalog *catalog = catalog_of("CREATE TABLE Users (UserId int); CREATE TABLE \"Users\" (\"UserId\" int)");
    size_t n = 0;
    cr_assert_str_eq(sg_catalog_columns(catalog, "public", "users", &n)->name, "userid");
    cr_assert_str_eq(sg_catalog_columns(catalog, "public", "Users", &n)->name, "UserId");
    sg_catalog_free(catalog);
}

Test(catalog, ddl_that_does_not_parse) {
    struct sg_error err = {0};
    struct sg_catalog *catalog = sg_catalog_new();
    cr_assert_not(sg_catalog_add_ddl(catalog, SG_SPAN_LIT("CREATE TABLE t (a int"), &err));
    cr_assert_str_eq(err.sqlstate, "42601");
    cr_assert_str_not_empty(err.message);
    sg_catalog_free(catalog);
}

static const char *described(const struct sg_column *columns, size_t n) {
    static char text[200];
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < n; i++)
        len +=
            (size_t)snprintf(text + len, sizeof text - len, "%s%s %s", i ? ", " : "", columns[i].name, columns[i].type);
    return text;
}

/* Partitions and children at any depth, however they came below the table; each is met once. */
Test(catalog, tables_below_a_table) {
    struct sg_catalog *catalog =
        catalog_of("CREATE TABLE t (id int, o text) PARTITION BY RANGE (id);"
                   "CREATE TABLE p1 PARTITION OF t FOR VALUES FROM (0) TO (9) PARTITION BY RANGE (id);"
                   "CREATE TABLE p2 (o text, id int); ALTER TABLE t ATTACH PARTITION p2 DEFAULT;"
                   "CREATE TABLE p1a PARTITION OF p1 FOR VALUES FROM (0) TO (5);"
                   "CREATE TABLE s.twice (x int) INHERITS (t, p2); CREATE TABLE l (k int, LIKE t);"
                   "CREATE TABLE late (o text, id int, y int); ALTER TABLE late INHERIT t;"
                   "ALTER TABLE t ADD COLUMN n date; ALTER TABLE p2 DROP COLUMN o;");
    struct sg_mapping mapping = {.schema = "public", .table = "t"};
    cr_assert(sg_catalog_describe(catalog, &mapping));
    cr_assert_str_eq(described(mapping.shape, mapping.shape_len), "id int4, o text, n date");
    static const char *const below[] = {"p1",    "id int4, o text, n date", "p2",   "id int4, n date",
                                        "twice", "id int4, x int4, n date", "late", "o text, id int4, y int4, n date",
                                        "p1a",   "id int4, o text, n date"};
    cr_assert_eq(mapping.members_len, 5);
    for (size_t i = 0; i < 5; i++) {
        cr_expect_str_eq(mapping.members[i].table, below[2 * i]);
        cr_expect_str_eq(described(mapping.members[i].shape, mapping.members[i].shape_len), below[2 * i + 1]);
    }
    cr_assert_str_eq(mapping.members[2].schema, "s");
    size_t n = 0;
    const struct sg_column *columns = sg_catalog_columns(catalog, "public", "l", &n);
    cr_assert_str_eq(described(columns, n), "k int4, id int4, o text");
    cr_assert_not(sg_catalog_describe(catalog, &(struct sg_mapping){.schema = "public", .table = "none"}));
    sg_catalog_free(catalog);
}

/* A member that is gone, or has lost both columns, must not keep the others from being served. */
Test(snapshot, members_that_somebody_dropped) {
    struct sg_catalog *catalog = catalog_of(users_ddl);
    cr_assert(sg_catalog_add_ddl(catalog, SG_SPAN_LIT("CREATE TABLE bare (x int)"), &(struct sg_error){0}));
    struct sg_member members[] = {{"public", "gone", shape, 3}, {"public", "bare", shape, 3}};
    struct sg_mapping mapping = mapping_of("nickname", "username");
    mapping.members = members;
    mapping.members_len = 2;
    struct sg_error err = {0};
    struct sg_snapshot *snapshot = sg_snapshot_new(1, catalog, &mapping, 1, &err);
    cr_assert_not_null(snapshot, "%s", err.message);
    cr_assert_eq(sg_snapshot_mappings(snapshot), 1);
    sg_snapshot_unref(snapshot);
}

/* The span need not end in a NUL. */
Test(catalog, ddl_is_read_to_its_length) {
    struct sg_error err = {0};
    struct sg_catalog *catalog = sg_catalog_new();
    struct sg_span ddl = SG_SPAN_LIT("CREATE TABLE t (a int); garbage (");
    ddl.len = strlen("CREATE TABLE t (a int);");
    cr_assert(sg_catalog_add_ddl(catalog, ddl, &err), "%s", err.message);
    sg_catalog_free(catalog);
}

/* ---- Snapshots ---- */

static void expect_refused(const struct sg_mapping *mappings, size_t n, const char *sqlstate) {
    struct sg_error err = {0};
    struct sg_snapshot *snapshot = sg_snapshot_new(1, catalog_of(users_ddl), mappings, n, &err);
    cr_expect_null(snapshot);
    cr_expect_str_eq(err.sqlstate, sqlstate, "%s: %s", err.sqlstate, err.message);
    cr_expect_str_not_empty(err.message);
    sg_snapshot_unref(snapshot);
}

Test(snapshot, unknown_table_schema_or_column) {
    struct sg_mapping mapping = mapping_of("nickname", "username");
    mapping.table = "user";
    expect_refused(&mapping, 1, "42P01");
    mapping = mapping_of("nickname", "username");
    mapping.schema = "audit";
    expect_refused(&mapping, 1, "42P01");
    mapping = mapping_of("nick", "username");
    expect_refused(&mapping, 1, "42703");
}

Test(snapshot, mappings_that_clash) {
    struct sg_mapping twice[] = {mapping_of("nickname", "username"), mapping_of("nickname", "username")};
    expect_refused(twice, 2, "42710");
    struct sg_mapping same_old[] = {mapping_of("nickname", "username"), mapping_of("nickname", "handle")};
    expect_refused(same_old, 2, "42710");
    struct sg_mapping same_new[] = {mapping_of("nickname", "username"), mapping_of("email", "username")};
    expect_refused(same_new, 2, "42710");
}

/* The new name of one is the old name of another: which of them would a statement mean? */
Test(snapshot, mappings_in_a_chain) {
    struct sg_error err = {0};
    struct sg_mapping chain[] = {mapping_of("nickname", "username"), mapping_of("username", "handle")};
    chain[0].phase = SG_PHASE_DUAL_WRITE;
    struct sg_catalog *catalog = catalog_of("CREATE TABLE users (user_id bigint, nickname text, username text)");
    cr_assert_null(sg_snapshot_new(1, catalog, chain, 2, &err));
    cr_assert_str_eq(err.sqlstate, "42710");
}

/* `email` is a column of its own: it cannot be the second name of another one. */
Test(snapshot, a_new_name_that_the_table_had_before) {
    struct sg_mapping mapping = mapping_of("nickname", "email");
    expect_refused(&mapping, 1, "42701");
}

/* In planned only the old column is there, in new_only it may be gone: either makes a valid snapshot. */
Test(snapshot, in_every_phase_with_the_columns_of_that_phase) {
    struct sg_error err = {0};
    for (int phase = SG_PHASE_PLANNED; phase < SG_PHASE_RETIRED; phase++) {
        struct sg_mapping mapping = mapping_of("nickname", "username");
        mapping.phase = (enum sg_phase)phase;
        const char *ddl =
            phase == SG_PHASE_NEW_ONLY ? "CREATE TABLE users (user_id bigint, email text, username text)" : users_ddl;
        struct sg_snapshot *snapshot = sg_snapshot_new(1, catalog_of(ddl), &mapping, 1, &err);
        cr_assert_not_null(snapshot, "%s: %s", sg_phase_name(mapping.phase), err.message);
        sg_snapshot_unref(snapshot);
    }
}

Test(snapshot, planned_without_the_old_column_is_nonsense) {
    struct sg_error err = {0};
    struct sg_mapping mapping = mapping_of("nickname", "username");
    struct sg_catalog *catalog = catalog_of("CREATE TABLE users (user_id bigint, email text, username text)");
    cr_assert_null(sg_snapshot_new(1, catalog, &mapping, 1, &err));
    cr_assert_str_eq(err.sqlstate, "42703");
}

Test(snapshot, retired_mappings_are_left_out) {
    struct sg_error err = {0};
    struct sg_mapping mappings[] = {mapping_of("nickname", "username"), mapping_of("email", "mail")};
    mappings[0].phase = SG_PHASE_RETIRED;
    struct sg_snapshot *snapshot = sg_snapshot_new(5, catalog_of(users_ddl), mappings, 2, &err);
    cr_assert_not_null(snapshot, "%s", err.message);
    cr_assert_eq(sg_snapshot_mappings(snapshot), 1);
    cr_assert_str_eq(sg_snapshot_mapping(snapshot, 0)->old_name, "email");
    cr_assert_eq(sg_snapshot_epoch(snapshot), 5);
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 16);
    cr_assert_str_eq(world_rewrite(rewriter, snapshot, "SELECT username FROM users"), "SELECT username FROM users");
    sg_rewriter_free(rewriter);
    sg_snapshot_unref(snapshot);
}

/* A retired mapping may name what no longer exists. */
Test(snapshot, a_retired_mapping_is_not_checked) {
    struct sg_error err = {0};
    struct sg_mapping mapping = mapping_of("gone", "gone_too");
    mapping.phase = SG_PHASE_RETIRED;
    struct sg_snapshot *snapshot = sg_snapshot_new(1, catalog_of(users_ddl), &mapping, 1, &err);
    cr_assert_not_null(snapshot, "%s", err.message);
    cr_assert_eq(sg_snapshot_mappings(snapshot), 0);
    sg_snapshot_unref(snapshot);
}

Test(snapshot, what_it_was_made_from_may_go) {
    struct sg_error err = {0};
    char name[] = "username";
    struct sg_column columns[3];
    memcpy(columns, shape, sizeof columns);
    struct sg_mapping mapping = mapping_of("nickname", name);
    mapping.shape = columns;
    struct sg_snapshot *snapshot = sg_snapshot_new(1, catalog_of(users_ddl), &mapping, 1, &err);
    cr_assert_not_null(snapshot, "%s", err.message);
    memset(name, 'x', sizeof name - 1);
    memset(columns, 0, sizeof columns);
    cr_assert_str_eq(sg_snapshot_mapping(snapshot, 0)->new_name, "username");
    cr_assert_str_eq(sg_snapshot_mapping(snapshot, 0)->shape[1].name, "nickname");
    sg_snapshot_unref(snapshot);
}

Test(snapshot, lives_as_long_as_somebody_holds_it) {
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 3);
    cr_assert_eq(sg_snapshot_ref(snapshot), snapshot);
    sg_snapshot_unref(snapshot);
    cr_assert_eq(sg_snapshot_epoch(snapshot), 3);
    cr_assert_str_eq(sg_snapshot_mapping(snapshot, 0)->table, "users");
    sg_snapshot_unref(snapshot);
    sg_snapshot_unref(NULL);
    cr_assert_null(sg_snapshot_ref(NULL));
}
