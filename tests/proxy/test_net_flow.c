/* Messages on their way through a session, cut at every place. */
#include "proxy/net/flow.h"

#include <criterion/criterion.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the test's handlers do is in the type: f forward, a absorb, h see the whole body and say what it was, t see
 * three bytes of it, s stall once, x stop. Each writes a word before its message. */
struct world {
    uv_loop_t loop;
    uv_pipe_t pipe;
    int other_end;
    struct sg_outq out;
    struct sg_flow_desk desk;
    struct sg_flow flow;
    bool has_stalled;
};

static size_t need(void *owner, const struct sg_message *m) {
    switch (m->type) {
    case 'h':
        return m->body_bytes;
    case 't':
        return m->body_bytes < 3 ? m->body_bytes : 3;
    default:
        return 0;
    }
}

static void say(struct world *w, const char *word, const void *bytes, size_t len) {
    sg_flow_emit(&w->flow, word, strlen(word));
    sg_flow_emit(&w->flow, bytes, len);
}

static enum sg_verdict decide(void *owner, const struct sg_message *m) {
    struct world *w = owner;
    switch (m->type) {
    case 'a':
        say(w, "<absorbed>", "", 0);
        return SG_ABSORB;
    case 'h':
        cr_assert_eq(m->have, m->body_bytes);
        say(w, "<held:", m->body, m->have);
        say(w, ">", "", 0);
        return SG_FORWARD;
    case 't':
        cr_assert_geq(m->have, m->body_bytes < 3 ? m->body_bytes : 3);
        say(w, "<three:", m->body, m->body_bytes < 3 ? m->body_bytes : 3);
        say(w, ">", "", 0);
        return m->have > 0 && m->body[0] == '-' ? SG_ABSORB : SG_FORWARD;
    case 's':
        if (!w->has_stalled) {
            w->has_stalled = true;
            return SG_STALL;
        }
        w->has_stalled = false;
        return SG_FORWARD;
    case 'x':
        return SG_STOP;
    default:
        return SG_FORWARD;
    }
}

static void on_clear(struct sg_outq *q) {
    cr_assert_eq(q->error, 0);
}

static void world_open(struct world *w) {
    int ends[2];
    *w = (struct world){0};
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    uv_loop_init(&w->loop);
    uv_pipe_init(&w->loop, &w->pipe, 0);
    cr_assert_eq(uv_pipe_open(&w->pipe, ends[0]), 0);
    w->other_end = ends[1];
    sg_outq_init(&w->out, (uv_stream_t *)&w->pipe, on_clear);
    sg_arena_init(&w->desk.scratch, 256);
    w->flow = (struct sg_flow){.scanner = {.max_body_bytes = 1u << 20},
                               .need = need,
                               .decide = decide,
                               .owner = w,
                               .out = &w->out,
                               .desk = &w->desk};
}

static void world_close(struct world *w) {
    uv_close((uv_handle_t *)&w->pipe, NULL);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&w->loop), 0);
    close(w->other_end);
    sg_outq_free(&w->out);
    sg_flow_free(&w->flow);
    sg_arena_free(&w->desk.scratch);
}

/* Feeds as a session does: after a stall, the rest again. */
static enum sg_feed feed(struct world *w, const uint8_t *bytes, size_t len) {
    enum sg_feed result;
    do {
        size_t taken = 0;
        result = sg_flow_feed(&w->flow, bytes, len, &taken);
        cr_assert_leq(taken, len);
        bytes += taken;
        len -= taken;
        cr_assert(result != SG_FEED_OK || len == 0);
    } while (result == SG_FEED_STALLED);
    return result;
}

static void expect_output(struct world *w, const struct sg_buf *expected, const char *when) {
    struct sg_buf got = {0};
    uint8_t chunk[4096];
    while (got.len < expected->len) {
        uv_run(&w->loop, UV_RUN_NOWAIT);
        ssize_t n = read(w->other_end, chunk, sizeof(chunk));
        if (n > 0) {
            sg_buf_put(&got, chunk, (size_t)n);
        } else if (sg_outq_is_clear(&w->out)) {
            break; /* no more will come */
        }
    }
    cr_assert_eq(got.len, expected->len, "%s: %zu bytes instead of %zu", when, got.len, expected->len);
    cr_assert_eq(memcmp(got.data, expected->data, got.len), 0, "%s", when);
    sg_buf_free(&got);
}

