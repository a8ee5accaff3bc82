/* mask — a statement for other people's eyes: no values, no comments, not much of it. */
#ifndef SEGUE_MASK_H
#define SEGUE_MASK_H

#include "segue/arena.h"
#include "segue/span.h"

#include <stdbool.h>

/* Strings and numbers become ?, what lies between two words one blank; behind max_bytes it ends with "...". Where
 * backslash_quotes (standard_conforming_strings = off) leaves the end of a string in doubt, nothing of it is shown. */
char *sg_mask_literals(struct sg_arena *arena, struct sg_span sql, size_t max_bytes, bool backslash_quotes);

#endif
