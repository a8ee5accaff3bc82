/* Texts that differ in their literals, and plans held against each other: what the plan of a shape must satisfy. */
#ifndef SEGUE_TESTS_LITERALS_H
#define SEGUE_TESTS_LITERALS_H

#include "segue/rewrite.h"

/* A text like sql with other strings and numbers, some of them hostile; malloc'd. Knows nothing of how the rewriter
 * finds literals, and may change what is none: then the text is simply another one. */
char *other_literals(struct sg_span sql, uint64_t *seed);

/* NULL when two plans say the same in every respect; otherwise what differs. */
const char *plans_differ(const struct sg_plan *a, const struct sg_plan *b);

#endif
