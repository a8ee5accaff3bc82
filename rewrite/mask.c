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

char *sg_mask_literals(struct sg_arena *arena, struct sg_span sql, size_t max_bytes, bool backslash_quotes) {
    size_t read = sql.len < max_bytes * READ_FACTOR ? sql.len : max_bytes * READ_FACTOR;
    struct sg_tokens tokens;
    sg_tokenize(arena, (struct sg_span){sql.ptr, read}, &tokens);
    if (backslash_quotes && tokens.has_backslash_string)
        return sg_arena_strdup(arena, "(not shown: strings with backslashes)");
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
            memcpy(out + len, sql.ptr + token->at, token->len);
            len += token->len;
        }
    }
    bool is_cut = len > max_bytes || read < sql.len;
    len = len > max_bytes ? cut(out, max_bytes) : len;
    out[len] = '\0';
    return is_cut ? sg_arena_printf(arena, "%s...", out) : out;
}
