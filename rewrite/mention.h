/*
 * mention — does a text that is no query of ours name a mapped table, or its column? For statements that are passed or
 * refused as a whole: DDL, function bodies, text that does not parse. A yes may be wrong, a no never is.
 */
#ifndef SEGUE_REWRITE_MENTION_H
#define SEGUE_REWRITE_MENTION_H

#include "context.h"

struct sg_token_range {
    const struct sg_tokens *tokens;
    size_t first, end;
};

/* The name that token i is; NULL: none. A reserved word is one only in quotes or after a dot. */
const char *sg_name_at(const struct sg_context *cx, const struct sg_tokens *tokens, size_t i);
/* A mapped table that a name in the range may mean; NULL: none. Strings are not looked into. */
const struct sg_table *sg_mentioned_table(struct sg_context *cx, struct sg_token_range range);
/* The first name in the range that is one of a mapping. */
const char *sg_mentioned_column(const struct sg_context *cx, struct sg_token_range range);
/* A mapped table that the text names anywhere, as a word in a string, too. */
const struct sg_table *sg_mentioned_anywhere(struct sg_context *cx);

/* string: a token, the body of a function. A mapped table that it names, when it may touch a mapped column, too: by
 * name; or unnamed, as one of all columns: by *, by a row type, by an INSERT, which needs no list. */
const struct sg_table *sg_body_table(struct sg_context *cx, struct sg_span string);

#endif
