/* prefilter — finding words in a text fast, without regard to case and without understanding it. */
#ifndef SEGUE_REWRITE_PREFILTER_H
#define SEGUE_REWRITE_PREFILTER_H

#include "needles.h"

struct sg_snapshot;

/* Makes what sg_prefilter_may_match looks for: the names of the snapshot's tables, as each encoding writes them. */
void sg_prefilter_make(struct sg_snapshot *snapshot);

/* Where word stands by itself, not as a part of a longer one. NULL: nowhere. */
const char *sg_find_word(struct sg_span text, struct sg_span word);
/* Does U&"..." stand there, which can spell any name? */
bool sg_has_escaped_name(struct sg_span text);

#endif
