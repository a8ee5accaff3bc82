/* sg_plan_map_position: the server's error positions, back in the text the client sent. */
#include "world.h"

#include <criterion/criterion.h>

static bool begins_character(char c) {
    return ((unsigned char)c & 0xc0) != 0x80;
}

/* 1-based position of the byte at offset, as a server with this client encoding would say it. */
static int position_of(struct sg_span text, size_t offset, enum sg_encoding encoding) {
    int position = 1;
    for (size_t i = 0; i < offset; i++) {
        position += encoding != SG_ENCODING_UTF8 || begins_character(text.ptr[i]);
    }
    return position;
}

static void check_kept(const struct sg_plan *plan, struct sg_span client, size_t at_in, size_t at_out, size_t len,
                       enum sg_encoding encoding) {
    for (size_t i = 0; i < len; i++) {
        if (encoding == SG_ENCODING_UTF8 && !begins_character(client.ptr[at_in + i])) {
            continue;
        }
        int position = position_of(plan->sql, at_out + i, encoding);
        cr_expect_eq(sg_plan_map_position(plan, client, position), position_of(client, at_in + i, encoding),
                     "kept text, position %d of: %s", position, plan->sql.ptr);
    }
}

static void check_inserted(const struct sg_plan *plan, struct sg_span client, const struct sg_edit *edit, size_t at_out,
                           enum sg_encoding encoding) {
    int from = position_of(client, edit->at, encoding);
    int to = position_of(client, edit->at + edit->removed, encoding);
    for (size_t i = 0; i < edit->inserted; i++) {
        if (encoding == SG_ENCODING_UTF8 && !begins_character(plan->sql.ptr[at_out + i])) {
            continue;
        }
        int position = position_of(plan->sql, at_out + i, encoding);
        int got = sg_plan_map_position(plan, client, position);
        cr_expect(got >= from && got <= to, "inserted text, position %d of: %s: %d is not in %d..%d", position,
                  plan->sql.ptr, got, from, to);
    }
}

/* Every position of the rewritten text: what was kept maps to itself, what was put in to the place of the edit. */
static void check_every_position(struct sg_rewriter *rewriter, struct sg_snapshot *snapshot, const char *sql,
                                 enum sg_encoding encoding) {
    struct sg_request request = world_request(sql);
    request.encoding = encoding;
    const struct sg_plan *plan = sg_rewriter_plan(rewriter, snapshot, &request);
    cr_assert(plan && plan->action == SG_REWRITE, "%s", sql);
    size_t at_in = 0;
    size_t at_out = 0;
    for (size_t i = 0; i < plan->edits_len; i++) {
        const struct sg_edit *edit = &plan->edits[i];
        check_kept(plan, request.sql, at_in, at_out, edit->at - at_in, encoding);
        at_out += edit->at - at_in;
        check_inserted(plan, request.sql, edit, at_out, encoding);
        at_out += edit->inserted;
        at_in = edit->at + edit->removed;
    }
    check_kept(plan, request.sql, at_in, at_out, request.sql.len - at_in, encoding);
    /* Right behind the end: "syntax error at end of input". */
    cr_expect_eq(sg_plan_map_position(plan, request.sql, position_of(plan->sql, plan->sql.len, encoding)),
                 position_of(request.sql, request.sql.len, encoding));
}

static const char *const texts[] = {
    "SELECT username FROM users",
    "SELECT 'ü€😀', username, user_id FROM users WHERE username = 'имя' AND no_such = 1",
    "INSERT INTO users (user_id, nickname, email) VALUES (1, 'имя', 'e'), (2, 'é', oops)",
    "UPDATE users SET nickname = 'ü' || nickname, email = oops WHERE username > '€'",
    "SELECT * FROM users WHERE nope",
    "INSERT INTO users VALUES (1, 'жук') RETURNING *, nope",
    "SELECT 'é'; SELECT username FROM users; SELECT 'é', nope",
};

Test(position, counts_characters) {
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 16);
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 1);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        check_every_position(rewriter, snapshot, texts[i], SG_ENCODING_UTF8);
    }
    sg_snapshot_unref(snapshot);
    sg_rewriter_free(rewriter);
}

Test(position, counts_bytes_in_single_byte_encodings) {
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 16);
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 1);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        check_every_position(rewriter, snapshot, texts[i], SG_ENCODING_LATIN1);
    }
    sg_snapshot_unref(snapshot);
    sg_rewriter_free(rewriter);
}

/* By hand, so that the loop above is not the only witness. */
Test(position, by_hand) {
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 16);
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 1);
    struct sg_request request = world_request("SELECT 'ü', username, nope FROM users");
    const struct sg_plan *plan = sg_rewriter_plan(rewriter, snapshot, &request);
    cr_assert_str_eq(plan->sql.ptr, "SELECT 'ü', nickname AS username, nope FROM users");
    cr_assert_eq(sg_plan_map_position(plan, request.sql, 1), 1);
    cr_assert_eq(sg_plan_map_position(plan, request.sql, 13), 13, "nickname is where username was");
    cr_assert_eq(sg_plan_map_position(plan, request.sql, 35), 23, "nope");
    sg_snapshot_unref(snapshot);
    sg_rewriter_free(rewriter);
}

/* A refusal points into the client's text by itself. */
Test(position, of_a_refusal) {
    struct sg_rewriter *rewriter = sg_rewriter_new(1 << 16);
    struct sg_snapshot *snapshot = world_users(SG_PHASE_DUAL_WRITE, 1);
    struct sg_request request = world_request("SELECT 'üüü', FROM users WHERE");
    const struct sg_plan *plan = sg_rewriter_plan(rewriter, snapshot, &request);
    cr_assert_eq(plan->action, SG_REFUSE);
    cr_assert_str_eq(plan->error->sqlstate, "42601");
    cr_assert_eq(plan->error->position, 15, "got %d", plan->error->position);
    sg_snapshot_unref(snapshot);
    sg_rewriter_free(rewriter);
}
