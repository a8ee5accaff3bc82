#include "mention.h"

#include "parse.h"
#include "relation.h"

#include <stdint.h>

const char *sg_name_at(const struct sg_context *cx, const struct sg_tokens *tokens, size_t i) {
    bool is_word = tokens->v[i].kind == SG_TOKEN_WORD;
    if (!is_word && tokens->v[i].kind != SG_TOKEN_QUOTED)
        return NULL;
    const char *name = sg_token_name(cx->arena, tokens, i);
    bool after_dot = i > 0 && sg_token_is_punct(tokens, i - 1, '.');
    return name && is_word && !after_dot && sg_keyword_is_reserved(name) ? NULL : name;
}

/* A bare name in the text itself: the server can be asked what it means. Not where our question, in the same batch,
 * would keep the statement from being run; nor for a body, which is looked at when it runs. */
static bool can_ask(const struct sg_context *cx, const struct sg_tokens *tokens) {
    return cx->request->can_ask && tokens == &cx->tokens && !cx->may_run_apart;
}

static const struct sg_table *asked_for(struct sg_context *cx, const char *name, int at) {
    const struct sg_from from = {.name = name, .at = at};
    struct sg_question *question;
    const struct sg_relation *relation = sg_lookup_relation(cx, &from, &question);
    return relation ? relation->mapped : NULL;
}

/* A mapped table that the name at token i may mean: of any schema, unless another one stands before it. */
static const struct sg_table *table_at(struct sg_context *cx, const struct sg_tokens *tokens, size_t i) {
    const char *name = sg_name_at(cx, tokens, i);
    if (!name)
        return NULL;
    size_t n;
    struct sg_relation *const *found = sg_snapshot_find(cx->snapshot, name, &n);
    const struct sg_table *table = NULL;
    const char *schema =
        n > 0 && i >= 2 && sg_token_is_punct(tokens, i - 1, '.') ? sg_token_name(cx->arena, tokens, i - 2) : NULL;
    bool is_temporary = schema && strcmp(schema, "pg_temp") == 0;
    for (size_t k = 0; k < n && !table; k++)
        if (found[k]->mapped && (!schema || strcmp(schema, found[k]->schema) == 0 || is_temporary))
            table = found[k]->mapped;
    if (!table || !cx->request->can_ask || (schema && !is_temporary))
        return table;
    if (is_temporary)
        table = NULL;
    else if (can_ask(cx, tokens))
        table = asked_for(cx, name, (int)tokens->v[i].at);
    cx->hides_names |= !table; /* what is no table of ours may be about to become one of its name */
    return table;
}

const struct sg_table *sg_mentioned_table(struct sg_context *cx, struct sg_token_range range) {
    for (size_t i = range.first; i < range.end; i++) {
        const struct sg_table *table = table_at(cx, range.tokens, i);
        if (table)
            return table;
        /* It may be any name; but a quote that is never closed begins none. */
        struct sg_span text = sg_token_text(range.tokens, i);
        if (range.tokens->v[i].kind == SG_TOKEN_QUOTED && text.ptr[text.len - 1] == '"' &&
            !sg_token_name(cx->arena, range.tokens, i))
            return &cx->snapshot->tables[0];
    }
    return NULL;
}

const char *sg_mentioned_column(const struct sg_context *cx, struct sg_token_range range) {
    for (size_t i = range.first; i < range.end; i++) {
        enum sg_token_kind kind = range.tokens->v[i].kind;
        const char *name =
            kind == SG_TOKEN_WORD || kind == SG_TOKEN_QUOTED ? sg_token_name(cx->arena, range.tokens, i) : NULL;
        for (size_t k = 0; name && k < cx->snapshot->mappings_len; k++)
            if (strcmp(cx->snapshot->mappings[k].old_name, name) == 0 ||
                strcmp(cx->snapshot->mappings[k].new_name, name) == 0)
                return name;
    }
    return NULL;
}

/* ---- Inside strings ---- */

static bool word_char(char c) {
    return c == '_' || c == '$' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (unsigned char)c >= 0x80;
}

/* word: as pg_class has it. What the client's encoding cannot write is not there. */
static bool has_word(const struct sg_context *cx, struct sg_span text, const char *word) {
    enum sg_encoding encoding = cx->tokens.lexis.encoding;
    word = sg_charset_write(&cx->snapshot->catalog->charset, cx->arena, encoding, word, false);
    size_t len = word ? strlen(word) : SIZE_MAX;
    if (len > text.len)
        return false;
    for (size_t i = 0; i + len <= text.len; i++) {
        /* In E'from\nusers' the letter before the word is part of an escape. */
        bool begins = i == 0 || !word_char(text.ptr[i - 1]) || (i >= 2 && text.ptr[i - 2] == '\\');
        if (begins && strncasecmp(text.ptr + i, word, len) == 0 &&
            (i + len == text.len || !word_char(text.ptr[i + len])))
            return true;
    }
    return false;
}

