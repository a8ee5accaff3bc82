/*
 * session_facts — planning a statement whose meaning depends on what only the session's server knows.
 *
 *      plan --SG_ASK--> the facts are known ----------------------------------> plan again
 *                  \--> ask: a query of ours (the probe) goes out where the statement would, the statement waits
 *                          |  sg_probe_row, sg_probe_end: answered -----------> plan again
 *                          |  sg_probe_error: the statement's own error -----> absorb it, as the server would have
 *                          \  skipped behind an error before it -------------> absorb it, as the server would have
 *
 * The probe runs in the client's transaction, so it sees what the client's statement would see. In front of a Query it
 * ends with Sync; among messages of the extended protocol with Flush, so that it is one more message of the client's
 * batch.
 */
#ifndef SEGUE_NET_SESSION_FACTS_H
#define SEGUE_NET_SESSION_FACTS_H

#include "segue/prepared.h"
#include "session.h"

/* What is to be sent in a text's place, and what that depends on. */
struct sg_planned {
    const struct sg_plan *plan; /* NULL: the text itself. Valid until the next planning */
    bool has_facts, is_doubted;
    uint32_t generation;
};

/* SG_FORWARD: planned. Otherwise what becomes of the message in hand: it waits, or it has been answered. */
enum sg_verdict sg_facts_plan(struct sg_session *s, struct sg_span sql, enum sg_star star, bool extended,
                              struct sg_planned *ret_planned);
/* Must what was made with these be looked at anew? */
bool sg_facts_are_stale(struct sg_session *s, const struct sg_version *v);
void sg_facts_note_version(struct sg_version *v, const struct sg_planned *planned);
/* How a text is read that is sent now. */
struct sg_reading sg_facts_reading(const struct sg_session *s);
/* v was made with it is not known what: it is looked at anew before its first use. */
void sg_facts_note_unsure(const struct sg_session *s, struct sg_version *v);
/* The plan of a part of a text that has been planned just now. NULL: it goes out as it is, or has to be looked at anew
 * anyway. */
const struct sg_plan *sg_facts_plan_again(struct sg_session *s, struct sg_span sql, enum sg_star star);

/* ---- What goes out ---- */

/* A Query, and what it does with prepared statements. */
void sg_facts_note_query(struct sg_session *s, struct sg_span sql, const struct sg_prepared_ops *ops);
/* text: judged; NULL: it is not remembered. */
void sg_facts_note_parse(struct sg_session *s, struct sg_span sql, const struct sg_text *text);
void sg_facts_note_bind(struct sg_session *s, const struct sg_version *v);
/* A portal, or a function. */
void sg_facts_note_run(struct sg_session *s, bool is_function);
/* Before anything is decided on a message of the client. SG_FORWARD: go on. Otherwise it is the one that waits for an
 * answer, whatever has become of what it names meanwhile: it waits on, or is dropped. */
enum sg_verdict sg_facts_before_message(struct sg_session *s);
/* A message of the client has been decided on. */
void sg_facts_message_over(struct sg_session *s);

/* ---- The server's replies ---- */

/* Is the front of the queue a message of the probe? */
bool sg_probe_is_front(const struct sg_session *s);
void sg_probe_row(struct sg_session *s, const struct sg_message *m);
enum sg_verdict sg_probe_error(struct sg_session *s, const struct sg_message *m);
/* The entry has been answered as it should be. */
void sg_probe_completed(struct sg_session *s, struct sg_side *side);
/* The entry is never answered. */
void sg_probe_skipped(struct sg_session *s);
/* ReadyForQuery: true: it was the probe's, which failed, and it now answers the client's Query. */
bool sg_probe_ready(struct sg_session *s, struct sg_side *side);
/* ParameterStatus, or the probe. */
void sg_facts_setting(struct sg_session *s, struct sg_span name, struct sg_span value, bool is_reported);
/* After ReadyForQuery: what the server has reported is what is in force. */
void sg_facts_restore_settings(struct sg_session *s);

#endif
