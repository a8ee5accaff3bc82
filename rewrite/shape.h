/*
 * shape — a text without its literals. Texts of one shape differ in the values of plain 'strings' and numbers and in
 * nothing else: not in a blank, a comment, or the number of values.
 *
 * Found without a parser, in one pass: whatever the pass is not sure of (E'', U&'', dollar quotes, numbers that touch a
 * word) stays in the shape. That a literal it found is one to the parser too, and a mere value, is the pattern's
 * business (pattern.h).
 */
#ifndef SEGUE_REWRITE_SHAPE_H
#define SEGUE_REWRITE_SHAPE_H

#include "segue/span.h"

#include <stdint.h>

struct sg_literal {
    uint32_t at, end; /* bytes; never empty */
};

/* Reused from text to text: its memory grows to what the largest needed, which SG_SHAPE_MAX_BYTES bounds. */
struct sg_shape {
    struct sg_literal *v;
    size_t n, cap;
    char *key; /* what stands between the literals, then how far each is from the one before, and of which kind */
    size_t key_len, key_cap;
};

/* Longer texts have none: bulk that is sent once, or so few that parsing them does not show. */
enum { SG_SHAPE_MAX_BYTES = 256 << 10 };

/* False: the text has no literals, is too long, or does not end properly. For standard_conforming_strings = on and an
 * encoding without bytes under 0x80 inside characters. */
bool sg_shape_read(struct sg_shape *shape, struct sg_span text);
/* Two shapes are one if key and number of literals are the same. */
struct sg_span sg_shape_key(const struct sg_shape *shape);
void sg_shape_free(struct sg_shape *shape);

#endif
