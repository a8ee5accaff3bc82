/* session_limits — a session takes its place among those of its user and its database when the server has let it in. */
#ifndef SEGUE_NET_SESSION_LIMITS_H
#define SEGUE_NET_SESSION_LIMITS_H

#include "session.h"

/* AuthenticationOk has come. False: there is no room, and sg_session_limits_refuse says so to the client. */
bool sg_session_limits_enter(struct sg_session *s);
void sg_session_limits_refuse(struct sg_session *s);

#endif
