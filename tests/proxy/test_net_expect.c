/* The queue of replies that the server still owes. */
#include "proxy/net/expect.h"
#include "proxy/net/side.h"

#include <criterion/criterion.h>

static void push(struct sg_expect *expect, enum sg_expect_kind kind, struct sg_side *side) {
    sg_expect_push(expect, kind, SG_REPLY_FORWARD, side);
}

static struct sg_expectation pop(struct sg_expect *expect) {
    struct sg_expectation entry = {0};
    cr_assert(sg_expect_pop(expect, &entry));
    return entry;
}

Test(expect, entries_come_out_in_order_with_their_disposition_and_side) {
    struct sg_expect expect;
    struct sg_side first = {0}, second = {0};
    struct sg_expectation front;
    sg_expect_init(&expect);
    cr_assert_not(sg_expect_front(&expect, &front));
    sg_expect_push(&expect, SG_EXPECT_CLOSE, SG_REPLY_SWALLOW, NULL);
    sg_expect_push(&expect, SG_EXPECT_PARSE, SG_REPLY_REPLACE_ERROR, &first);
    push(&expect, SG_EXPECT_BIND, NULL);
    push(&expect, SG_EXPECT_QUERY, &second);

    cr_assert(sg_expect_front(&expect, &front));
    cr_assert_eq(front.kind, SG_EXPECT_CLOSE);
    struct sg_expectation entry = pop(&expect);
    cr_assert_eq(entry.disposition, SG_REPLY_SWALLOW);
    cr_assert_null(entry.side);
    entry = pop(&expect);
    cr_assert_eq(entry.kind, SG_EXPECT_PARSE);
    cr_assert_eq(entry.disposition, SG_REPLY_REPLACE_ERROR);
    cr_assert_eq(entry.side, &first);
    cr_assert_null(pop(&expect).side);
    cr_assert_eq(pop(&expect).side, &second);
    cr_assert_not(sg_expect_pop(&expect, &entry));
    sg_expect_free(&expect);
}

Test(expect, growing_keeps_the_order_wherever_the_ring_begins) {
    for (uint32_t before = 0; before < 2 * SG_EXPECT_INLINE; before++) {
        struct sg_expect expect;
        sg_expect_init(&expect);
        for (uint32_t i = 0; i < before; i++) {
            push(&expect, SG_EXPECT_SYNC, NULL);
            pop(&expect);
        }
        for (uint32_t i = 0; i < 1000; i++) {
            push(&expect, (enum sg_expect_kind)(i % 9), NULL);
        }
        for (uint32_t i = 0; i < 1000; i++) {
            cr_assert_eq(pop(&expect).kind, (enum sg_expect_kind)(i % 9), "entry %u after %u", i, before);
        }
        cr_assert_null(expect.ring, "an empty queue owns no memory");
    }
}

Test(expect, runs_are_counted_while_they_are_in_the_queue) {
    struct sg_expect expect;
    sg_expect_init(&expect);
    push(&expect, SG_EXPECT_EXECUTE, NULL);
    push(&expect, SG_EXPECT_SYNC, NULL);
    push(&expect, SG_EXPECT_QUERY, NULL);
    cr_assert_eq(expect.runs, 2);
    pop(&expect);
    pop(&expect);
    cr_assert_eq(expect.runs, 1);
    sg_expect_free(&expect);
}

Test(expect, copy_in_takes_out_the_syncs_before_the_end_of_the_data) {
    struct sg_expect expect;
    struct sg_side side = {0};
    sg_expect_init(&expect);
    push(&expect, SG_EXPECT_EXECUTE, NULL);
    push(&expect, SG_EXPECT_SYNC, NULL);
    push(&expect, SG_EXPECT_SYNC, NULL);
    push(&expect, SG_EXPECT_COPY_END, NULL);
    push(&expect, SG_EXPECT_SYNC, NULL);
    push(&expect, SG_EXPECT_PARSE, &side);

    cr_assert(sg_expect_copy_in(&expect), "the client has sent all of its data");
    cr_assert_eq(expect.len, 3);
    cr_assert_eq(pop(&expect).kind, SG_EXPECT_EXECUTE);
    cr_assert_eq(pop(&expect).kind, SG_EXPECT_SYNC);
    cr_assert_eq(pop(&expect).side, &side);
}

Test(expect, copy_in_without_an_end_waits_for_it) {
    struct sg_expect expect;
    sg_expect_init(&expect);
    push(&expect, SG_EXPECT_QUERY, NULL);
    push(&expect, SG_EXPECT_SYNC, NULL);
    cr_assert_not(sg_expect_copy_in(&expect));
    cr_assert_eq(expect.len, 1);
    cr_assert(sg_expect_is_front(&expect, SG_EXPECT_QUERY));
}
