/* What is remembered of prepared statements, with Parse and Close in flight. */
#include "proxy/net/statements.h"

#include <criterion/criterion.h>

static struct sg_texts texts;
static struct sg_statements st;

static void set_up(void) {
    sg_statements_init(&st, &texts);
}

static void tear_down(void) {
    sg_statements_free(&st);
    cr_assert_eq(texts.bytes, 0, "every text was given back");
    cr_assert_eq(texts.versions, 0);
    sg_texts_free(&texts);
}

static struct sg_version *add(const char *name, const char *sql, uint64_t epoch) {
    struct sg_text *text = sg_text_intern(&texts, sg_span_of(sql), 0, NULL);
    struct sg_version *version = sg_statements_add(&st, sg_span_of(name), text, NULL, epoch);
    sg_text_unref(text);
    return version;
}

static const char *meaning_of(const char *name) {
    struct sg_statement *statement = sg_statements_find(&st, sg_span_of(name));
    if (!statement) {
        return "nothing";
    }
    return statement->newest->is_gone ? "gone" : sg_text_sql(statement->newest->text).ptr;
}

TestSuite(statements, .init = set_up, .fini = tear_down);

Test(statements, texts_are_shared_only_with_the_same_parameter_types) {
    static const uint8_t int4[] = {0, 0, 0, 23}, text_type[] = {0, 0, 0, 25};
    struct sg_text *a = sg_text_intern(&texts, SG_SPAN_LIT("select $1"), 1, int4);
    struct sg_text *b = sg_text_intern(&texts, SG_SPAN_LIT("select $1"), 1, int4);
    struct sg_text *c = sg_text_intern(&texts, SG_SPAN_LIT("select $1"), 1, text_type);
    struct sg_text *d = sg_text_intern(&texts, SG_SPAN_LIT("select $1"), 0, NULL);
    cr_assert_eq(a, b);
    cr_assert_neq(a, c);
    cr_assert_neq(a, d);
    cr_assert_eq(memcmp(sg_text_oids(c), text_type, 4), 0);
    sg_text_unref(a);
    cr_assert_str_eq(sg_text_sql(b).ptr, "select $1");
    sg_text_unref(b);
    sg_text_unref(c);
    sg_text_unref(d);
}

Test(statements, the_newest_in_flight_is_what_a_name_means) {
    struct sg_version *first = add("s", "one", 1);
    cr_assert_str_eq(meaning_of("s"), "one");
    sg_statements_confirm(&st, first);
    struct sg_version *closing = sg_statements_add_close(&st, SG_SPAN_LIT("s"));
    cr_assert_str_eq(meaning_of("s"), "gone");
    struct sg_version *second = add("s", "two", 1);
    cr_assert_str_eq(meaning_of("s"), "two");
    sg_statements_confirm(&st, closing);
    cr_assert_str_eq(meaning_of("s"), "two");
    sg_statements_confirm(&st, second);
    cr_assert_str_eq(meaning_of("s"), "two");
    cr_assert_eq(st.versions, 1);
}

Test(statements, what_was_skipped_leaves_the_older_version) {
    sg_statements_confirm(&st, add("s", "one", 1));
    struct sg_version *closing = sg_statements_add_close(&st, SG_SPAN_LIT("s"));
    struct sg_version *second = add("s", "two", 1);
    sg_statements_undo(&st, closing); /* an error before: both are skipped, in order */
    cr_assert_str_eq(meaning_of("s"), "two");
    sg_statements_undo(&st, second);
    cr_assert_str_eq(meaning_of("s"), "one");
}

Test(statements, a_failed_parse_leaves_nothing) {
    sg_statements_undo(&st, add("s", "wrong", 1));
    cr_assert_str_eq(meaning_of("s"), "nothing");
    cr_assert_null(st.by_name);
}

Test(statements, forgetting_spares_what_is_in_flight) {
    sg_statements_confirm(&st, add("", "unnamed", 1));
    sg_statements_confirm(&st, add("s", "one", 1));
    struct sg_version *later = add("t", "two", 1);
    sg_statements_forget(&st, SG_SPAN_LIT(""));
    cr_assert_str_eq(meaning_of(""), "nothing");
    cr_assert_str_eq(meaning_of("s"), "one");
    sg_statements_forget_all(&st);
    cr_assert_str_eq(meaning_of("s"), "nothing");
    cr_assert_str_eq(meaning_of("t"), "two");
    sg_statements_confirm(&st, later);
}

Test(statements, one_epoch_is_known_to_be_uniform) {
    sg_statements_confirm(&st, add("a", "one", 7));
    sg_statements_confirm(&st, add("b", "two", 7));
    cr_assert_eq(st.uniform_epoch, 7);
    sg_statements_confirm(&st, add("c", "three", 8));
    cr_assert_eq(st.uniform_epoch, 0, "some are older: each use must look");
}

Test(statements, the_unnamed_one_alone_is_uniform_again_when_it_is_replaced) {
    sg_statements_confirm(&st, add("", "one", 7));
    sg_statements_confirm(&st, add("", "two", 8));
    cr_assert_eq(st.uniform_epoch, 8);
}

Test(statements, a_lost_one_is_looked_at_on_its_next_use) {
    struct sg_version *version = add("s", "one", 7);
    sg_statements_confirm(&st, version);
    sg_statements_lost(&st, version);
    cr_assert(version->is_lost);
    cr_assert_eq(st.uniform_epoch, 0);
}

Test(statements, names_that_the_server_cannot_tell_apart_are_one) {
    char long_name[100], longer_name[120];
    memset(long_name, 'n', sizeof(long_name));
    memset(longer_name, 'n', sizeof(longer_name));
    long_name[sizeof(long_name) - 1] = longer_name[sizeof(longer_name) - 1] = '\0';
    sg_statements_confirm(&st, add(long_name, "one", 1));
    cr_assert_str_eq(meaning_of(longer_name), "one");
}
