/*
 * pattern — the plan of every text of one shape, made from the plan of one of them.
 *
 * What it rests on:
 *
 *   1. A literal is free when the parser made a constant of it, and nothing else: an A_Const that convert_expr.c turned
 *      into a node that does not hold its value. Every other literal (a type's modifier, an option of COPY, the second
 *      part of a string) is bound: the other text must have it byte for byte.
 *   2. The grammar does not look at a constant's value, and neither does this house: our tree has none, and a step that
 *      reads the text of a literal's token marks the plan (sg_token_text). Where it judges the text by its words
 *      (sg_text_effect), every text must be found harmless by itself.
 *   3. The plan's instructions (splice.h) count places from literals, and the same function runs them for every text.
 *
 * So the other text has the same tree, is rewritten by the same decisions, and gets the bytes that it would have got by
 * itself. Tests hold the two ways against each other (pattern_test.c, golden_test.c, fuzz_rewrite.c).
 */
#ifndef SEGUE_REWRITE_PATTERN_H
#define SEGUE_REWRITE_PATTERN_H

#include "parse.h"
#include "plan.h"
#include "shape.h"
#include "splice.h"

struct sg_pattern;

/* From the plan of a text of this shape, and from what the parser said about it. by_words: the plan is right only for
 * texts without an effect. NULL: the plan is of this text only. */
struct sg_pattern *sg_pattern_new(const struct sg_plan *plan, const struct sg_splice *splice, struct sg_span text,
                                  const struct sg_shape *shape, const struct sg_constants *constants, bool by_words);
void sg_pattern_free(struct sg_pattern *pattern);
size_t sg_pattern_bytes(const struct sg_pattern *pattern);

/* The plan of another text of the same shape; one reference is the caller's. NULL: a bound literal differs, or the text
 * has an effect. */
struct sg_full_plan *sg_pattern_plan(struct sg_pattern *pattern, struct sg_span text, const struct sg_shape *shape);

#endif
