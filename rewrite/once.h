/*
 * once — may an expression stand in the text twice, or must it be evaluated once per row? And the wrappers for values
 * that must.
 *
 * A function not known to be stable, and any sub-query, must be evaluated once: nextval() twice is two numbers. What is
 * known to be stable is a short list of PostgreSQL's own functions: a name too few costs a derived table, a name too
 * many would cost data.
 */
#ifndef SEGUE_REWRITE_ONCE_H
#define SEGUE_REWRITE_ONCE_H

#include "context.h"

bool sg_must_evaluate_once(const struct sg_node *node);
bool sg_has_param(const struct sg_node *node);

/* How a cast names the type without its modifier: a bare `character` would mean character(1). */
const char *sg_cast_type(struct sg_context *cx, const char *type);

/* The byte after a constant or parameter that begins at byte `at`, continuation strings and UESCAPE included. */
size_t sg_constant_end(const struct sg_context *cx, int at);

#endif
