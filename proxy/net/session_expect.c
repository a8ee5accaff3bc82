/* What the server owes a session: messages that go out, and replies that never come. */
#include "session.h"
#include "session_facts.h"
#include "session_sql.h"

void sg_session_expect(struct sg_session *s, enum sg_expect_kind kind, enum sg_disposition disposition,
                       struct sg_side *side) {
    if (s->expect.len == 0) {
        s->since_ms = uv_now(&s->worker->loop);
        sg_trace_ask(s);
    }
    sg_expect_push(&s->expect, kind, disposition, side);
    bool ends_batch = kind == SG_EXPECT_SYNC || kind == SG_EXPECT_QUERY || kind == SG_EXPECT_FUNCTION;
    s->is_batch_start = ends_batch;
    s->batch += ends_batch;
    if (kind == SG_EXPECT_SYNC || !ends_batch) {
        s->is_unsynced = kind != SG_EXPECT_SYNC; /* a Query inside a batch does not end it */
    }
    if (s->waiting_since_ns == 0 && s->has_snapshots) {
        s->waiting_since_ns = uv_hrtime();
    }
    if (!s->is_skipping) {
        return;
    }
    /* The server drops everything but Sync. */
    struct sg_expectation skipped;
    while (!sg_expect_is_front(&s->expect, SG_EXPECT_SYNC) && sg_expect_pop(&s->expect, &skipped)) {
        sg_session_discard(s, &skipped);
    }
    s->is_skipping = s->expect.len == 0;
}

void sg_session_discard(struct sg_session *s, struct sg_expectation *entry) {
    if (!entry->side) {
        return;
    }
    if (entry->side->is_probe) {
        sg_probe_skipped(s);
    }
    if (entry->side->version) {
        sg_statements_undo(&s->statements, entry->side->version);
        entry->side->version = NULL;
    }
    sg_sql_undo(s, entry->side);
    sg_worker_side_free(s->worker, entry->side);
    entry->side = NULL;
}