static const struct sg_table *table_as_word(const struct sg_context *cx, const struct sg_tokens *tokens) {
    for (size_t i = 0; i < tokens->n; i++)
        for (size_t k = 0; tokens->v[i].kind == SG_TOKEN_STRING && k < cx->snapshot->tables_len; k++)
            if (has_word(cx, sg_token_text(tokens, i), cx->snapshot->tables[k].relation->name))
                return &cx->snapshot->tables[k];
    return NULL;
}

const struct sg_table *sg_mentioned_anywhere(struct sg_context *cx) {
    const struct sg_table *table = sg_mentioned_table(cx, (struct sg_token_range){&cx->tokens, 0, cx->tokens.n});
    return table ? table : table_as_word(cx, &cx->tokens);
}

/* ---- Bodies ---- */

/* What stands between the quotes. A quote in it stays doubled: the words on its sides are still words. */
static struct sg_span body_of(struct sg_span string) {
    size_t open = 0;
    while (open < string.len && string.ptr[open] != '\'' && string.ptr[open] != '$')
        open++;
    size_t close = 1;
    if (open < string.len && string.ptr[open] == '$') {
        close = 2;
        while (open + close < string.len && string.ptr[open + close - 1] != '$')
            close++;
    }
    if (string.len < open + 2 * close)
        return (struct sg_span){string.ptr, 0};
    return (struct sg_span){string.ptr + open + close, string.len - open - 2 * close};
}

/*
 * A string in a body may be SQL for EXECUTE, a piece of it, or a name for format(). A reserved word names its table
 * there if it stands alone, in quotes, or after a dot, which another piece may end with.
 */
static bool piece_names_table(const struct sg_context *cx, struct sg_span string, const struct sg_table *table,
                              bool any_ends_in_dot) {
    const char *name = table->relation->name;
    if (!has_word(cx, string, name))
        return false;
    struct sg_span body = body_of(string);
    if (!sg_keyword_is_reserved(name) || body.len == strlen(name) || memchr(string.ptr, '\\', string.len))
        return true;
    struct sg_tokens tokens;
    sg_tokenize(cx->arena, body, cx->tokens.lexis, &tokens);
    if (any_ends_in_dot && tokens.n && tokens.v[0].kind == SG_TOKEN_WORD &&
        has_word(cx, sg_token_text(&tokens, 0), name))
        return true;
    for (size_t i = 0; i < tokens.n; i++) {
        const char *found = sg_name_at(cx, &tokens, i);
        if (found ? strcmp(found, name) == 0
                  : tokens.v[i].kind != SG_TOKEN_WORD && has_word(cx, sg_token_text(&tokens, i), name))
            return true;
    }
    return false;
}

static const struct sg_table *piece_table(const struct sg_context *cx, const struct sg_tokens *tokens) {
    bool any_ends_in_dot = false;
    for (size_t i = 0; i < tokens->n && !any_ends_in_dot; i++) {
        struct sg_span body = body_of(sg_token_text(tokens, i));
        any_ends_in_dot = tokens->v[i].kind == SG_TOKEN_STRING && body.len && body.ptr[body.len - 1] == '.';
    }
    for (size_t i = 0; i < tokens->n; i++)
        for (size_t k = 0; tokens->v[i].kind == SG_TOKEN_STRING && k < cx->snapshot->tables_len; k++)
            if (piece_names_table(cx, sg_token_text(tokens, i), &cx->snapshot->tables[k], any_ends_in_dot))
                return &cx->snapshot->tables[k];
    return NULL;
}

static bool may_use_column(const struct sg_context *cx, struct sg_span body, struct sg_token_range range) {
    static const char *const all[] = {"insert", "merge", "copy", "table", "rowtype", "record", "row", "natural"};
    if (memchr(body.ptr, '*', body.len) || sg_mentioned_column(cx, range))
        return true;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (has_word(cx, body, all[i]))
            return true;
    for (size_t i = 0; i < range.end; i++) /* EXECUTE '...' */
        for (size_t k = 0; range.tokens->v[i].kind == SG_TOKEN_STRING && k < cx->snapshot->mappings_len; k++)
            if (has_word(cx, sg_token_text(range.tokens, i), cx->snapshot->mappings[k].old_name) ||
                has_word(cx, sg_token_text(range.tokens, i), cx->snapshot->mappings[k].new_name))
                return true;
    return false;
}

const struct sg_table *sg_body_table(struct sg_context *cx, struct sg_span string) {
    struct sg_span body = body_of(string);
    struct sg_tokens tokens;
    sg_tokenize(cx->arena, body, cx->tokens.lexis, &tokens);
    struct sg_token_range range = {&tokens, 0, tokens.n};
    const struct sg_table *table = sg_mentioned_table(cx, range);
    if (!table)
        table = piece_table(cx, &tokens);
    return table && may_use_column(cx, body, range) ? table : NULL;
}
