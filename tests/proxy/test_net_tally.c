/* What a worker counts by database and user, and how long things took: summed, averaged, merged. */
#include "proxy/net/histogram.h"
#include "proxy/net/tally.h"

#include <criterion/criterion.h>
#include <string.h>

static struct sg_tallies one, two;

static void setup(void) {
    sg_tallies_init(&one, 1000);
    sg_tallies_init(&two, 1000);
}

static void teardown(void) {
    sg_tallies_free(&one);
    sg_tallies_free(&two);
}

TestSuite(tally, .init = setup, .fini = teardown);

static struct sg_tally_name name(const char *database, const char *user) {
    struct sg_tally_name made = {0};
    strcpy(made.database, database);
    strcpy(made.user, user);
    return made;
}

static struct sg_tally *find(struct sg_tallies *tallies, const char *database, const char *user) {
    struct sg_tally_name wanted = name(database, user);
    return sg_tallies_find(tallies, &wanted);
}

Test(tally, a_pair_has_one_tally) {
    struct sg_tally *tally = find(&one, "shop", "app");
    cr_assert_eq(find(&one, "shop", "app"), tally);
    cr_assert_neq(find(&one, "shop", "admin"), tally);
    cr_assert_neq(find(&one, "app", "shop"), tally);
}

Test(tally, averages_are_from_the_mark_before_the_last) {
    struct sg_tally *tally = find(&one, "shop", "app");
    struct sg_tally_rows rows = {0};
    tally->now.query_count = 10;
    sg_tally_rows_take(&rows, &one, 1500);
    cr_expect_eq(rows.v[0].recent.query_count, 10, "everything, before the first mark");
    cr_expect_eq(rows.v[0].recent_ms, 500);
    sg_tally_rows_free(&rows);
    sg_tallies_mark(&one, 2000);
    tally->now.query_count = 15;
    sg_tallies_mark(&one, 3000);
    tally->now.query_count = 17;
    sg_tally_rows_take(&rows, &one, 3100);
    cr_expect_eq(rows.v[0].sums.query_count, 17);
    cr_expect_eq(rows.v[0].recent.query_count, 7, "since 2000");
    cr_expect_eq(rows.v[0].recent_ms, 1100);
    sg_tally_rows_free(&rows);
    sg_tallies_mark(&one, 4000);
    sg_tallies_mark(&one, 5000);
    sg_tally_rows_take(&rows, &one, 5100);
    cr_expect_eq(rows.v[0].recent.query_count, 0);
    sg_tally_rows_free(&rows);
}

Test(tally, workers_are_added_up) {
    struct sg_tally_rows rows = {0};
    find(&one, "shop", "zoe")->now.xact_count = 1;
    find(&one, "shop", "app")->now.xact_count = 2;
    find(&one, "other", "zoe")->now.xact_count = 16;
    find(&two, "shop", "app")->now.xact_count = 4;
    find(&one, "shop", "app")->here = (struct sg_tally_here){.clients_waiting = 1, .max_wait_ms = 30};
    find(&two, "shop", "app")->here = (struct sg_tally_here){.clients_waiting = 1, .max_wait_ms = 20};
    sg_tally_rows_take(&rows, &one, 1100);
    sg_tally_rows_take(&rows, &two, 1200);
    sg_tally_rows_settle(&rows);
    cr_assert_eq(rows.n, 3);
    cr_expect_str_eq(rows.v[0].name.database, "other");
    cr_expect_str_eq(rows.v[1].name.user, "app");
    cr_expect_eq(rows.v[1].sums.xact_count, 6);
    cr_expect_eq(rows.v[1].recent_ms, 200, "the longest");
    cr_expect_eq(rows.v[1].here.clients_waiting, 2);
    cr_expect_eq(rows.v[1].here.max_wait_ms, 30);
    sg_tally_rows_by_database(&rows);
    cr_assert_eq(rows.n, 2);
    cr_expect_str_eq(rows.v[1].name.database, "shop");
    cr_expect_eq(rows.v[1].sums.xact_count, 7);
    sg_tally_rows_free(&rows);
}

Test(histogram, a_bucket_holds_what_is_at_most_its_bound) {
    for (size_t i = 1; i < SG_HISTOGRAM_BUCKETS - 1; i++) {
        uint64_t bound = (uint64_t)1 << i;
        cr_expect_eq(sg_histogram_bucket(bound), i);
        cr_expect_eq(sg_histogram_bucket(bound + 1), i + 1);
    }
    cr_expect_eq(sg_histogram_bucket(0), 0);
    cr_expect_eq(sg_histogram_bucket(1), 0);
    cr_expect_eq(sg_histogram_bucket(UINT64_MAX), SG_HISTOGRAM_BUCKETS - 1);
}

Test(histogram, sums_of_several) {
    struct sg_histogram a = {0}, b = {0};
    struct sg_histogram_sums sums = {0};
    sg_histogram_add(&a, 3);
    sg_histogram_add(&a, 4);
    sg_histogram_add(&b, 1000);
    sg_histogram_take(&a, &sums);
    sg_histogram_take(&b, &sums);
    cr_expect_eq(sums.counts[2], 2);
    cr_expect_eq(sums.counts[10], 1);
    cr_expect_eq(sums.sum, 1007);
}
