/*
 * session_cancel — a session's statement is cancelled: for its client, for its time, or because the client is gone.
 *
 * PostgreSQL drops a cancel that arrives while it reads its next command, and what it hits is whatever runs at that
 * moment. Between a client and its server stands a proxy that may hold a statement, or have one of its own under way;
 * so here a cancel is repeated until it has had its effect, and nothing new begins on the server while one is on its
 * way. session_cancel.c opens with how.
 */
#ifndef SEGUE_NET_SESSION_CANCEL_H
#define SEGUE_NET_SESSION_CANCEL_H

#include <stdbool.h>

struct sg_cancel_order;
struct sg_session;
struct sg_startup;

/* Cancels what runs, or what the client has sent and will run next. order: who waits for that; taken over; or NULL. */
void sg_session_cancel(struct sg_session *s, struct sg_cancel_order *order);
/* The session is about to leave its server: what runs there ends, if anything does. */
void sg_session_cancel_busy(struct sg_session *s);
/* A CancelRequest has come, and its key is that of a session of this process: it gets the connection, and s, by which
 * the request came, is over. False: no such session. */
bool sg_session_cancel_pass_on(struct sg_session *s, const struct sg_startup *startup);
/* Must the client's next message with a reply wait? sg_session_unstall is called when it need not any more. */
bool sg_session_cancel_holds(const struct sg_session *s);
/* The client is sent ReadyForQuery, or an error: what was to be cancelled is over. */
void sg_session_cancel_settle(struct sg_session *s);
/* The session closes. */
void sg_session_cancel_stop(struct sg_session *s);

#endif