static void put(struct sg_buf *buf, char type, const char *body) {
    sg_msg_begin(buf, (uint8_t)type);
    sg_buf_put(buf, body, strlen(body));
    sg_msg_end(buf);
}

static void put_word(struct sg_buf *buf, const char *word) {
    sg_buf_put(buf, word, strlen(word));
}

static void conversation(struct sg_buf *in, struct sg_buf *out) {
    put(in, 'f', "one"), put(out, 'f', "one");
    put(in, 'a', "two"), put_word(out, "<absorbed>");
    put(in, 'h', ""), put_word(out, "<held:>"), put(out, 'h', "");
    put(in, 'h', "three"), put_word(out, "<held:three>"), put(out, 'h', "three");
    put(in, 's', "four"), put(out, 's', "four");
    put(in, 't', "five and a long rest"), put_word(out, "<three:fiv>"), put(out, 't', "five and a long rest");
    put(in, 't', "-absorbed"), put_word(out, "<three:-ab>");
    put(in, 't', "6"), put_word(out, "<three:6>"), put(out, 't', "6");
    put(in, 's', ""), put(out, 's', "");
    put(in, 'f', ""), put(out, 'f', "");
}

Test(flow, is_the_same_however_the_stream_is_cut) {
    struct sg_buf in = {0}, out = {0};
    conversation(&in, &out);
    for (size_t a = 0; a <= in.len; a++) {
        for (size_t b = a; b <= in.len; b += 7) {
            struct world w;
            char when[64];
            snprintf(when, sizeof(when), "cut at %zu and %zu", a, b);
            world_open(&w);
            cr_assert_eq(feed(&w, in.data, a), SG_FEED_OK);
            cr_assert_eq(feed(&w, in.data + a, b - a), SG_FEED_OK);
            cr_assert_eq(feed(&w, in.data + b, in.len - b), SG_FEED_OK);
            expect_output(&w, &out, when);
            cr_assert(sg_flow_at_boundary(&w.flow));
            cr_assert_eq(w.flow.held.len, 0);
            world_close(&w);
        }
    }
    sg_buf_free(&in);
    sg_buf_free(&out);
}

Test(flow, a_boundary_is_where_nothing_is_half_forwarded) {
    struct sg_buf in = {0};
    struct world w;
    put(&in, 'f', "body");
    put(&in, 'h', "body");
    world_open(&w);
    feed(&w, in.data, 3);
    cr_assert(sg_flow_at_boundary(&w.flow), "part of a header is not forwarded");
    feed(&w, in.data + 3, 4);
    cr_assert_not(sg_flow_at_boundary(&w.flow));
    feed(&w, in.data + 7, 9);
    cr_assert(sg_flow_at_boundary(&w.flow), "what is held is not forwarded");
    cr_assert_gt(w.flow.held.len, 0);
    world_close(&w);
    sg_buf_free(&in);
}

Test(flow, more_pieces_than_one_system_call_takes_keep_their_order) {
    struct sg_buf in = {0}, out = {0};
    struct world w;
    for (int i = 0; i < 5000; i++) {
        char body[16];
        snprintf(body, sizeof(body), "%d", i);
        put(&in, 'a', body), put_word(&out, "<absorbed>");
        put(&in, 'f', body), put(&out, 'f', body);
    }
    world_open(&w);
    cr_assert_eq(feed(&w, in.data, in.len), SG_FEED_OK);
    expect_output(&w, &out, "5000 pairs"); /* more than the socket's buffer holds, too */
    world_close(&w);
    sg_buf_free(&in);
    sg_buf_free(&out);
}

Test(flow, stops_and_bad_lengths_end_it) {
    static const uint8_t stop[] = {'f', 0, 0, 0, 4, 'x', 0, 0, 0, 5, '!'};
    static const uint8_t bad[] = {'f', 0, 0, 0, 3};
    static const uint8_t too_long[] = {'f', 0, 0x20, 0, 0};
    struct world w;
    world_open(&w);
    cr_assert_eq(feed(&w, stop, sizeof(stop)), SG_FEED_STOPPED);
    cr_assert(sg_flow_at_boundary(&w.flow));
    world_close(&w);
    world_open(&w);
    cr_assert_eq(feed(&w, bad, sizeof(bad)), SG_FEED_BAD);
    world_close(&w);
    world_open(&w);
    cr_assert_eq(feed(&w, too_long, sizeof(too_long)), SG_FEED_BAD);
    world_close(&w);
}
