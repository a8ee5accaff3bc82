/*
 * session_lease — what a session on the control database may still send when it is not sure that the mappings it knows
 * are those in force (proxy/migration/lease.h). session_lease.c opens with the rules.
 */
#ifndef SEGUE_NET_SESSION_LEASE_H
#define SEGUE_NET_SESSION_LEASE_H

#include "session.h"

enum sg_gate { SG_GATE_OPEN, SG_GATE_WAIT, SG_GATE_REFUSED };

/* A message of the client on its way to the server. WAIT: not now; the session is woken. REFUSED: *ret_err is for the
 * client. */
enum sg_gate sg_lease_gate(struct sg_session *s, const struct sg_message *m, struct sg_error *ret_err);
/* The flow's last question before it writes: what passed the gate may still go out. owner: the session. */
bool sg_lease_may_send(void *owner);
/* It may not: the session ends, nothing of it was sent. */
void sg_lease_end(struct sg_session *s);

/* Of a worker: the timer by which those that wait are looked after, and a look at all of them now. */
void sg_lease_start(struct sg_worker *worker);
void sg_lease_look(struct sg_worker *worker);
/* The session waits no more. */
void sg_lease_forget(struct sg_session *s);

#endif
