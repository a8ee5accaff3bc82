/*
 * session_copy — the data of COPY FROM STDIN on its way, where the statement was rewritten so that the server expects
 * other columns than the client sends (segue/copy.h).
 *
 *      Bind --sg_portals_bind--> portal --sg_copy_side--> side.is_copy --.
 *      Query -----------------------------------------> side.is_copy --+--CopyInResponse: sg_copy_begin--> stream
 *                                                                                                            |
 *      CopyData --sg_copy_data--> divert, through the stream, into messages of our own --> server            |
 *      CopyDone: sg_copy_end;  CopyFail, an error, ReadyForQuery, another statement: sg_copy_stop  <---------+
 *
 * Between two chunks of the client nothing is held but the stream's own memory: sg_copy_flush.
 */
#ifndef SEGUE_NET_SESSION_COPY_H
#define SEGUE_NET_SESSION_COPY_H

#include "session.h"

/* What the expectation of an Execute carries whose portal's plan has a copy. */
struct sg_side *sg_copy_side(struct sg_session *s, const struct sg_portal *portal);

/* CopyInResponse, for the entry at the front. is_open: data are still to come. The client is told of its own columns.
 */
enum sg_verdict sg_copy_begin(struct sg_session *s, const struct sg_message *m, bool is_open);
/* CopyData. */
enum sg_verdict sg_copy_data(struct sg_session *s);
void sg_copy_divert(void *owner, const uint8_t *bytes, size_t len);
/* Sends what has come through so far: at the end of a chunk, and before any message but CopyData. */
void sg_copy_flush(struct sg_session *s);
/* CopyDone: the rest goes out before it. */
void sg_copy_end(struct sg_session *s);
/* The COPY is over. */
void sg_copy_stop(struct sg_session *s);

#endif
