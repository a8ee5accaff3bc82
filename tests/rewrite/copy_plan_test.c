/* COPY FROM STDIN: what the plan says of the data, by phase and options. */
#include "segue/copy.h"
#include "world.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct sg_rewriter *rewriter;

static void setup(void) {
    rewriter = sg_rewriter_new(1 << 20);
}

static void teardown(void) {
    sg_rewriter_free(rewriter);
}

TestSuite(copy_plan, .init = setup, .fini = teardown);

/* Valid until the next call. */
static const struct sg_plan *plan_of(enum sg_phase phase, const char *sql) {
    struct sg_snapshot *snapshot = world_users(phase, 7);
    struct sg_request request = world_request(sql);
    const struct sg_plan *plan = sg_rewriter_plan(rewriter, snapshot, &request);
    sg_snapshot_unref(snapshot);
    return plan;
}

static const struct sg_copy *copy_of(enum sg_phase phase, const char *sql) {
    const struct sg_plan *plan = plan_of(phase, sql);
    return plan && plan->action == SG_REWRITE ? plan->copy : NULL;
}

Test(copy_plan, dual_phases_repeat_the_one_name_given) {
    static const enum sg_phase phases[] = {SG_PHASE_DUAL_WRITE, SG_PHASE_READ_NEW};
    for (size_t i = 0; i < 2; i++) {
        const struct sg_copy *copy = copy_of(phases[i], "COPY users (email, username) FROM STDIN");
        cr_assert_not_null(copy);
        cr_assert_eq(copy->format, SG_COPY_TEXT);
        cr_assert_eq(copy->delimiter, '\t');
        cr_assert_eq(copy->columns, 2);
        cr_assert_eq(copy->repeats, 1);
        cr_assert_eq(copy->drops, 0);
        cr_assert_eq(copy->marks_len, 1);
        cr_assert_eq(copy->marks[0].column, 1);
        cr_assert_eq(copy->marks[0].change, SG_COPY_REPEAT);
        copy = copy_of(phases[i], "COPY users FROM STDIN");
        cr_assert_eq(copy->columns, 3);
        cr_assert_eq(copy->marks[0].column, 1);
    }
}

Test(copy_plan, data_that_need_no_change_have_none) {
    cr_assert_null(copy_of(SG_PHASE_PLANNED, "COPY users (username) FROM STDIN"));
    cr_assert_null(copy_of(SG_PHASE_NEW_ONLY, "COPY users FROM STDIN"));
    cr_assert_null(copy_of(SG_PHASE_DUAL_WRITE, "COPY users (nickname, username) FROM STDIN"));
    cr_assert_null(copy_of(SG_PHASE_DUAL_WRITE, "COPY users (email) FROM STDIN"));
    cr_assert_null(copy_of(SG_PHASE_DUAL_WRITE, "COPY users TO STDOUT"));
    cr_assert_null(copy_of(SG_PHASE_NEW_ONLY, "COPY users FROM STDIN (HEADER)"));
}

Test(copy_plan, the_second_of_two_names_for_one_column_is_dropped) {
    const struct sg_copy *copy = copy_of(SG_PHASE_PLANNED, "COPY users (username, email, nickname) FROM STDIN");
    cr_assert_eq(copy->drops, 1);
    cr_assert_eq(copy->marks[0].column, 0);
    cr_assert_eq(copy->marks[0].change, SG_COPY_DROP);
    copy = copy_of(SG_PHASE_NEW_ONLY, "COPY users (username, email, nickname) FROM STDIN");
    cr_assert_eq(copy->marks[0].column, 2);
}

