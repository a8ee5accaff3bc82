/*
 * session_renew — statements prepared in an older epoch are closed and prepared again before they are used; the replies
 * are swallowed.
 *
 * A cancel cannot hit "our" statement instead of the client's: what renews comes in the same batch right before the
 * client's message, an error in it is the error of that message, and the server skips the rest of the batch exactly as
 * if the client's own message had been cancelled. A Query has no batch to be skipped with: ahead of one, the renewal is
 * a batch of its own that the client does not see, and where it failed, the Query fails for the same reason.
 */
#ifndef SEGUE_NET_SESSION_RENEW_H
#define SEGUE_NET_SESSION_RENEW_H

#include "session.h"

/* Makes sure that what the server has under the name is right for the pinned epoch, within the client's batch.
 * SG_FORWARD: what uses it may follow. v: the newest version, not gone. */
enum sg_verdict sg_renew_before_use(struct sg_session *s, struct sg_span name, struct sg_version *v);

/* From best to worst. */
enum sg_renewal {
    SG_RENEWAL_NONE, /* not needed */
    SG_RENEWAL_SENT,
    SG_RENEWAL_WAIT, /* until the server owes nothing: then it is known what it has */
    SG_RENEWAL_REFUSED,
    SG_RENEWAL_OVER, /* nothing is to be done any more: the Query has been answered */
};

/* The same ahead of a Query whose text executes the statement. is_alone: the text is nothing else. is_settled: the
 * server owes nothing, but for what was sent for this Query. */
enum sg_renewal sg_renew_before_query(struct sg_session *s, struct sg_span name, bool is_alone, bool is_settled,
                                      struct sg_error *reterr);

#endif
