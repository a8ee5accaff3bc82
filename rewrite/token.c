#include "token.h"

#include <strings.h>

enum char_class {
    C_OTHER, /* a byte SQL gives no meaning: one-character operator */
    C_SPACE,
    C_WORD, /* letters, _, and every byte over 0x7f */
    C_DIGIT,
    C_QUOTE,  /* ' */
    C_DQUOTE, /* " */
    C_DOLLAR,
    C_OP,    /* + - * / < > = ~ ! @ # % ^ & | ` ? */
    C_PUNCT, /* ( ) [ ] , ; . : */
};

/* clang-format off */
static const uint8_t classes[256] = {
    ['\t'] = C_SPACE, ['\n'] = C_SPACE, ['\f'] = C_SPACE, ['\r'] = C_SPACE, [' '] = C_SPACE,
    ['a' ... 'z'] = C_WORD, ['A' ... 'Z'] = C_WORD, ['_'] = C_WORD, [0x80 ... 0xff] = C_WORD,
    ['0' ... '9'] = C_DIGIT, ['\''] = C_QUOTE, ['"'] = C_DQUOTE, ['$'] = C_DOLLAR,
    ['+'] = C_OP, ['-'] = C_OP, ['*'] = C_OP, ['/'] = C_OP, ['<'] = C_OP, ['>'] = C_OP, ['='] = C_OP, ['~'] = C_OP,
    ['!'] = C_OP, ['@'] = C_OP, ['#'] = C_OP, ['%'] = C_OP, ['^'] = C_OP, ['&'] = C_OP, ['|'] = C_OP, ['`'] = C_OP,
    ['?'] = C_OP,
    ['('] = C_PUNCT, [')'] = C_PUNCT, ['['] = C_PUNCT, [']'] = C_PUNCT, [','] = C_PUNCT, [';'] = C_PUNCT,
    ['.'] = C_PUNCT, [':'] = C_PUNCT,
};
/* clang-format on */

struct lexer {
    const char *p, *end;
    struct sg_tokens *out;
    struct sg_lexis lexis;
    bool wide; /* a byte under 0x80 may be the second of a character */
};

static enum char_class class_of(char c) {
    return classes[(unsigned char)c];
}

static bool is_word_part(char c) {
    enum char_class k = class_of(c);
    return k == C_WORD || k == C_DIGIT || k == C_DOLLAR;
}

/* Bytes of the character at p, which may look like two where the encoding is wide. */
static size_t char_bytes(const struct lexer *lx, const char *p) {
    size_t len =
        lx->wide && (unsigned char)*p >= 0x80 ? sg_encoding_char(lx->lexis.encoding, p, (size_t)(lx->end - p)) : 1;
    return len ? len : 1;
}

static const char *word_end(const struct lexer *lx, const char *p) {
    while (p < lx->end && is_word_part(*p))
        p += char_bytes(lx, p);
    return p;
}

static void skip_block_comment(struct lexer *lx) {
    size_t depth = 1;
    lx->p += 2;
    while (lx->p < lx->end) {
        if (lx->end - lx->p >= 2 && lx->p[0] == '*' && lx->p[1] == '/') {
            lx->p += 2;
            if (--depth == 0)
                return;
        } else if (lx->end - lx->p >= 2 && lx->p[0] == '/' && lx->p[1] == '*') {
            lx->p += 2;
            depth++;
        } else {
            lx->p++;
        }
    }
    lx->out->unterminated_comment = true;
}

/* White space and comments. */
static void skip_blank(struct lexer *lx) {
    while (lx->p < lx->end) {
        if (class_of(*lx->p) == C_SPACE) {
            lx->p++;
        } else if (lx->end - lx->p >= 2 && lx->p[0] == '-' && lx->p[1] == '-') {
            lx->out->has_comment = true;
            while (lx->p < lx->end && *lx->p != '\n' && *lx->p != '\r')
                lx->p++;
        } else if (lx->end - lx->p >= 2 && lx->p[0] == '/' && lx->p[1] == '*') {
            lx->out->has_comment = true;
            skip_block_comment(lx);
        } else {
            return;
        }
    }
}

/* p is after the opening quote. Doubled quotes stay inside; so do backslash escapes. */
static void skip_quoted(struct lexer *lx, char quote, bool escapes) {
    while (lx->p < lx->end) {
        char c = *lx->p;
        lx->p += char_bytes(lx, lx->p);
        if (c == '\\' && quote == '\'') {
            lx->out->has_backslash = true;
            if (escapes && lx->p < lx->end)
                lx->p += char_bytes(lx, lx->p);
        } else if (c == quote) {
            if (lx->p < lx->end && *lx->p == quote)
                lx->p++;
            else
                return;
        }
    }
    lx->out->unterminated = true;
}