Test(copy_plan, options_in_every_spelling) {
    const struct sg_copy *copy =
        copy_of(SG_PHASE_DUAL_WRITE, "COPY users FROM STDIN WITH DELIMITER AS ';' CSV HEADER QUOTE AS '''' "
                                     "ESCAPE E'\\\\'");
    cr_assert_eq(copy->format, SG_COPY_CSV);
    cr_assert_eq(copy->header, SG_COPY_HEADER);
    cr_assert_eq(copy->delimiter, ';');
    cr_assert_eq(copy->quote, '\'');
    cr_assert_eq(copy->escape, '\\');
    copy = copy_of(SG_PHASE_DUAL_WRITE, "COPY users FROM STDIN (FORMAT csv, HEADER off, QUOTE '|')");
    cr_assert_eq(copy->header, SG_COPY_NO_HEADER);
    cr_assert_eq(copy->delimiter, ',');
    cr_assert_eq(copy->escape, '|');
    cr_assert_eq(copy_of(SG_PHASE_DUAL_WRITE, "COPY users FROM STDIN (HEADER 1)")->header, SG_COPY_HEADER);
    cr_assert_eq(copy_of(SG_PHASE_DUAL_WRITE, "COPY users FROM STDIN (HEADER 'Match')")->header, SG_COPY_HEADER_MATCH);
    cr_assert_eq(copy_of(SG_PHASE_DUAL_WRITE, "COPY users FROM STDIN BINARY")->format, SG_COPY_BINARY);
    cr_assert_eq(copy_of(SG_PHASE_DUAL_WRITE, "COPY users FROM STDIN (FORMAT 'binary')")->format, SG_COPY_BINARY);
}

Test(copy_plan, encodings_by_any_of_their_names) {
    static const struct {
        const char *name;
        enum sg_copy_encoding encoding;
    } cases[] = {{"UTF8", SG_COPY_SINGLE},        {"EUC_JP", SG_COPY_SINGLE},   {"sjis", SG_COPY_SJIS},
                 {"Shift_JIS", SG_COPY_SJIS},     {"GB18030", SG_COPY_GB18030}, {"gbk", SG_COPY_DOUBLE},
                 {"Windows-950", SG_COPY_DOUBLE}, {"uhc", SG_COPY_DOUBLE},      {"Johab", SG_COPY_JOHAB}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sql[128];
        snprintf(sql, sizeof sql, "COPY users FROM STDIN ENCODING '%s'", cases[i].name);
        cr_assert_eq(copy_of(SG_PHASE_DUAL_WRITE, sql)->encoding, cases[i].encoding, "%s", cases[i].name);
    }
}

Test(copy_plan, a_header_to_be_matched_has_names_in_every_phase) {
    const struct sg_copy *copy = copy_of(SG_PHASE_NEW_ONLY, "COPY users FROM STDIN (HEADER MATCH)");
    cr_assert_eq(copy->marks_len, 1);
    cr_assert_eq(copy->marks[0].change, SG_COPY_RENAME);
    cr_assert(sg_span_eq_cstr(copy->marks[0].here, "username"));
    copy = copy_of(SG_PHASE_DUAL_WRITE, "COPY users FROM STDIN (FORMAT csv, HEADER MATCH)");
    cr_assert(sg_span_eq_cstr(copy->marks[0].here, "\"nickname\""));
    cr_assert(sg_span_eq_cstr(copy->marks[0].repeated, "\"username\""));
}

Test(copy_plan, names_in_a_header_are_escaped) {
    struct sg_snapshot *snapshot = world_make("CREATE TABLE t (a int, \"n \"\"x\"\"|\\\" text, z int)", "t",
                                              "n \"x\"|\\", "b", SG_PHASE_PLANNED, 3);
    struct sg_request request = world_request("COPY t FROM STDIN (HEADER MATCH, DELIMITER '|')");
    const struct sg_plan *plan = sg_rewriter_plan(rewriter, snapshot, &request);
    cr_assert(sg_span_eq_cstr(plan->copy->marks[0].here, "n \"x\"\\|\\\\"));
    request = world_request("COPY t FROM STDIN (HEADER MATCH, FORMAT csv)");
    plan = sg_rewriter_plan(rewriter, snapshot, &request);
    cr_assert(sg_span_eq_cstr(plan->copy->marks[0].here, "\"n \"\"x\"\"|\\\""));
    sg_snapshot_unref(snapshot);
}

