/* session_reply — errors and notices that answer a statement which is not the one the client sent. */
#ifndef SEGUE_NET_SESSION_REPLY_H
#define SEGUE_NET_SESSION_REPLY_H

#include "session.h"

/* The server's error, ours in its place, or the server's with its position mapped into the client's text. Nothing of
 * the session's state changes. */
void sg_reply_send_error(struct sg_session *s, const struct sg_error *err);
enum sg_verdict sg_reply_error(struct sg_session *s, const struct sg_message *m);
enum sg_verdict sg_reply_notice(struct sg_session *s, const struct sg_message *m);

#endif
