/*
 * Messages of the server: each answers the expectation at the front, or none.
 *
 *      type     answers                 then
 *      1 3      Parse, Close            popped; absorbed if the message was ours
 *      2        Bind                    popped
 *      T n      Describe                popped (T of a Query leaves the entry)
 *      C s I    Execute                 popped (C of a Query leaves the entry)
 *      G W      -                       the server reads data: Sync has no reply until it ends
 *      E        the front               extended protocol: it and all up to the next Sync are discarded
 *      V        -                       the Function is answered; Z pops it
 *      Z        Sync, Query, Function   popped; the status byte decides whether the transaction, and so the pin, is
 * over S K R    -                       settings, cancel key, authentication are noted
 *
 * A reply that the front cannot have caused is forwarded and changes nothing: the client is the judge of such a server.
 */
#include "session_auth.h"
#include "session_cancel.h"
#include "session_copy.h"
#include "session_dial.h"
#include "session_facts.h"
#include "session_limits.h"
#include "session_notes.h"
#include "session_reply.h"
#include "session_sql.h"
#include "session_tls.h"

#include <stdlib.h>
#include <string.h>

#define HOLD_BYTES 65536u   /* errors and settings longer than this pass unread */
#define ROW_BYTES  1048576u /* of an answer to our own question */

static bool is_front(const struct sg_session *s, enum sg_expect_kind kind) {
    return sg_expect_is_front(&s->expect, kind);
}

size_t sg_server_need(void *owner, const struct sg_message *m) {
    const struct sg_session *s = owner;
    bool is_wanted = false;
    if (s->way) {
        return sg_way_need(s, m);
    }
    switch (m->type) {
    case 'Z':
    case 'K':
        is_wanted = true;
        break;
    case 'R': /* which it is stands in front */
        if (!s->is_console && !s->server_tls && !s->login) {
            return m->body_bytes < 4 ? m->body_bytes : 4;
        }
        is_wanted = true;
        break;
    case 'S':
        is_wanted = true;
        break;
    case 'C':
        is_wanted = s->statements.versions > 0 && m->body_bytes < 64;
        break;
    case 'D':
        return sg_probe_is_front(s) && m->body_bytes <= ROW_BYTES ? m->body_bytes : 0;
    case 'E':
    case 'G':
    case 'N':
        is_wanted = s->expect.first_side != NULL || (!s->is_logged_in && s->server_tls) || s->login;
        break;
    default:
        break;
    }
    return is_wanted && m->body_bytes <= HOLD_BYTES ? m->body_bytes : 0;
}

/* ---- Settings, key, authentication ---- */

static enum sg_verdict on_parameter_status(struct sg_session *s, const struct sg_message *m) {
    struct sg_parameter_status status;
    if (sg_parameter_status_read(m->body, m->have, &status) != SG_READ_OK) {
        return SG_FORWARD;
    }
    if (s->has_snapshots) {
        sg_facts_setting(s, status.name, status.value, true);
    }
    if (sg_span_eq_cstr(status.name, "application_name")) {
        sg_notes_rename(s, status.value);
    }
    return SG_FORWARD;
}

static enum sg_verdict on_backend_key(struct sg_session *s, const struct sg_message *m) {
    struct sg_backend_key key;
    if (sg_backend_key_read(m->body, m->have, &key) != SG_READ_OK) {
        return SG_FORWARD;
    }
    if (s->has_key) {
        sg_keys_remove(&s->worker->shared->keys, s);
    }
    free(s->long_key);
    s->long_key = NULL;
    s->has_key = true;
    s->key_pid = key.pid;
    s->key_bytes = (uint16_t)key.key.len;
    if (key.key.len <= sizeof(s->key)) {
        memcpy(s->key, key.key.ptr, key.key.len);
    } else if ((s->long_key = malloc(key.key.len))) {
        memcpy(s->long_key, key.key.ptr, key.key.len);
    } else {
        abort();
    }
    sg_keys_add(&s->worker->shared->keys, s);
    return SG_FORWARD;
}

static enum sg_verdict on_authentication(struct sg_session *s, const struct sg_message *m) {
    int32_t code = -1;
    if (s->login) {
        enum sg_verdict verdict = sg_session_auth_answer(s, m);
        return verdict == SG_FORWARD && !sg_session_limits_enter(s) ? SG_STOP : verdict;
    }
    bool is_read = sg_auth_read(m->body, m->have, &code) == SG_READ_OK;
    if (is_read && code == 10 && s->server_tls && sg_session_tls_unbind(s, m)) { /* AuthenticationSASL */
        return SG_ABSORB;
    }
    if (is_read && code == 0 && (s->is_console || !sg_session_limits_enter(s))) { /* AuthenticationOk */
        return SG_STOP;
    }
    return SG_FORWARD;
}

