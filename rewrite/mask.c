#include "segue/mask.h"

#include "token.h"

/* More of a text is not looked at: what is cut off is not shown either. */
#define READ_FACTOR 8u

static bool is_value(const struct sg_token *token) {
    return token->kind == SG_TOKEN_STRING || token->kind == SG_TOKEN_NUMBER;
}

/* The end of a character: what follows it is none of its bytes. */
static size_t cut(const char *text, size_t len) {
    while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--;
    return len;
}

/* Answers how many bytes it has put. */
static size_t put(char *out, struct sg_span text, enum sg_encoding encoding) {
    size_t n = 0;
    for (size_t i = 0, len; i < text.len; i += len) {
        bool is_high = (unsigned char)text.ptr[i] >= 0x80;
        len = is_high && encoding != SG_ENCODING_UTF8 ? sg_encoding_char(encoding, text.ptr + i, text.len - i) : 1;
        len = len ? len : 1;
        out[n++] = is_high && encoding != SG_ENCODING_UTF8 ? '?' : text.ptr[i];
    }
    return n;
}

char *sg_mask_literals(struct sg_arena *arena, struct sg_span sql, size_t max_bytes, enum sg_encoding encoding,
                       bool backslash_quotes) {
    size_t read = sql.len < max_bytes * READ_FACTOR ? sql.len : max_bytes * READ_FACTOR;
    struct sg_tokens tokens;
    const struct sg_lexis lexis = {.encoding = encoding, .backslash_quotes = backslash_quotes};
    sg_tokenize(arena, (struct sg_span){sql.ptr, read}, lexis, &tokens);
    char *out = sg_arena_alloc(arena, read + 8);
    size_t len = 0, end = 0;
    for (size_t i = 0; i < tokens.n && len <= max_bytes; i++) {
        const struct sg_token *token = &tokens.v[i];
        if (i > 0 && token->at > end)
            out[len++] = ' ';
        end = sg_token_end(&tokens, i);
        if (is_value(token)) {
            out[len++] = '?';
        } else {
            len += put(out + len, (struct sg_span){sql.ptr + token->at, token->len}, encoding);
        }
    }
    bool is_cut = len > max_bytes || read < sql.len;
    len = len > max_bytes ? cut(out, max_bytes) : len;
    out[len] = '\0';
    return is_cut ? sg_arena_printf(arena, "%s...", out) : out;
}
