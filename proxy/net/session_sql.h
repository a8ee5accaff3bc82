/*
 * session_sql — prepared statements by SQL: what PREPARE, EXECUTE, DEALLOCATE and DISCARD ALL in a text do to what is
 * remembered of the session's statements.
 *
 *      Query ----sg_sql_before_query: what it EXECUTEs is renewed--> sg_sql_note_query: outcomes in its expectation
 *                    each CommandComplete: sg_sql_completed, the first comes true;  an error: sg_sql_undo
 *      Bind, Describe of such a text --sg_sql_use: what it EXECUTEs is renewed
 *      Execute of its portal --sg_sql_execute: the version in its expectation
 */
#ifndef SEGUE_NET_SESSION_SQL_H
#define SEGUE_NET_SESSION_SQL_H

#include "segue/prepared.h"
#include "session.h"

/* SG_RENEWAL_NONE, _SENT: the Query may go out. ret_ops lives until the flow is fed again. */
enum sg_renewal sg_sql_before_query(struct sg_session *s, struct sg_span sql, struct sg_prepared_ops *ret_ops,
                                    struct sg_error *reterr);
/* plan: of the Query's text; NULL: it goes out as it is. */
void sg_sql_note_query(struct sg_session *s, const struct sg_prepared_ops *ops, const struct sg_plan *plan,
                       struct sg_side *side);
/* SG_FORWARD, or SG_STALL. */
enum sg_verdict sg_sql_use(struct sg_session *s, const struct sg_text *text);
/* NULL: nothing to expect. */
struct sg_side *sg_sql_execute(struct sg_session *s, const struct sg_portal *portal);

/* A statement of the Query has completed with this tag. */
void sg_sql_completed(struct sg_session *s, struct sg_side *side, struct sg_span tag);
/* What has not completed never will. */
void sg_sql_undo(struct sg_session *s, struct sg_side *side);

#endif