/* A string goes on behind a line break, in the same manner: 'a' <newline> 'b'. Comments that end with the line may
 * stand between, those in C's style may not. */
static bool string_goes_on(struct lexer *lx) {
    const char *p = lx->p;
    bool newline = false;
    while (p < lx->end) {
        if (class_of(*p) == C_SPACE) {
            newline |= *p == '\n' || *p == '\r';
            p++;
        } else if (lx->end - p >= 2 && p[0] == '-' && p[1] == '-') {
            lx->out->has_comment = true;
            while (p < lx->end && *p != '\n' && *p != '\r')
                p++;
        } else {
            break;
        }
    }
    if (!newline || p == lx->end || *p != '\'')
        return false;
    lx->p = p + 1;
    return true;
}

static void skip_string(struct lexer *lx, bool escapes) {
    do
        skip_quoted(lx, '\'', escapes);
    while (!lx->out->unterminated && string_goes_on(lx));
}

/* At a '$' that may open a dollar quote: consumes all of it and says so. */
static bool skip_dollar_quote(struct lexer *lx) {
    const char *tag = lx->p, *q = tag + 1;
    if (q < lx->end && class_of(*q) == C_DIGIT)
        return false;
    while (q < lx->end && (class_of(*q) == C_WORD || class_of(*q) == C_DIGIT))
        q += char_bytes(lx, q);
    if (q >= lx->end || *q != '$')
        return false;
    size_t tag_len = (size_t)(++q - tag);
    const char *close = memmem(q, (size_t)(lx->end - q), tag, tag_len);
    if (!close) {
        lx->out->unterminated = true;
        lx->p = lx->end;
    } else {
        lx->p = close + tag_len;
    }
    return true;
}

static const char *digits_end(const struct lexer *lx, const char *p) {
    while (p < lx->end && class_of(*p) == C_DIGIT)
        p++;
    return p;
}

static void skip_number(struct lexer *lx) {
    const char *p = digits_end(lx, lx->p);
    /* 1..10 is two numbers in PL/pgSQL, never in SQL */
    if (p < lx->end && *p == '.' && !(lx->end - p >= 2 && p[1] == '.'))
        p = digits_end(lx, p + 1);
    if (p < lx->end && (*p == 'e' || *p == 'E')) {
        const char *exponent = p + 1;
        exponent += exponent < lx->end && (*exponent == '+' || *exponent == '-');
        if (digits_end(lx, exponent) > exponent)
            p = digits_end(lx, exponent);
    }
    /* 0x1f and 1_000, to newer servers; to this parser junk */
    lx->p = p < lx->end && class_of(*p) == C_WORD ? word_end(lx, p) : p;
}

static bool begins_comment(const struct lexer *lx, const char *p) {
    return lx->end - p >= 2 && ((p[0] == '-' && p[1] == '-') || (p[0] == '/' && p[1] == '*'));
}

/* An operator ends where a comment begins; and before a sign, unless a character in it is one that no operator of
 * standard SQL has: `a=-1` is a = -1. */
static void skip_operator(struct lexer *lx) {
    const char *start = lx->p;
    bool may_end_in_sign = false;
    while (lx->p < lx->end && class_of(*lx->p) == C_OP && (lx->p == start || !begins_comment(lx, lx->p))) {
        may_end_in_sign |= strchr("~!@#^&|`?%", *lx->p) != NULL;
        lx->p++;
    }
    while (!may_end_in_sign && lx->p - start > 1 && (lx->p[-1] == '+' || lx->p[-1] == '-'))
        lx->p--;
}

static enum sg_word find_word(const char *p, size_t len) {
    static const struct {
        const char *text;
        uint8_t len, word;
    } words[] = {
#define X(w) {#w, sizeof #w - 1, SG_WORD_##w},
        SG_WORDS(X)
#undef X
    };
    if (len < 2 || len > 10)
        return SG_WORD_NONE;
    char first = (char)(p[0] & ~0x20);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (words[i].len == len && words[i].text[0] == first && strncasecmp(words[i].text, p, len) == 0)
            return words[i].word;
    return SG_WORD_NONE;
}