/* ---- Completions ---- */

/* The server answered something that lies behind a Sync: it has ignored that Sync, as it does while it reads COPY data.
 */
static bool seek(struct sg_session *s, enum sg_expect_kind kind) {
    struct sg_expectation ignored;
    while (is_front(s, SG_EXPECT_SYNC) && s->expect.len > 1) {
        sg_expect_pop(&s->expect, &ignored);
    }
    return is_front(s, kind);
}

/* Markers that turned out not to belong to a COPY. */
static void drop_markers(struct sg_session *s) {
    struct sg_expectation marker;
    while (is_front(s, SG_EXPECT_COPY_END)) {
        sg_expect_pop(&s->expect, &marker);
    }
}

static void confirm_version(struct sg_session *s, struct sg_expectation *entry) {
    if (entry->side && entry->side->version) {
        sg_statements_confirm(&s->statements, entry->side->version);
        entry->side->version = NULL;
    }
}

/* A version was closed by us: until it is prepared again the server does not have it, whatever happens on the way. */
static void lose_closed(struct sg_session *s, const struct sg_expectation *entry) {
    const struct sg_version *renewal = entry->side ? entry->side->renewal : NULL;
    for (struct sg_version *v = renewal ? renewal->older : NULL; v; v = v->older) {
        sg_statements_lost(&s->statements, v);
    }
}

static enum sg_verdict complete(struct sg_session *s, enum sg_expect_kind kind) {
    struct sg_expectation entry;
    if (!seek(s, kind) || !sg_expect_pop(&s->expect, &entry)) {
        return SG_FORWARD;
    }
    if (entry.side && entry.side->is_probe) {
        sg_probe_completed(s, entry.side);
    }
    lose_closed(s, &entry);
    confirm_version(s, &entry);
    sg_session_discard(s, &entry);
    drop_markers(s);
    bool is_ours = entry.disposition == SG_REPLY_SWALLOW || entry.disposition == SG_REPLY_HIDE;
    return is_ours ? SG_ABSORB : SG_FORWARD;
}

static void note_tag(struct sg_session *s, struct sg_span tag) {
    struct sg_expectation front;
    if (sg_span_eq_cstr(tag, "DEALLOCATE ALL") || sg_span_eq_cstr(tag, "DISCARD ALL")) {
        sg_statements_forget_all(&s->statements);
    } else if (sg_expect_front(&s->expect, &front) && front.kind == SG_EXPECT_QUERY && front.side) {
        sg_sql_completed(s, front.side, tag);
    }
}

static enum sg_verdict on_command_complete(struct sg_session *s, const struct sg_message *m) {
    struct sg_span tag;
    s->is_copy_in = false;
    if (s->statements.versions > 0 && m->have == m->body_bytes &&
        sg_command_tag_read(m->body, m->have, &tag) == SG_READ_OK) {
        note_tag(s, tag);
    }
    return is_front(s, SG_EXPECT_QUERY) ? SG_FORWARD : complete(s, SG_EXPECT_EXECUTE);
}

static enum sg_verdict on_row_description(struct sg_session *s) {
    return is_front(s, SG_EXPECT_DESCRIBE) ? complete(s, SG_EXPECT_DESCRIBE) : SG_FORWARD;
}

/* What is held back until earlier replies have come may be what the server waits for: the data, or, since it ignores
 * the Sync that was to make it reply, another Sync. It is looked at anew. */
static enum sg_verdict on_copy_in(struct sg_session *s, const struct sg_message *m) {
    s->is_copy_in = !sg_expect_copy_in(&s->expect);
    s->is_batch_start = sg_expect_ends_batch(&s->expect);
    s->stalled_until = UINT32_MAX;
    return m->type == 'G' ? sg_copy_begin(s, m, s->is_copy_in) : SG_FORWARD;
}

/* ---- ReadyForQuery ---- */

static void end_transaction(struct sg_session *s) {
    if (s->expect.len == 0) {
        sg_portals_forget(&s->portals);
    }
    if (s->pin && s->expect.len == 0) {
        sg_worker_unpin(s->worker, s);
    }
}

