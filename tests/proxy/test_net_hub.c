/* Snapshots on their way to the workers, and what the workers report. */
#include "proxy/net/hub_seat.h"
#include "proxy/net/latency.h"

#include <criterion/criterion.h>

static int wakes;

static void count_wake(void *arg) {
    (*(int *)arg)++;
}

static struct sg_snapshot *snapshot(uint64_t epoch) {
    struct sg_error err = {0};
    struct sg_snapshot *made = sg_snapshot_new(epoch, sg_catalog_new(), NULL, 0, &err);
    cr_assert_not_null(made, "%s", err.message);
    return made;
}

static void publish(struct sg_hub *hub, uint64_t epoch) {
    struct sg_snapshot *made = snapshot(epoch);
    sg_hub_publish(hub, made);
    sg_snapshot_unref(made);
}

static uint64_t take(struct sg_hub_seat *seat) {
    struct sg_snapshot *taken = sg_hub_take(seat);
    if (!taken) {
        return 0;
    }
    uint64_t epoch = sg_snapshot_epoch(taken);
    sg_snapshot_unref(taken);
    return epoch;
}

Test(hub, no_workers_hold_nothing_up) {
    struct sg_hub *hub = sg_hub_new(NULL);
    cr_assert_eq(sg_hub_oldest_epoch(hub), UINT64_MAX);
    cr_assert_null(sg_hub_database(hub));
    cr_assert_not(sg_hub_is_ready(hub));
    sg_hub_free(hub);
}

Test(hub, the_mailbox_holds_the_newest_only) {
    struct sg_hub *hub = sg_hub_new("shop");
    struct sg_hub_seat *seat = sg_hub_attach(hub, count_wake, &wakes);
    cr_assert_eq(take(seat), 0);
    publish(hub, 3);
    publish(hub, 4);
    cr_assert_eq(wakes, 2);
    cr_assert_eq(take(seat), 4);
    cr_assert_eq(take(seat), 0);
    publish(hub, 5); /* unread when the hub goes */
    sg_hub_free(hub);
}

Test(hub, a_worker_that_comes_late_gets_the_latest) {
    struct sg_hub *hub = sg_hub_new("shop");
    publish(hub, 9);
    struct sg_hub_seat *seat = sg_hub_attach(hub, count_wake, &wakes);
    cr_assert_eq(wakes, 1);
    cr_assert_eq(take(seat), 9);
    sg_hub_free(hub);
}

Test(hub, the_oldest_epoch_waits_for_every_worker) {
    struct sg_hub *hub = sg_hub_new("shop");
    struct sg_hub_seat *a = sg_hub_attach(hub, count_wake, &wakes);
    struct sg_hub_seat *b = sg_hub_attach(hub, count_wake, &wakes);
    publish(hub, 2);
    cr_assert_eq(sg_hub_oldest_epoch(hub), 0, "nobody has installed it");
    sg_hub_report(a, 2);
    cr_assert_eq(sg_hub_oldest_epoch(hub), 0);
    sg_hub_report(b, 1);
    cr_assert_eq(sg_hub_oldest_epoch(hub), 1);
    sg_hub_report(b, 2);
    cr_assert_eq(sg_hub_oldest_epoch(hub), 2);
    sg_hub_free(hub);
}

Test(hub, a_quiet_seat_is_not_woken_but_still_counts) {
    struct sg_hub *hub = sg_hub_new("shop");
    struct sg_hub_seat *seat = sg_hub_attach(hub, count_wake, &wakes);
    sg_hub_report(seat, 1);
    sg_hub_quiet(hub, seat);
    publish(hub, 2);
    cr_assert_eq(wakes, 0);
    cr_assert_eq(sg_hub_oldest_epoch(hub), 1, "its sessions may still be ending");
    sg_hub_detach(hub, seat);
    cr_assert_eq(sg_hub_oldest_epoch(hub), UINT64_MAX);
    sg_hub_free(hub);
}

static uint64_t p99_of(const struct sg_latency *latency, uint64_t now_ns) {
    uint64_t sums[SG_LATENCY_BUCKETS] = {0};
    sg_latency_sum(latency, now_ns, sums);
    return sg_latency_p99_us(sums);
}

Test(hub, the_lease_holds_until_its_end_and_who_waits_is_woken) {
    struct sg_hub *hub = sg_hub_new("shop");
    uint64_t min_epoch = 0;
    wakes = 0;
    struct sg_hub_seat *seat = sg_hub_attach(hub, count_wake, &wakes);
    cr_expect_not(sg_hub_is_granted(hub, &min_epoch), "never granted");
    sg_hub_grant(hub, 7, sg_hub_clock_ms() + 100000);
    cr_expect(sg_hub_is_granted(hub, &min_epoch));
    cr_expect_eq(min_epoch, 7u);
    cr_expect_eq(wakes, 1);
    sg_hub_grant(hub, 8, sg_hub_clock_ms() + 200000);
    cr_expect_eq(wakes, 1, "nobody waits while it holds");
    sg_hub_grant(hub, 8, sg_hub_clock_ms());
    cr_expect_not(sg_hub_is_granted(hub, &min_epoch), "its end is not part of it");
    sg_hub_grant(hub, 9, SG_HUB_FOREVER);
    cr_expect(sg_hub_is_granted(hub, &min_epoch));
    cr_expect_eq(min_epoch, 9u);
    cr_expect_eq(wakes, 2);
    sg_hub_detach(hub, seat);
    sg_hub_free(hub);
}

Test(latency, p99_is_within_a_quarter_of_a_power_of_two) {
    const uint64_t now_ns = 10000000000ull;
    for (uint64_t us = 1; us < 400000000; us = us * 7 / 4 + 1) {
        struct sg_latency *latency = calloc(1, sizeof(*latency));
        for (int i = 0; i < 1000; i++) {
            sg_latency_add(latency, now_ns, us * 1000);
        }
        uint64_t p99 = p99_of(latency, now_ns);
        cr_assert(p99 >= us && p99 <= us + us / 4, "%lu us is reported as %lu", (unsigned long)us, (unsigned long)p99);
        free(latency);
    }
}

Test(latency, one_in_a_hundred_does_not_count_two_do) {
    const uint64_t now_ns = 10000000000ull;
    struct sg_latency latency = {0};
    for (int i = 0; i < 99; i++) {
        sg_latency_add(&latency, now_ns, 100000);
    }
    sg_latency_add(&latency, now_ns, 50000000);
    cr_assert_lt(p99_of(&latency, now_ns), 150);
    sg_latency_add(&latency, now_ns, 50000000);
    sg_latency_add(&latency, now_ns, 50000000);
    cr_assert_gt(p99_of(&latency, now_ns), 40000);
}

Test(latency, only_about_the_last_second_counts) {
    const uint64_t half_ns = 500000000ull;
    struct sg_latency latency = {0};
    sg_latency_add(&latency, 10 * half_ns, 5000000);
    cr_assert_gt(p99_of(&latency, 10 * half_ns), 0);
    cr_assert_gt(p99_of(&latency, 12 * half_ns), 0);
    cr_assert_eq(p99_of(&latency, 13 * half_ns), 0);
    sg_latency_add(&latency, 14 * half_ns, 1000); /* the same slice of the ring, anew */
    cr_assert_eq(p99_of(&latency, 14 * half_ns), 1);
}
