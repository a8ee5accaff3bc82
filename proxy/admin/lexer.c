#include "proxy/admin/lexer.h"

#include "segue/limits.h"

#include <string.h>

enum shape { SPACE, LETTER, DIGIT, QUOTE, DOUBLE_QUOTE, DOLLAR, SYMBOL };

static enum shape class_of(char c) {
    unsigned char u = (unsigned char)c;
    if ((u >= 'a' && u <= 'z') || (u >= 'A' && u <= 'Z') || u == '_' || u >= 0x80)
        return LETTER;
    if (u >= '0' && u <= '9')
        return DIGIT;
    switch (u) {
    case ' ':
    case '\t':
    case '\n':
    case '\r':
    case '\f':
    case '\v':
        return SPACE;
    case '\'':
        return QUOTE;
    case '"':
        return DOUBLE_QUOTE;
    case '$':
        return DOLLAR;
    default:
        return SYMBOL;
    }
}

int sg_lexer_position(struct sg_span source, size_t at) {
    int position = 1;
    for (size_t i = 0; i < at && i < source.len; i++)
        position += ((unsigned char)source.ptr[i] & 0xc0) != 0x80;
    return position;
}

static bool bad(const struct sg_lexer *lexer, size_t at, struct sg_error *reterr, const char *what) {
    sg_error_set(reterr, SG_SQLSTATE_SYNTAX_ERROR, "%s", what);
    reterr->position = sg_lexer_position(lexer->source, at);
    return false;
}

static char peek(const struct sg_lexer *lexer, size_t ahead) {
    return lexer->at + ahead < lexer->source.len ? lexer->source.ptr[lexer->at + ahead] : '\0';
}

/* False: a comment is not closed. */
static bool skip_block_comment(struct sg_lexer *lexer) {
    int depth = 0;
    do {
        if (lexer->at >= lexer->source.len)
            return false;
        bool opens = peek(lexer, 0) == '/' && peek(lexer, 1) == '*';
        bool closes = peek(lexer, 0) == '*' && peek(lexer, 1) == '/';
        depth += opens - closes;
        lexer->at += opens || closes ? 2 : 1;
    } while (depth > 0);
    return true;
}

static bool skip_blanks(struct sg_lexer *lexer, struct sg_error *reterr) {
    while (lexer->at < lexer->source.len) {
        size_t start = lexer->at;
        if (class_of(peek(lexer, 0)) == SPACE) {
            lexer->at++;
        } else if (peek(lexer, 0) == '-' && peek(lexer, 1) == '-') {
            const char *from = lexer->source.ptr + lexer->at;
            const char *end = memchr(from, '\n', lexer->source.len - lexer->at);
            lexer->at = end ? (size_t)(end - lexer->source.ptr) : lexer->source.len;
        } else if (peek(lexer, 0) == '/' && peek(lexer, 1) == '*') {
            if (!skip_block_comment(lexer))
                return bad(lexer, start, reterr, "unterminated /* comment");
        } else {
            return true;
        }
    }
    return true;
}

/* A text between quotes that are doubled inside. */
static bool lex_quoted(struct sg_lexer *lexer, char quote, struct sg_lexeme *out, struct sg_error *reterr) {
    const struct sg_span source = lexer->source;
    size_t at = out->at + 1, len = 0;
    char *text = sg_arena_alloc(lexer->arena, source.len - out->at + 1);
    for (; at < source.len; at++) {
        if (source.ptr[at] == quote) {
            if (at + 1 >= source.len || source.ptr[at + 1] != quote)
                break;
            at++;
        }
        text[len++] = source.ptr[at];
    }
    if (at >= source.len)
        return bad(lexer, out->at, reterr,
                   quote == '"' ? "unterminated quoted identifier" : "unterminated quoted string");
    if (quote == '"' && len == 0)
        return bad(lexer, out->at, reterr, "zero-length delimited identifier");
    lexer->at = at + 1;
    out->kind = quote == '"' ? SG_LEXEME_QUOTED : SG_LEXEME_STRING;
    out->text = text;
    return true;
}