static void note_latency(struct sg_session *s) {
    if (s->waiting_since_ns == 0) {
        return;
    }
    uint64_t now_ns = uv_hrtime();
    sg_hub_latency(s->worker->seat, now_ns, now_ns - s->waiting_since_ns);
    sg_histogram_add(&s->worker->phase_waits[s->trace.phase], (now_ns - s->waiting_since_ns) / 1000u);
    s->trace.phase = 0;
    s->waiting_since_ns = s->expect.len > 0 ? now_ns : 0;
}

static void log_in(struct sg_session *s) {
    s->is_logged_in = true;
    uv_timer_stop(&s->timer);
    sg_count(&s->worker->counters.logins, 1);
    sg_trace_login(s);
}

/* Does this ReadyForQuery answer the entry at the front? A Sync sent while the server read COPY data was not expected
 * to be answered; but if the data had failed before it, it is. A statement's own is never the first thing said about
 * it. */
static bool is_front_ready(const struct sg_session *s) {
    if (is_front(s, SG_EXPECT_QUERY) || is_front(s, SG_EXPECT_FUNCTION)) {
        return s->is_answered;
    }
    return is_front(s, SG_EXPECT_SYNC) || is_front(s, SG_EXPECT_STARTUP);
}

static enum sg_verdict pop_ready(struct sg_session *s, bool *ret_is_probe) {
    struct sg_expectation entry;
    if (!is_front_ready(s) || !sg_expect_pop(&s->expect, &entry)) {
        return SG_FORWARD;
    }
    if (entry.kind == SG_EXPECT_STARTUP) {
        log_in(s);
    } else if (entry.kind == SG_EXPECT_QUERY && s->statements.versions > 0) {
        sg_statements_forget(&s->statements, SG_SPAN_LIT("")); /* a simple Query ends the unnamed statement */
    }
    *ret_is_probe = entry.side && entry.side->is_probe;
    bool is_hidden = *ret_is_probe ? !sg_probe_ready(s, entry.side) : entry.disposition == SG_REPLY_HIDE;
    confirm_version(s, &entry);
    sg_session_discard(s, &entry);
    drop_markers(s);
    return is_hidden ? SG_ABSORB : SG_FORWARD;
}

/* What the server has reported before ReadyForQuery is in force. */
static void note_rest(struct sg_session *s, char status, bool is_probe) {
    sg_facts_restore_settings(s);
    if (s->expect.len > 0) {
        return;
    }
    if (status == 'I') {
        s->bound_effect = SG_EFFECT_NONE; /* the portals are gone */
    }
    sg_facts_rest(&s->facts, status, s->batch, is_probe);
}

static bool is_front_hidden(const struct sg_session *s) {
    struct sg_expectation front;
    return sg_expect_front(&s->expect, &front) && front.disposition == SG_REPLY_HIDE;
}

static enum sg_verdict on_ready(struct sg_session *s, const struct sg_message *m) {
    char status = 0;
    if (sg_ready_read(m->body, m->have, &status) != SG_READ_OK) {
        return SG_FORWARD;
    }
    s->tx_status = status;
    s->is_copy_in = s->is_overdue = false;
    s->since_ms = uv_now(&s->worker->loop);
    if (!is_front_hidden(s)) {
        sg_buf_free(&s->renewal_error); /* of the Query that this answers */
    }
    s->is_skipping = false; /* it answers a Sync that was not expected to be answered: nothing is skipped any more */
    bool is_probe = false;
    bool is_login = !s->is_logged_in;
    enum sg_verdict verdict = pop_ready(s, &is_probe);
    if (!is_login) {
        sg_trace_ready(s, status);
    }
    s->is_answered = false;
    note_rest(s, status, is_probe);
    note_latency(s);
    if (status == 'I') {
        end_transaction(s);
    }
    if (s->cancel && verdict == SG_FORWARD) {
        sg_session_cancel_settle(s);
    }
    return verdict;
}

/* ---- Errors ---- */

/* The Parse at the front failed; nothing was skipped yet. */
static void undo_failed_parse(struct sg_session *s, struct sg_expectation *entry) {
    struct sg_version *version = entry->side ? entry->side->version : NULL;
    if (!version) {
        return;
    }
    bool is_unnamed = version->of->name_len == 0;
    entry->side->version = NULL;
    sg_statements_undo(&s->statements, version);
    if (is_unnamed) {
        sg_statements_forget(&s->statements, SG_SPAN_LIT("")); /* the server drops the old one first */
    }
}