static bool opens_prefixed_string(const struct lexer *lx, bool *ret_escapes, char *ret_quote, size_t *ret_prefix) {
    size_t left = (size_t)(lx->end - lx->p);
    char c = (char)(*lx->p | 0x20);
    if (left >= 2 && lx->p[1] == '\'' && (c == 'e' || c == 'b' || c == 'x' || c == 'n')) {
        *ret_escapes = c == 'e' || (c == 'n' && lx->lexis.backslash_quotes);
        *ret_quote = '\'';
        *ret_prefix = 2;
        return true;
    }
    if (left >= 3 && c == 'u' && lx->p[1] == '&' && (lx->p[2] == '\'' || lx->p[2] == '"')) {
        *ret_escapes = false;
        *ret_quote = lx->p[2];
        *ret_prefix = 3;
        return true;
    }
    return false;
}

/* U&"d!0061ta" UESCAPE '!' is one name: the clause belongs to the token before it. */
static void skip_uescape(struct lexer *lx) {
    struct lexer ahead = *lx;
    skip_blank(&ahead);
    if (ahead.end - ahead.p < 7 || strncasecmp(ahead.p, "uescape", 7) != 0)
        return;
    ahead.p += 7;
    skip_blank(&ahead);
    if (ahead.end - ahead.p >= 3 && ahead.p[0] == '\'' && ahead.p[2] == '\'')
        lx->p = ahead.p + 3;
}

static void lex_word(struct lexer *lx, struct sg_token *token) {
    bool escapes;
    char quote;
    size_t prefix;
    const char *start = lx->p;
    if (opens_prefixed_string(lx, &escapes, &quote, &prefix)) {
        lx->p += prefix;
        if (quote == '"')
            skip_quoted(lx, quote, false);
        else
            skip_string(lx, escapes);
        if (prefix == 3) {
            lx->out->has_unicode = true;
            skip_uescape(lx);
        }
        token->kind = quote == '"' ? SG_TOKEN_QUOTED : SG_TOKEN_STRING;
        return;
    }
    lx->p = word_end(lx, lx->p);
    token->kind = SG_TOKEN_WORD;
    token->word = (uint8_t)find_word(start, (size_t)(lx->p - start));
}

static void lex_dollar(struct lexer *lx, struct sg_token *token) {
    if (skip_dollar_quote(lx)) {
        token->kind = SG_TOKEN_STRING;
        return;
    }
    token->kind = SG_TOKEN_PARAM;
    lx->p++;
    while (lx->p < lx->end && class_of(*lx->p) == C_DIGIT)
        lx->p++;
}

static void lex_punct(struct lexer *lx, struct sg_token *token) {
    char c = *lx->p;
    bool two = lx->end - lx->p >= 2;
    if (c == '.' && two && class_of(lx->p[1]) == C_DIGIT) {
        token->kind = SG_TOKEN_NUMBER;
        skip_number(lx);
        return;
    }
    token->kind = SG_TOKEN_PUNCT;
    token->punct = c;
    bool is_pair = two && (c == ':' ? lx->p[1] == ':' || lx->p[1] == '=' : c == '.' && lx->p[1] == '.');
    lx->p += is_pair ? 2 : 1;
}

static void lex_one(struct lexer *lx, struct sg_token *token) {
    switch (class_of(*lx->p)) {
    case C_WORD:
        lex_word(lx, token);
        break;
    case C_DIGIT:
        token->kind = SG_TOKEN_NUMBER;
        skip_number(lx);
        break;
    case C_QUOTE:
        token->kind = SG_TOKEN_STRING;
        lx->p++;
        skip_string(lx, lx->lexis.backslash_quotes);
        break;
    case C_DQUOTE:
        token->kind = SG_TOKEN_QUOTED;
        lx->p++;
        skip_quoted(lx, '"', false);
        break;
    case C_DOLLAR:
        lex_dollar(lx, token);
        break;
    case C_PUNCT:
        lex_punct(lx, token);
        break;
    case C_OP:
        token->kind = SG_TOKEN_OPERATOR;
        skip_operator(lx);
        break;
    default:
        token->kind = SG_TOKEN_OPERATOR;
        lx->p++;
        break;
    }
}