/* $tag$ ... $tag$ */
static bool lex_dollar(struct sg_lexer *lexer, struct sg_lexeme *out, struct sg_error *reterr) {
    const struct sg_span source = lexer->source;
    size_t tag = 1;
    while (class_of(peek(lexer, tag)) == LETTER || (tag > 1 && class_of(peek(lexer, tag)) == DIGIT))
        tag++;
    if (peek(lexer, tag) != '$')
        return bad(lexer, out->at, reterr, "syntax error at or near \"$\"");
    tag++;
    const char *open = source.ptr + out->at, *body = open + tag;
    const char *close = memmem(body, (size_t)(source.ptr + source.len - body), open, tag);
    if (!close)
        return bad(lexer, out->at, reterr, "unterminated dollar-quoted string");
    lexer->at = (size_t)(close - source.ptr) + tag;
    out->kind = SG_LEXEME_STRING;
    out->text = sg_arena_strndup(lexer->arena, body, (size_t)(close - body));
    return true;
}

static void lex_word(struct sg_lexer *lexer, struct sg_lexeme *out) {
    size_t len = 0;
    for (enum shape c; (c = class_of(peek(lexer, len))) == LETTER || c == DIGIT || c == DOLLAR;)
        len++;
    char *text = sg_arena_strndup(lexer->arena, lexer->source.ptr + out->at, len);
    for (char *p = text; *p; p++)
        if (*p >= 'A' && *p <= 'Z') /* ASCII alone, as PostgreSQL does under UTF-8 */
            *p = (char)(*p + ('a' - 'A'));
    lexer->at += len;
    out->kind = SG_LEXEME_WORD;
    out->text = text;
}

static void lex_number(struct sg_lexer *lexer, struct sg_lexeme *out) {
    size_t len = 1; /* a digit, or a sign before one */
    while (class_of(peek(lexer, len)) == DIGIT || (peek(lexer, len) == '.' && class_of(peek(lexer, len + 1)) == DIGIT))
        len++;
    out->kind = SG_LEXEME_NUMBER;
    out->text = sg_arena_strndup(lexer->arena, lexer->source.ptr + out->at, len);
    lexer->at += len;
}

bool sg_lexer_next(struct sg_lexer *lexer, struct sg_lexeme *ret, struct sg_error *reterr) {
    if (!skip_blanks(lexer, reterr))
        return false;
    struct sg_lexeme out = {SG_LEXEME_END, "", lexer->at, 0};
    char c = peek(lexer, 0);
    bool good = true;
    if (lexer->at < lexer->source.len) {
        switch (class_of(c)) {
        case LETTER:
            lex_word(lexer, &out);
            break;
        case DIGIT:
            lex_number(lexer, &out);
            break;
        case QUOTE:
        case DOUBLE_QUOTE:
            good = lex_quoted(lexer, c, &out, reterr);
            break;
        case DOLLAR:
            good = lex_dollar(lexer, &out, reterr);
            break;
        case SYMBOL:
        case SPACE:
            if ((c == '-' || c == '.') && class_of(peek(lexer, 1)) == DIGIT) {
                lex_number(lexer, &out);
                break;
            }
            out.kind = SG_LEXEME_SYMBOL;
            out.text = sg_arena_strndup(lexer->arena, &c, 1);
            lexer->at++;
        }
    }
    if (good && (out.kind == SG_LEXEME_WORD || out.kind == SG_LEXEME_QUOTED) && strlen(out.text) >= SG_NAME_BYTES)
        good = bad(lexer, out.at, reterr, "identifier is longer than 63 bytes");
    /* Texts end at a NUL: what came behind it would be lost without a word. */
    if (good && lexer->at > out.at && memchr(lexer->source.ptr + out.at, '\0', lexer->at - out.at))
        good = bad(lexer, out.at, reterr, "a text has no NUL bytes");
    if (!good)
        return false;
    out.len = lexer->at - out.at;
    *ret = out;
    return true;
}
