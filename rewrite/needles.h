/*
 * needles — is one of many names in a text? Without regard to case, 16 places at a time.
 *
 * The names of a partitioned table's parts begin alike, and tenants' tables are all called the same: names that begin
 * alike are searched as one, so that what most traffic costs does not grow with them.
 */
#ifndef SEGUE_REWRITE_NEEDLES_H
#define SEGUE_REWRITE_NEEDLES_H

#include "segue/arena.h"
#include "segue/span.h"

#include <stdbool.h>

/* A whole name, which stands between characters that cannot be part of it, or a part of one. Of no length: everywhere.
 */
struct sg_needle {
    const char *ptr;
    size_t len;
    bool is_whole;
};

/* Where it stands first; NULL: nowhere. */
const char *sg_needle_find(struct sg_span text, struct sg_needle needle);

struct sg_needles;

/* In arena; what the needles point to must live as long. */
const struct sg_needles *sg_needles_new(struct sg_arena *arena, const struct sg_needle *v, size_t n);
bool sg_needles_match(const struct sg_needles *needles, struct sg_span text);

#endif
