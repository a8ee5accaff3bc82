#include "parse.h"
#include "segue/rewrite.h"

static bool is_plain(const char *name) {
    if (!((name[0] >= 'a' && name[0] <= 'z') || name[0] == '_'))
        return false;
    for (const char *p = name; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_'))
            return false;
    return !sg_keyword_needs_quotes(name);
}

/* Doubles every occurrence of quote and puts one at either end. */
static struct sg_span wrap(struct sg_arena *arena, const char *prefix, const char *text, char quote, char doubled) {
    size_t prefix_len = strlen(prefix), len = strlen(text);
    char *out = sg_arena_alloc(arena, prefix_len + len * 2 + 3);
    memcpy(out, prefix, prefix_len);
    size_t n = prefix_len;
    out[n++] = quote;
    for (size_t i = 0; i < len; i++) {
        out[n++] = text[i];
        if (text[i] == quote || text[i] == doubled)
            out[n++] = text[i];
    }
    out[n++] = quote;
    return (struct sg_span){out, n};
}

void sg_quote_ident(struct sg_arena *arena, const char *name, struct sg_span *ret_quoted) {
    *ret_quoted = is_plain(name) ? sg_span_of(sg_arena_strdup(arena, name)) : wrap(arena, "", name, '"', '"');
}

void sg_quote_literal(struct sg_arena *arena, const char *value, struct sg_span *ret_quoted) {
    /* With a backslash only E'' means the same whatever standard_conforming_strings says. */
    bool backslash = strchr(value, '\\') != NULL;
    *ret_quoted = wrap(arena, backslash ? "E" : "", value, '\'', backslash ? '\\' : '\'');
}