/* What failed is over, and the server skips what follows it up to a Sync. */
static void skip_to_sync(struct sg_session *s) {
    struct sg_expectation entry;
    if (sg_expect_pop(&s->expect, &entry)) {
        if (entry.kind == SG_EXPECT_PARSE) {
            undo_failed_parse(s, &entry);
        }
        sg_session_discard(s, &entry);
    }
    while (!is_front(s, SG_EXPECT_SYNC) && sg_expect_pop(&s->expect, &entry)) {
        sg_session_discard(s, &entry);
    }
    s->is_skipping = s->expect.len == 0;
}

static void undo_version(struct sg_session *s, struct sg_side *side) {
    /* The unnamed statement has gone all the same. */
    if (side && side->version && side->version->of->name_len > 0) {
        sg_statements_undo(&s->statements, side->version);
        side->version = NULL;
    }
}

static enum sg_verdict on_error(struct sg_session *s, const struct sg_message *m) {
    enum sg_verdict verdict = sg_reply_error(s, m);
    if (s->cancel) {
        sg_session_cancel_settle(s);
    }
    sg_copy_stop(s);
    struct sg_expectation front;
    s->is_copy_in = false;
    if (!sg_expect_front(&s->expect, &front)) {
        return verdict;
    }
    switch (front.kind) {
    case SG_EXPECT_PARSE:
    case SG_EXPECT_BIND:
    case SG_EXPECT_DESCRIBE:
    case SG_EXPECT_CLOSE:
    case SG_EXPECT_EXECUTE:
        skip_to_sync(s);
        break;
    default: /* ReadyForQuery follows, or the end of the connection */
        undo_version(s, front.side);
        if (front.side) {
            sg_sql_undo(s, front.side);
        }
        break;
    }
    return verdict;
}

/* Does the server say why it is about to close? As far as has come of it; what cannot be read yet may well be that. */
static bool is_farewell(const struct sg_message *m) {
    struct sg_span severity = sg_error_field(m->body, m->have, 'V');
    return !severity.ptr || !sg_span_eq_cstr(severity, "ERROR");
}

/* ---- The table ---- */

static enum sg_verdict decide(struct sg_session *s, const struct sg_message *m) {
    switch (m->type) {
    case 'D':
        if (!sg_probe_is_front(s)) {
            return SG_FORWARD; /* the commonest, and nobody's business */
        }
        sg_probe_row(s, m);
        return SG_ABSORB;
    case 'd':
        return SG_FORWARD;
    case 'Z':
        return on_ready(s, m);
    case 'C':
        s->is_answered = true;
        return on_command_complete(s, m);
    case 'V':
        s->is_answered = true;
        return SG_FORWARD;
    case 's':
    case 'I':
        s->is_answered = true;
        return is_front(s, SG_EXPECT_QUERY) ? SG_FORWARD : complete(s, SG_EXPECT_EXECUTE);
    case '1':
        return complete(s, SG_EXPECT_PARSE);
    case '2':
        return complete(s, SG_EXPECT_BIND);
    case '3':
        return complete(s, SG_EXPECT_CLOSE);
    case 'T':
    case 'n':
        return on_row_description(s);
    case 'G':
    case 'W':
        s->is_replicating |= m->type == 'W';
        return on_copy_in(s, m);
    case 'E': {
        enum sg_verdict verdict = on_error(s, m);
        s->is_answered = true;
        return verdict;
    }
    case 'N':
        return sg_reply_notice(s, m);
    case 'S':
        return on_parameter_status(s, m);
    case 'K':
        return on_backend_key(s, m);
    case 'R':
        return on_authentication(s, m);
    case 'v':
        return s->login ? SG_ABSORB : SG_FORWARD; /* the client has agreed on the version with segue */
    default:
        return SG_FORWARD;
    }
}

enum sg_verdict sg_server_decide(void *owner, const struct sg_message *m) {
    struct sg_session *s = owner;
    if (!s->is_server_known && !memchr("REvN", m->type, 4)) {
        return SG_STOP;
    }
    s->is_server_known = true;
    s->is_server_error = m->type == 'E' && is_farewell(m);
    if (!s->way) {
        return decide(s, m);
    }
    enum sg_verdict verdict = sg_way_judge(s, m);
    verdict = verdict == SG_FORWARD ? decide(s, m) : verdict;
    return sg_way_pass(s, m, verdict);
}
