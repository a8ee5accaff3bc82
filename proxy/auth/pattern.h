/*
 * pattern — the regular expressions of hba and ident files. PostgreSQL's are advanced ones; what POSIX's extended ones
 * can say too is taken, and anything else is an error when the file is read, never another meaning.
 */
#ifndef SEGUE_AUTH_PATTERN_H
#define SEGUE_AUTH_PATTERN_H

#include "segue/span.h"

#include <regex.h>
#include <stdbool.h>

struct sg_hba_pattern {
    struct sg_hba_pattern *next; /* of its owner's */
    regex_t compiled;            /* any thread */
};

/* NULL and a reason that fits: not one. Freed by sg_hba_pattern_free. */
struct sg_hba_pattern *sg_hba_pattern_new(const char *text, char *why, size_t why_size);
void sg_hba_pattern_free(struct sg_hba_pattern *pattern);

/* ret_group: what the first group matched, ptr NULL when there is none; may be NULL. */
bool sg_hba_pattern_matches(const struct sg_hba_pattern *pattern, const char *text, struct sg_span *ret_group);

#endif
