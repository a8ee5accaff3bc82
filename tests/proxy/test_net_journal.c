/* What a worker notes for its operator: found by key, bounded, copied and merged. */
#include "proxy/net/journal.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct sg_journal journal;

static void teardown(void) {
    sg_journal_free(&journal);
}

TestSuite(journal, .fini = teardown);

static void note(struct sg_journal *to, uint64_t key, uint64_t now_ms, const char *statement) {
    const char *const fields[] = {"db", NULL, statement, "rewritten"};
    if (!sg_journal_hit(to, SG_JOURNAL_REWRITES, key, now_ms) && sg_journal_admits(to, SG_JOURNAL_REWRITES))
        sg_journal_add(to, SG_JOURNAL_REWRITES, key, now_ms, fields);
}

Test(journal, each_kind_has_the_fields_of_its_table) {
    size_t len;
    cr_assert_str_eq(sg_journal_fields(SG_JOURNAL_REFERENCES, &len)[1], "name");
    cr_assert_eq(len, 6);
    cr_assert_str_eq(sg_journal_fields(SG_JOURNAL_REFUSED, &len)[7], "statement");
    cr_assert_eq(len, 8);
}

Test(journal, what_comes_again_is_counted) {
    note(&journal, 1, 10, "a");
    note(&journal, 2, 20, "b");
    note(&journal, 1, 30, "a");
    struct sg_notes notes = {0};
    sg_notes_take(&notes, &journal, SG_JOURNAL_REWRITES, 100);
    sg_notes_settle(&notes);
    cr_assert_eq(notes.n, 2);
    cr_assert_str_eq(notes.v[0].fields[2], "a", "the latest first");
    cr_assert_eq(notes.v[0].count, 2);
    cr_assert_eq(notes.v[0].age_ms, 70);
    cr_assert_null(notes.v[0].fields[1]);
    cr_assert_eq(notes.v[1].age_ms, 80);
    sg_notes_free(&notes);
}

Test(journal, it_is_bounded_and_the_oldest_gives_way) {
    char statement[32];
    note(&journal, 0, 0, "first");
    for (uint64_t key = 1; key < 10000; key++) {
        snprintf(statement, sizeof statement, "s%d", (int)key);
        note(&journal, key, key, statement);
    }
    cr_assert_eq(journal.books[SG_JOURNAL_REWRITES].len, 256);
    cr_assert_not(sg_journal_hit(&journal, SG_JOURNAL_REWRITES, 0, 10000));
    struct sg_notes notes = {0};
    sg_notes_take(&notes, &journal, SG_JOURNAL_REWRITES, 10000);
    sg_notes_settle(&notes);
    cr_assert_eq(notes.n, 256);
    cr_assert_lt(notes.v[0].age_ms, 20, "a part of what is new is always taken up");
    sg_notes_free(&notes);
}

Test(journal, workers_that_say_the_same_are_one) {
    struct sg_journal other = {0};
    note(&journal, 1, 10, "a");
    note(&other, 7, 40, "a");
    note(&other, 8, 50, "b");
    struct sg_notes notes = {0};
    sg_notes_take(&notes, &journal, SG_JOURNAL_REWRITES, 100);
    sg_notes_take(&notes, &other, SG_JOURNAL_REWRITES, 100);
    sg_notes_settle(&notes);
    cr_assert_eq(notes.n, 2);
    cr_assert_str_eq(notes.v[1].fields[2], "a");
    cr_assert_eq(notes.v[1].count, 2);
    cr_assert_eq(notes.v[1].age_ms, 60);
    sg_notes_free(&notes);
    sg_journal_free(&other);
    sg_notes_settle(&notes); /* nothing is fine, too */
}
