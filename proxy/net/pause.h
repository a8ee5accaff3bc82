/*
 * pause — the sessions of a database stay between two transactions, so that the server behind them may be restarted,
 * replaced or looked at while nothing happens.
 *
 *                 PAUSE                     ReadyForQuery 'I'              the client's next message
 *      running ----------> pausing (in a transaction) -------> quiet -------------------------------> held
 *         ^                                                      |                                     |
 *         +-------------------------- RESUME --------------------+---- RESUME: its message goes on ----+
 *
 * A client that is logging in is held at its start-up packet, or, if segue authenticates it, once it has passed: before
 * anything of it reaches the server.
 *
 * Invariants:
 *   1. A held session owes the server nothing, is pinned to no epoch, and has sent the server nothing of what it holds.
 *   2. is_held implies is_paused, and is_pausing does; never both of the former.
 *   3. shared->pausing counts the sessions with is_pausing, and the workers that have not yet heard of a pause.
 *   4. A held client is read on, up to a bound: if it goes away, its message is never sent.
 *
 * Replication (CopyBoth) is no transaction, and is neither held nor waited for.
 */
#ifndef SEGUE_NET_PAUSE_H
#define SEGUE_NET_PAUSE_H

#include "worker.h"

/* ---- Which databases: a counted value that never changes ---- */

struct sg_pauses;

/* database NULL: every one, which is an entry of its own. of NULL: none are paused. */
struct sg_pauses *sg_pauses_with(const struct sg_pauses *of, const char *database, bool on);
/* Listed itself; the entry for every database does not count here. */
bool sg_pauses_lists(const struct sg_pauses *pauses, const char *database);
bool sg_pauses_any(const struct sg_pauses *pauses);
bool sg_pauses_has(const struct sg_pauses *pauses, const char *database);
struct sg_pauses *sg_pauses_ref(struct sg_pauses *pauses);
void sg_pauses_unref(struct sg_pauses *pauses);

/* ---- On the worker's thread ---- */

/* Takes the reference over. Sessions that are held and need not be any more go on. */
void sg_pause_apply(struct sg_worker *worker, struct sg_pauses *pauses);

/* The session's database is known (s->who). True: the login waits; when it is over, sg_startup_feed is called again in
 * state START, and sg_session_auth_go_on in state AUTH. */
bool sg_pause_holds_login(struct sg_session *s);
/* From sg_client_decide, for a message that has a reply: SG_STALL, or SG_FORWARD if there is no reason to wait. */
enum sg_verdict sg_pause_before_message(struct sg_session *s);
/* Bytes of a client that has to wait: it is held, or its server is not settled on. Read, so that its end is noticed. */
void sg_pause_keep(struct sg_session *s, const uint8_t *bytes, size_t len);
/* The server has spoken, or the session is over: is it quiet now? */
void sg_pause_look(struct sg_session *s);
/* It has been held for longer than query_wait_timeout. */
void sg_pause_time_up(struct sg_session *s);

#endif
