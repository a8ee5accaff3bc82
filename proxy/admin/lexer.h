/*
 * lexer — words of the console's command language, by PostgreSQL's rules ("Lexical Structure"): identifiers fold to
 * lower case unless quoted, 'literals', $tag$literals$tag$, numbers, -- and nested comments.
 *
 * Pure. Texts of lexemes are unquoted copies in the caller's arena.
 */
#ifndef SEGUE_ADMIN_LEXER_H
#define SEGUE_ADMIN_LEXER_H

#include "segue/arena.h"
#include "segue/error.h"

enum sg_lexeme_kind {
    SG_LEXEME_END,
    SG_LEXEME_WORD,   /* an identifier or keyword, folded */
    SG_LEXEME_QUOTED, /* "an identifier", never a keyword */
    SG_LEXEME_STRING,
    SG_LEXEME_NUMBER,
    SG_LEXEME_SYMBOL, /* one character: . , ; ( ) = ... */
};

struct sg_lexeme {
    enum sg_lexeme_kind kind;
    const char *text; /* unquoted, NUL-terminated */
    size_t at, len;   /* bytes of the source */
};

struct sg_lexer {
    struct sg_span source;
    size_t at;
    struct sg_arena *arena;
};

/* False: *reterr is a 42601 with its position. */
bool sg_lexer_next(struct sg_lexer *lexer, struct sg_lexeme *ret, struct sg_error *reterr);

/* The 1-based character that byte `at` of a UTF-8 text belongs to, as ErrorResponse counts. */
int sg_lexer_position(struct sg_span source, size_t at);

#endif
