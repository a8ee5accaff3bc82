/* How long an answer of the server is true. */
#include "proxy/net/facts.h"

#include <criterion/criterion.h>

#define USERS SG_SPAN_LIT("\"users\"")

static bool knows(struct sg_facts *facts, uint64_t epoch, uint64_t batch) {
    struct sg_buf text = {0};
    struct sg_span ask = USERS;
    sg_facts_refresh(facts, epoch, batch);
    bool is_known = sg_facts_compose(facts, &ask, 1, &text);
    cr_assert_eq(text.len > 0, is_known);
    sg_buf_free(&text);
    return is_known;
}

static void tell(struct sg_facts *facts, uint64_t epoch, uint64_t batch) {
    sg_facts_refresh(facts, epoch, batch);
    sg_facts_add(facts, USERS, SG_SPAN_LIT("\"a\" \"id\""), batch);
    cr_assert(knows(facts, epoch, batch));
}

Test(facts, while_nothing_changes) {
    struct sg_facts facts = {0};
    tell(&facts, 1, 0);
    uint32_t generation = facts.generation;
    sg_facts_note(&facts, SG_EFFECT_NONE);
    sg_facts_note(&facts, SG_EFFECT_ENDS);
    sg_facts_rest(&facts, 'I', 1, false);
    cr_assert(knows(&facts, 1, 5), "the end of a transaction that has changed nothing changes nothing");
    cr_assert_eq(facts.generation, generation);
    cr_assert_not(knows(&facts, 2, 5), "another epoch");
    cr_assert_neq(facts.generation, generation);
    sg_facts_free(&facts);
}

Test(facts, what_may_change_them_ends_them) {
    struct sg_facts facts = {0};
    tell(&facts, 1, 0);
    sg_facts_note(&facts, SG_EFFECT_CHANGES);
    cr_assert_not(knows(&facts, 1, 0));
    cr_assert(facts.is_unsettled);
    sg_facts_rest(&facts, 'I', 1, false);
    cr_assert_not(facts.is_unsettled);
    sg_facts_free(&facts);
}

Test(facts, the_end_of_a_transaction_takes_back_what_it_changed) {
    struct sg_facts facts = {0};
    sg_facts_note(&facts, SG_EFFECT_CHANGES); /* SET LOCAL */
    tell(&facts, 1, 1);
    sg_facts_rest(&facts, 'T', 2, false);
    cr_assert(knows(&facts, 1, 2), "the server has said that it goes on");
    cr_assert_not(knows(&facts, 1, 3), "this batch may begin behind its end");
    tell(&facts, 1, 3);
    sg_facts_note(&facts, SG_EFFECT_ENDS);
    cr_assert_not(knows(&facts, 1, 3));
    tell(&facts, 1, 3);
    sg_facts_rest(&facts, 'I', 3, false);
    cr_assert_not(knows(&facts, 1, 3));
    tell(&facts, 1, 4);
    cr_assert(knows(&facts, 1, 9), "it is over");
    sg_facts_free(&facts);
}

/* SET in flight, and the question right behind it, outside of any transaction. */
Test(facts, the_answer_to_a_question_asked_last_stays) {
    struct sg_facts facts = {0};
    sg_facts_note(&facts, SG_EFFECT_CHANGES);
    tell(&facts, 1, 2);
    sg_facts_rest(&facts, 'I', 2, true);
    cr_assert(knows(&facts, 1, 3));
    sg_facts_free(&facts);
}

Test(facts, doubt) {
    struct sg_facts facts = {.is_doubtful = true, .is_unlooked = true};
    sg_facts_no_temporary(&facts);
    cr_assert_not(facts.is_doubtful);
    sg_facts_doubt(&facts);
    sg_facts_no_temporary(&facts);
    cr_assert(facts.is_doubtful, "a table was made that need not be temporary");
    sg_facts_free(&facts);
}

/* A statement that could not be told everything is not told half of it; memory is bounded. */
Test(facts, many) {
    struct sg_facts facts = {0};
    struct sg_buf text = {0};
    struct sg_span asks[2] = {USERS, SG_SPAN_LIT("\"orders\"")};
    sg_facts_add(&facts, asks[0], SG_SPAN_LIT(""), 0);
    cr_assert_not(sg_facts_compose(&facts, asks, 2, &text));
    cr_assert_eq(text.len, 0);
    sg_facts_add(&facts, asks[1], SG_SPAN_LIT("\"a\"?"), 0);
    cr_assert(sg_facts_compose(&facts, asks, 2, &text));
    cr_assert(sg_span_eq_cstr((struct sg_span){(const char *)text.data, text.len}, "\"users\"=;\"orders\"=\"a\"?;"));
    sg_buf_free(&text);
    for (char i = 0; i < 120; i++) {
        for (char k = 0; k < 120; k++) {
            char name[] = {'"', i, k, '"'};
            sg_facts_add(&facts, (struct sg_span){name, sizeof name}, SG_SPAN_LIT("\"a\""), 0);
        }
    }
    cr_assert_leq(facts.n, 256);
    sg_facts_free(&facts);
}
