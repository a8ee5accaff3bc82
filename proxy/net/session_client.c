/*
 * Messages of the client, and what becomes of each. The first column of dispositions is for every session, the second
 * for those on the control database (session_rewrite.c).
 *
 *      type  reply until          disposition    with snapshots
 *      Q     ReadyForQuery        forward        or rewrite, or refuse
 *      P     ParseComplete        forward        or rewrite, or refuse; the statement is remembered
 *      B     BindComplete         forward        behind a renewed Parse if the statement is older; or refuse
 *      D     RowDescription...    forward        the same, for statements
 *      C     CloseComplete        forward        the statement is forgotten
 *      E     CommandComplete...   forward
 *      S F   ReadyForQuery        forward
 *      d     none                 forward        or through the stream of a rewritten COPY; or wait for its beginning
 *      c f   none                 forward; a marker while the server may not have asked for data yet
 *      X     none                 forward; what follows is absorbed
 *      rest  none                 forward (authentication, Flush, types of newer clients)
 *
 * Texts are planned even while the server is expected to skip them: nothing unrewritten is ever forwarded on the
 * strength of a guess about the server's state.
 */
#include "pause.h"
#include "session_cancel.h"
#include "session_copy.h"
#include "session_facts.h"
#include "session_lease.h"
#include "session_rewrite.h"

static bool is_rewritable(uint8_t type) {
    return type == 'Q' || type == 'P' || type == 'B' || type == 'D' || type == 'C';
}

static bool has_reply(uint8_t type) {
    return is_rewritable(type) || type == 'E' || type == 'S' || type == 'F';
}

/* A transaction never begins under a snapshot older than the installed one, so a client that pipelines without end
 * cannot hold up a barrier: at the end of a batch it waits for the replies, and its next transaction is pinned anew. */
static bool must_drain_first(const struct sg_session *s) {
    return s->pin && s->pin != s->worker->installed && s->is_batch_start && s->expect.len > 0 && !s->is_copy_in;
}

/* Every prepared statement is about to end. What comes next may use one: it waits for the replies, which inside a batch
 * come only if they are asked for. */
static bool must_wait_for_clearing(struct sg_session *s, uint8_t type) {
    static const uint8_t flush[] = {'H', 0, 0, 0, 4};
    s->is_clearing = s->is_clearing && s->expect.len > 0;
    if (!s->is_clearing || type == 'S') {
        return false;
    }
    if (s->is_unsynced) {
        sg_flow_emit(&s->from_client, flush, sizeof(flush));
    }
    return true;
}

static enum sg_verdict on_sync(struct sg_session *s) {
    /* While it reads COPY data the server ignores Sync. */
    if (!s->is_copy_in) {
        sg_session_expect(s, SG_EXPECT_SYNC, SG_REPLY_FORWARD, NULL);
    }
    return SG_FORWARD;
}

static enum sg_verdict on_copy_end(struct sg_session *s, uint8_t type) {
    if (type == 'c') {
        sg_copy_end(s);
    } else {
        sg_copy_stop(s);
    }
    if (s->is_copy_in) {
        s->is_copy_in = false;
    } else if (s->expect.runs > 0) {
        sg_expect_push(&s->expect, SG_EXPECT_COPY_END, SG_REPLY_FORWARD, NULL);
    }
    return SG_FORWARD;
}

static enum sg_verdict on_execute(struct sg_session *s, const struct sg_message *m) {
    sg_session_expect(s, SG_EXPECT_EXECUTE, SG_REPLY_FORWARD, sg_rewrite_execute(s, m));
    return SG_FORWARD;
}

static enum sg_verdict forward_expecting(struct sg_session *s, enum sg_expect_kind kind) {
    sg_session_expect(s, kind, SG_REPLY_FORWARD, NULL);
    return SG_FORWARD;
}