/* Fills match and depth. Unbalanced parentheses match themselves; the parser refuses such text anyway. */
static void match_parens(struct sg_arena *arena, struct sg_token *v, size_t n) {
    uint32_t *open = sg_arena_array(arena, uint32_t, n + 1);
    uint32_t depth = 0;
    for (uint32_t i = 0; i < n; i++) {
        v[i].match = i;
        bool closes = v[i].punct == ')' || v[i].punct == ']';
        if (closes && depth > 0) {
            v[i].match = open[--depth];
            v[v[i].match].match = i;
        }
        v[i].depth = depth;
        if (v[i].punct == '(' || v[i].punct == '[')
            open[depth++] = i;
    }
}

static struct lexer lexer_of(struct sg_span text, struct sg_lexis lexis, struct sg_tokens *out) {
    return (struct lexer){.p = text.ptr,
                          .end = text.ptr + text.len,
                          .out = out,
                          .lexis = lexis,
                          .wide = sg_encoding_is_wide(lexis.encoding)};
}

void sg_tokenize(struct sg_arena *arena, struct sg_span text, struct sg_lexis lexis, struct sg_tokens *ret_tokens) {
    struct sg_tokens tokens = {.text = text, .lexis = lexis};
    struct lexer lx = lexer_of(text, lexis, &tokens);
    size_t cap = text.len / 4 + 16, n = 0;
    struct sg_token *v = sg_arena_array(arena, struct sg_token, cap);
    for (skip_blank(&lx); lx.p < lx.end; skip_blank(&lx)) {
        if (n == cap) {
            struct sg_token *bigger = sg_arena_array(arena, struct sg_token, cap * 2);
            memcpy(bigger, v, sizeof *v * n);
            v = bigger;
            cap *= 2;
        }
        struct sg_token *token = &v[n++];
        token->at = (uint32_t)(lx.p - text.ptr);
        lex_one(&lx, token);
        token->len = (uint32_t)(lx.p - text.ptr) - token->at;
    }
    match_parens(arena, v, n);
    tokens.v = v;
    tokens.n = n;
    *ret_tokens = tokens;
}

/* Follows a SQL-standard function body, BEGIN ATOMIC ... END, whose semicolons end nothing. */
struct body {
    size_t words; /* seen so far */
    bool create;  /* CREATE [OR REPLACE] FUNCTION or PROCEDURE */
    size_t depth; /* BEGINs and CASEs open */
};

static bool word_is(const char *p, size_t len, const char *word) {
    return len == strlen(word) && strncasecmp(p, word, len) == 0;
}

static void follow_body(struct body *body, const char *p, size_t len) {
    size_t at = body->words++;
    if (at < 4 && (word_is(p, len, "function") || word_is(p, len, "procedure")))
        body->create = true;
    if (!body->create)
        return;
    if (word_is(p, len, "begin") || (body->depth && word_is(p, len, "case")))
        body->depth++;
    else if (body->depth && word_is(p, len, "end"))
        body->depth--;
}

size_t sg_statement_end(struct sg_span text, struct sg_lexis lexis) {
    struct sg_tokens flags = {.text = text};
    struct lexer lx = lexer_of(text, lexis, &flags);
    struct body body = {0};
    size_t depth = 0;
    for (skip_blank(&lx); lx.p < lx.end; skip_blank(&lx)) {
        struct sg_token token = {0};
        const char *start = lx.p;
        lex_one(&lx, &token);
        if (token.punct == ';' && depth == 0 && body.depth == 0)
            break;
        if (token.kind == SG_TOKEN_WORD)
            follow_body(&body, start, (size_t)(lx.p - start));
        if (token.punct == '(')
            depth++;
        else if (token.punct == ')' && depth > 0)
            depth--;
    }
    return (size_t)(lx.p - text.ptr);
}

