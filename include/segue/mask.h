/* mask — a statement for other people's eyes: no values, no comments, not much of it. */
#ifndef SEGUE_MASK_H
#define SEGUE_MASK_H

#include "segue/arena.h"
#include "segue/encoding.h"
#include "segue/span.h"

#include <stdbool.h>

/* Strings and numbers become ?, what lies between two words one blank; behind max_bytes it ends with "...". Names in
 * another encoding than UTF-8 are shown with a ? for each character beyond ASCII: whoever looks uses UTF-8. encoding
 * and backslash_quotes as in sg_request. */
char *sg_mask_literals(struct sg_arena *arena, struct sg_span sql, size_t max_bytes, enum sg_encoding encoding,
                       bool backslash_quotes);

#endif
