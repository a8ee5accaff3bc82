/*
 * session_dial — a session's way to its server: dialling, and, while the client has heard nothing that could not be
 * taken back, dialling the next one when what answers will not do. session_dial.c opens with the rules.
 */
#ifndef SEGUE_NET_SESSION_DIAL_H
#define SEGUE_NET_SESSION_DIAL_H

#include "session.h"

struct sg_way;

/* Goes to one of the servers of s->database, and relays. first: the StartupMessage for it, taken over. */
void sg_session_dial(struct sg_session *s, struct sg_buf first);

/* ---- While s->way is there: the server has not been settled on ---- */

/* How much of a server message must be seen. */
size_t sg_way_need(const struct sg_session *s, const struct sg_message *m);
/* A message of the server, before anything else looks at it. FORWARD: it goes its usual way, and sg_way_pass is asked
 * whether the client gets it now. STOP: this server will not do. ABSORB: it was for us. */
enum sg_verdict sg_way_judge(struct sg_session *s, const struct sg_message *m);
enum sg_verdict sg_way_pass(struct sg_session *s, const struct sg_message *m, enum sg_verdict verdict);
/* STOP was for this reason, and not another's. */
bool sg_way_is_rejected(const struct sg_session *s);
/* After that, or when the server has closed without a word: hangs up and dials on. False: this is not for us. */
bool sg_way_go_on(struct sg_session *s);
/* The client may speak: nothing it says can reach a server that will not do. */
bool sg_way_hears_client(const struct sg_session *s);
void sg_way_end(struct sg_session *s);

#endif
