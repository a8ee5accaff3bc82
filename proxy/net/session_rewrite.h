/*
 * session_rewrite — the client's messages that name a statement or carry its text, for sessions that have snapshots:
 * each is pinned already when it comes here.
 */
#ifndef SEGUE_NET_SESSION_REWRITE_H
#define SEGUE_NET_SESSION_REWRITE_H

#include "session.h"

/* How much of the body the handlers below must see. */
size_t sg_rewrite_need(const struct sg_session *s, const struct sg_message *m);

enum sg_verdict sg_rewrite_query(struct sg_session *s, const struct sg_message *m);
enum sg_verdict sg_rewrite_parse(struct sg_session *s, const struct sg_message *m);
enum sg_verdict sg_rewrite_bind(struct sg_session *s, const struct sg_message *m);
enum sg_verdict sg_rewrite_describe(struct sg_session *s, const struct sg_message *m);
/* What the expectation of an Execute carries; NULL: nothing. */
struct sg_side *sg_rewrite_execute(struct sg_session *s, const struct sg_message *m);
enum sg_verdict sg_rewrite_close(struct sg_session *s, const struct sg_message *m);

/* ---- For session_renew.c and session_sql.c ---- */

static inline bool sg_rewrite_is_refusal(const struct sg_plan *plan) {
    return plan && plan->action == SG_REFUSE;
}
/* Which of its mappings' names a statement uses is noted with each use. */
void sg_rewrite_note_use(struct sg_session *s, const struct sg_version *v);
/* What maps positions in the server's errors back into the client's text. */
void sg_rewrite_side_plan(struct sg_side *side, const struct sg_plan *plan, struct sg_text *text);
/* The message under construction goes out, before the client's. */
void sg_rewrite_send(struct sg_session *s);
/* The batch fails here, with this error. sql, plan: for the operator, see session_notes.h. */
void sg_rewrite_fail(struct sg_session *s, struct sg_span sql, const struct sg_plan *plan, const struct sg_error *err);
void sg_rewrite_set_not_remembered(struct sg_error *err);
/* Any message with a reply, refused; ABSORB. */
enum sg_verdict sg_rewrite_refuse(struct sg_session *s, const struct sg_message *m, const struct sg_error *err);

#endif