static enum sg_verdict on_plain(struct sg_session *s, const struct sg_message *m) {
    switch (m->type) {
    case 'Q':
        return forward_expecting(s, SG_EXPECT_QUERY);
    case 'P':
        return forward_expecting(s, SG_EXPECT_PARSE);
    case 'B':
        return forward_expecting(s, SG_EXPECT_BIND);
    case 'D':
        return forward_expecting(s, SG_EXPECT_DESCRIBE);
    case 'C':
        return forward_expecting(s, SG_EXPECT_CLOSE);
    default:
        return SG_FORWARD;
    }
}

static enum sg_verdict on_rewritable(struct sg_session *s, const struct sg_message *m) {
    switch (m->type) {
    case 'Q':
        return sg_rewrite_query(s, m);
    case 'P':
        return sg_rewrite_parse(s, m);
    case 'B':
        return sg_rewrite_bind(s, m);
    case 'D':
        return sg_rewrite_describe(s, m);
    case 'C':
        return sg_rewrite_close(s, m);
    default:
        return SG_FORWARD;
    }
}

size_t sg_client_need(void *owner, const struct sg_message *m) {
    struct sg_session *s = owner;
    return s->has_snapshots && s->is_logged_in ? sg_rewrite_need(s, m) : 0;
}

static enum sg_verdict on_message(struct sg_session *s, const struct sg_message *m) {
    switch (m->type) {
    case 'S':
        return on_sync(s);
    case 'E':
        return on_execute(s, m);
    case 'F':
        sg_facts_note_run(s, true);
        return forward_expecting(s, SG_EXPECT_FUNCTION);
    case 'c':
    case 'f':
        return on_copy_end(s, m->type);
    case 'X':
        s->is_client_bye = true;
        return SG_FORWARD;
    default:
        break;
    }
    return s->has_snapshots ? on_rewritable(s, m) : on_plain(s, m);
}

enum sg_verdict sg_client_decide(void *owner, const struct sg_message *m) {
    struct sg_session *s = owner;
    enum sg_gate gate = SG_GATE_OPEN;
    struct sg_error err; /* of the gate */
    if (s->is_client_bye) {
        return SG_ABSORB;
    }
    if (s->way && m->type != 'p') {
        return sg_session_stall(s, 0); /* it may yet turn out to be the wrong server */
    }
    if (s->is_console && m->type != 'p') {
        return sg_session_stall(s, 0); /* for the console, which takes over what is left */
    }
    if (s->has_snapshots && !s->is_logged_in && is_rewritable(m->type)) {
        return sg_session_stall(s, 0); /* no statement is held, or planned, for somebody who has not logged in */
    }
    if (m->type == 'd') {
        return sg_copy_data(s);
    }
    sg_copy_flush(s);
    if (s->expect.len >= SG_EXPECT_MAX) {
        return sg_session_stall(s, SG_EXPECT_MAX / 2);
    }
    if (has_reply(m->type)) {
        if (sg_session_cancel_holds(s)) {
            return sg_session_stall(s, UINT32_MAX);
        }
        if (s->is_paused && sg_pause_before_message(s) == SG_STALL) {
            return SG_STALL;
        }
        if (must_drain_first(s) || must_wait_for_clearing(s, m->type)) {
            return sg_session_stall(s, 0);
        }
        gate = s->has_snapshots ? sg_lease_gate(s, m, &err) : SG_GATE_OPEN;
        if (gate == SG_GATE_WAIT) {
            return sg_session_stall(s, UINT32_MAX);
        }
        if (s->has_snapshots && !s->pin) {
            sg_worker_pin(s->worker, s);
        }
    }
    s->probe.is_query = m->type == 'Q';
    enum sg_verdict verdict = gate == SG_GATE_REFUSED ? sg_rewrite_refuse(s, m, &err) : sg_facts_before_message(s);
    if (verdict == SG_FORWARD) {
        verdict = on_message(s, m);
    }
    if (verdict != SG_STALL) {
        sg_facts_message_over(s);
    }
    if (verdict != SG_STALL) {
        sg_trace_message(s, m->type);
    }
    if (has_reply(m->type) && m->type != 'S' && verdict != SG_STALL) {
        sg_copy_stop(s);
        s->is_copy_in = false; /* no COPY outlives this message: it has failed before, or does so now */
    }
    return verdict;
}
