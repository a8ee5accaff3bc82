/*
 * token — PostgreSQL's lexical structure (docs, section 4.1) as a flat array, with parentheses already matched.
 *
 * The parse tree says what a statement means but not where its parts end; the tokens say where things are. Together
 * they let a rewrite be a text edit.
 */
#ifndef SEGUE_REWRITE_TOKEN_H
#define SEGUE_REWRITE_TOKEN_H

#include "segue/arena.h"
#include "segue/encoding.h"
#include "segue/span.h"

#include <stdbool.h>
#include <stdint.h>

enum sg_token_kind {
    SG_TOKEN_WORD,   /* unquoted identifier or keyword */
    SG_TOKEN_QUOTED, /* "..." and U&"...", with its UESCAPE */
    /* '...', E'...', B'...', X'...', N'...', U&'...' with its UESCAPE, what goes on in the next line, $tag$...$tag$ */
    SG_TOKEN_STRING,
    SG_TOKEN_NUMBER,
    SG_TOKEN_PARAM, /* $1 */
    SG_TOKEN_OPERATOR,
    SG_TOKEN_PUNCT, /* one of ( ) [ ] , ; . : and := :: .. */
};

/* Only the words that end or begin a clause; every other word is SG_WORD_NONE. */
/* clang-format off */
#define SG_WORDS(X)                                                                                                   \
    X(AS) X(CASE) X(COLLATION) X(CONFLICT) X(DISTINCT) X(END) X(EXCEPT) X(FETCH) X(FOR) X(FROM) X(GROUP) X(HAVING)    \
    X(INSERT) X(INTERSECT) X(INTO) X(LIMIT) X(OFFSET) X(ON) X(ORDER) X(OVERRIDING) X(RETURNING) X(ROW) X(TABLE)      \
    X(THEN) X(UNION) X(VALUES) X(WHEN) X(WHERE) X(WINDOW) X(WITHIN)
/* clang-format on */

enum sg_word {
    SG_WORD_NONE,
#define X(w) SG_WORD_##w,
    SG_WORDS(X)
#undef X
};

struct sg_token {
    uint32_t at, len; /* bytes */
    uint32_t match;   /* ( and [: index of the closing token; ) and ]: of the opening one; itself if unmatched */
    uint32_t depth;   /* parentheses and brackets open around it; both tokens of a pair stand at the outer depth */
    uint8_t kind;     /* enum sg_token_kind */
    uint8_t word;     /* enum sg_word */
    char punct;       /* PUNCT: its first character */
};

struct sg_charset;

/* How a text must be read. All zero: UTF-8 to a server of UTF-8, standard strings. */
struct sg_lexis {
    enum sg_encoding encoding;
    const struct sg_charset *charset; /* what names mean; NULL: that of a server of UTF-8 */
    bool backslash_quotes;            /* standard_conforming_strings = off */
};

struct sg_tokens {
    struct sg_span text;
    struct sg_lexis lexis;
    const struct sg_token *v;
    size_t n;
    bool has_backslash;        /* in a string between quotes */
    bool has_unicode;          /* U&'...' or U&"..." */
    bool has_comment;          /* outside strings */
    bool unterminated;         /* the last token, a string or a quoted name, does not end */
    bool unterminated_comment; /* the comment behind it does not */
    bool *literal_read;        /* set by sg_token_text: the plan depends on what a string or number says. May be NULL */
};

/* The text must be valid in its encoding. */
void sg_tokenize(struct sg_arena *arena, struct sg_span text, struct sg_lexis lexis, struct sg_tokens *ret_tokens);

/* The byte after the first semicolon outside parentheses, or the text's length. Takes no memory. */
size_t sg_statement_end(struct sg_span text, struct sg_lexis lexis);

/* Index of the first token at or after byte offset at; n if none. */
size_t sg_token_at(const struct sg_tokens *tokens, size_t at);
struct sg_span sg_token_text(const struct sg_tokens *tokens, size_t i);
size_t sg_token_end(const struct sg_tokens *tokens, size_t i); /* byte offset after token i */
bool sg_token_is_punct(const struct sg_tokens *tokens, size_t i, char punct);
bool sg_token_is_word(const struct sg_tokens *tokens, size_t i, enum sg_word word);

/* The name an identifier token stands for, as pg_class has it: folded, unquoted, cut, in UTF-8 (charset.h). NULL for
 * other tokens, and for names of which the server may make something else. */
const char *sg_token_name(struct sg_arena *arena, const struct sg_tokens *tokens, size_t i);

/* U&'...' or U&"..." */
bool sg_token_is_unicode(const struct sg_tokens *tokens, size_t i);

/*
 * Where an expression that starts at token i ends: the index of the first token that cannot belong to it: a comma or a
 * clause keyword at its own depth, the parenthesis that closes around it, a semicolon, or n.
 */
size_t sg_expr_end(const struct sg_tokens *tokens, size_t i);

/* The byte after the last token before token i. */
size_t sg_end_before(const struct sg_tokens *tokens, size_t i);

#endif