size_t sg_token_at(const struct sg_tokens *tokens, size_t at) {
    size_t lo = 0, hi = tokens->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (tokens->v[mid].at < at)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct sg_span sg_token_text(const struct sg_tokens *tokens, size_t i) {
    bool is_literal = tokens->v[i].kind == SG_TOKEN_STRING || tokens->v[i].kind == SG_TOKEN_NUMBER;
    if (is_literal && tokens->literal_read)
        *tokens->literal_read = true;
    return (struct sg_span){tokens->text.ptr + tokens->v[i].at, tokens->v[i].len};
}

size_t sg_token_end(const struct sg_tokens *tokens, size_t i) {
    return (size_t)tokens->v[i].at + tokens->v[i].len;
}

bool sg_token_is_punct(const struct sg_tokens *tokens, size_t i, char punct) {
    return i < tokens->n && tokens->v[i].kind == SG_TOKEN_PUNCT && tokens->v[i].punct == punct;
}

bool sg_token_is_word(const struct sg_tokens *tokens, size_t i, enum sg_word word) {
    return i < tokens->n && tokens->v[i].word == word;
}

static bool is_text(const struct sg_tokens *tokens, size_t i, const char *word) {
    return i < tokens->n && tokens->v[i].kind == SG_TOKEN_WORD && tokens->v[i].len == strlen(word) &&
           strncasecmp(tokens->text.ptr + tokens->v[i].at, word, tokens->v[i].len) == 0;
}

/* Token i is part of a phrase inside an expression. The other word of the phrase may be a label, before a clause. */
static bool is_in_phrase(const struct sg_tokens *tokens, size_t i) {
    switch (tokens->v[i].word) {
    case SG_WORD_FROM: /* IS [NOT] DISTINCT FROM */
        return i >= 2 && sg_token_is_word(tokens, i - 1, SG_WORD_DISTINCT) &&
               (is_text(tokens, i - 2, "is") || is_text(tokens, i - 2, "not"));
    case SG_WORD_GROUP: /* WITHIN GROUP (ORDER BY ...) */
        return sg_token_is_word(tokens, i - 1, SG_WORD_WITHIN) && sg_token_is_punct(tokens, i + 1, '(');
    case SG_WORD_FOR: /* COLLATION FOR (...) */
        return sg_token_is_word(tokens, i - 1, SG_WORD_COLLATION) && sg_token_is_punct(tokens, i + 1, '(');
    case SG_WORD_WHEN: /* a label: the clause is WHEN [NOT] MATCHED */
        return !is_text(tokens, i + 1, "matched") && !is_text(tokens, i + 1, "not");
    default:
        return false;
    }
}

/* Reserved words that can only follow a complete expression, but for the phrases that contain one of them. */
static bool ends_expression(const struct sg_tokens *tokens, size_t i, size_t start) {
    static const bool enders[] = {
        [SG_WORD_EXCEPT] = true, [SG_WORD_FETCH] = true,     [SG_WORD_FOR] = true,       [SG_WORD_FROM] = true,
        [SG_WORD_GROUP] = true,  [SG_WORD_HAVING] = true,    [SG_WORD_INTERSECT] = true, [SG_WORD_INTO] = true,
        [SG_WORD_LIMIT] = true,  [SG_WORD_OFFSET] = true,    [SG_WORD_ON] = true,        [SG_WORD_ORDER] = true,
        [SG_WORD_UNION] = true,  [SG_WORD_RETURNING] = true, [SG_WORD_WHERE] = true,     [SG_WORD_WINDOW] = true,
        [SG_WORD_WHEN] = true,
    };
    enum sg_word word = tokens->v[i].word;
    if (word >= sizeof enders || !enders[word] || i == start)
        return false;
    /* After AS or a dot any word is a label or a name. */
    if (sg_token_is_punct(tokens, i - 1, '.') || sg_token_is_word(tokens, i - 1, SG_WORD_AS))
        return false;
    return !is_in_phrase(tokens, i);
}

/* A keyword as such, not a label after AS or a name after a dot. */
static bool is_keyword(const struct sg_tokens *tokens, size_t i, enum sg_word word) {
    return tokens->v[i].word == word &&
           (i == 0 || (!sg_token_is_punct(tokens, i - 1, '.') && !sg_token_is_word(tokens, i - 1, SG_WORD_AS)));
}

size_t sg_expr_end(const struct sg_tokens *tokens, size_t i) {
    size_t start = i, cases = 0; /* CASEs open: their WHEN ends nothing */
    while (i < tokens->n) {
        const struct sg_token *t = &tokens->v[i];
        if (t->kind == SG_TOKEN_PUNCT) {
            if (t->punct == ',' || t->punct == ';' || t->punct == ')' || t->punct == ']')
                return i;
            if ((t->punct == '(' || t->punct == '[') && t->match > i) {
                i = t->match + 1;
                continue;
            }
        } else if (is_keyword(tokens, i, SG_WORD_CASE)) {
            cases++;
        } else if (cases && is_keyword(tokens, i, SG_WORD_END)) {
            cases--;
        } else if (t->word != SG_WORD_NONE && !(cases && t->word == SG_WORD_WHEN) &&
                   ends_expression(tokens, i, start)) {
            return i;
        }
        i++;
    }
    return i;
}

size_t sg_end_before(const struct sg_tokens *tokens, size_t i) {
    return i == 0 ? 0 : sg_token_end(tokens, i - 1);
}