Test(copy_plan, two_mappings_in_different_phases) {
    static const char *const before = "CREATE TABLE t (a int, b text, c text, z int)";
    struct sg_error err = {0};
    struct sg_catalog *made = sg_catalog_new(), *now = sg_catalog_new();
    cr_assert(sg_catalog_add_ddl(made, sg_span_of(before), &err));
    cr_assert(sg_catalog_add_ddl(now, sg_span_of("CREATE TABLE t (a int, b text, c text, z int, b2 text)"), &err));
    struct sg_mapping mappings[2] = {
        {.migration = "m",
         .schema = "public",
         .table = "t",
         .old_name = "b",
         .new_name = "b2",
         .phase = SG_PHASE_DUAL_WRITE},
        {.migration = "n",
         .schema = "public",
         .table = "t",
         .old_name = "c",
         .new_name = "c2",
         .phase = SG_PHASE_PLANNED},
    };
    for (size_t i = 0; i < 2; i++) {
        mappings[i].shape = sg_catalog_columns(made, "public", "t", &mappings[i].shape_len);
    }
    struct sg_snapshot *snapshot = sg_snapshot_new(1, now, mappings, 2, &err);
    cr_assert_not_null(snapshot, "%s", err.message);
    struct sg_request request = world_request("COPY t (c, a, b, c2) FROM STDIN");
    const struct sg_plan *plan = sg_rewriter_plan(rewriter, snapshot, &request);
    cr_assert_eq(plan->action, SG_REWRITE, "%s", plan->error->message);
    cr_assert(sg_span_eq_cstr(plan->sql, "COPY t (c, a, b, b2) FROM STDIN"), "%s", plan->sql.ptr);
    cr_assert_eq(plan->copy->marks_len, 2);
    cr_assert_eq(plan->copy->marks[0].column, 2);
    cr_assert_eq(plan->copy->marks[0].change, SG_COPY_REPEAT);
    cr_assert_eq(plan->copy->marks[1].column, 3);
    cr_assert_eq(plan->copy->marks[1].change, SG_COPY_DROP);
    sg_snapshot_unref(snapshot);
    sg_catalog_free(made);
}

Test(copy_plan, data_are_in_the_clients_encoding_unless_another_is_named) {
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 7);
    struct sg_request request = world_request("COPY users FROM STDIN");
    request.encoding = SG_ENCODING_SJIS;
    const struct sg_plan *plan = sg_rewriter_plan(rewriter, snapshot, &request);
    cr_assert_eq(plan->action, SG_REWRITE);
    cr_assert_eq(plan->copy->encoding, SG_COPY_SJIS);
    request.sql = sg_span_of("COPY users FROM STDIN BINARY");
    cr_assert_eq(sg_rewriter_plan(rewriter, snapshot, &request)->action, SG_REWRITE);
    request.sql = sg_span_of("COPY users FROM STDIN (ENCODING 'BIG5')");
    plan = sg_rewriter_plan(rewriter, snapshot, &request);
    cr_assert_eq(plan->action, SG_REWRITE);
    cr_assert_eq(plan->copy->encoding, SG_COPY_DOUBLE);
    sg_snapshot_unref(snapshot);
}

Test(copy_plan, a_generated_column_has_no_data) {
    struct sg_snapshot *snapshot =
        world_make("CREATE TABLE t (a int, g int GENERATED ALWAYS AS (a * 2) STORED, b text, z int)", "t", "b", "b2",
                   SG_PHASE_DUAL_WRITE, 3);
    struct sg_request request = world_request("COPY t FROM STDIN");
    const struct sg_plan *plan = sg_rewriter_plan(rewriter, snapshot, &request);
    cr_assert(sg_span_eq_cstr(plan->sql, "COPY t (a, b, z, b2) FROM STDIN"), "%s", plan->sql.ptr);
    cr_assert_eq(plan->copy->columns, 3);
    cr_assert_eq(plan->copy->marks[0].column, 1);
    request.sql = sg_span_of("COPY t TO STDOUT");
    plan = sg_rewriter_plan(rewriter, snapshot, &request);
    cr_assert(sg_span_eq_cstr(plan->sql, "COPY t (a, b, z) TO STDOUT"), "%s", plan->sql.ptr);
    sg_snapshot_unref(snapshot);
}
