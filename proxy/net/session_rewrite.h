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

#endif
