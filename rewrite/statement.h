/* statement — what is done with each kind of statement; and the whole way of one text, from tokens to edits. */
#ifndef SEGUE_REWRITE_STATEMENT_H
#define SEGUE_REWRITE_STATEMENT_H

#include "context.h"

/* Rewrites every statement of cx's text (tokens not yet made). Afterwards cx->refused, or cx->edits, says what to do.
 */
void sg_rewrite_text(struct sg_context *cx, struct sg_span text);

/* Does the server, which looks at the bytes first, answer with an error whatever the text says? */
bool sg_text_is_invalid(const struct sg_snapshot *snapshot, enum sg_encoding client, struct sg_span text);

#endif
