#include "segue/prepared.h"

#include "segue/limits.h"
#include "segue/rewrite.h"
#include "token.h"

#include <stdint.h>
#include <strings.h>

/* ---- Is one of the words there? ---- */

typedef uint8_t bytes16 __attribute__((vector_size(16)));

static bytes16 splat(char c) {
    uint8_t b = (uint8_t)c;
    return (bytes16){b, b, b, b, b, b, b, b, b, b, b, b, b, b, b, b};
}

/* Bit 5 folds letters; what else it makes look alike is sorted out by word_at. */
static bytes16 load(const char *p) {
    bytes16 v;
    memcpy(&v, p, sizeof v);
    return v | splat(0x20);
}

static bool word_at(const char *p, size_t left) {
    static const char *const words[] = {"prepare", "execute", "discard", "deallocate"};
    char first = (char)(*p | 0x20);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t len = strlen(words[i]);
        if (first == words[i][0] && len <= left && strncasecmp(p, words[i], len) == 0)
            return true;
    }
    return false;
}

/* 16 places at a time, by the first letter and the seventh, of which each word has one. */
bool sg_prepared_may_match(struct sg_span sql) {
    const bytes16 p = splat('p'), e = splat('e'), d = splat('d'), c = splat('c');
    const char *at = sql.ptr, *end = sql.ptr + sql.len;
    for (; end - at >= 16 + 6; at += 16) {
        bytes16 first = load(at), seventh = load(at + 6);
        bytes16 hits = ((bytes16)(first == p) | (bytes16)(first == e)) & (bytes16)(seventh == e);
        hits |= (bytes16)(first == d) & ((bytes16)(seventh == d) | (bytes16)(seventh == c));
        uint64_t halves[2];
        memcpy(halves, &hits, sizeof halves);
        if ((halves[0] | halves[1]) == 0)
            continue;
        for (size_t i = 0; i < 16; i++)
            if (hits[i] && word_at(at + i, (size_t)(end - at) - i))
                return true;
    }
    for (; at < end; at++)
        if (word_at(at, (size_t)(end - at)))
            return true;
    return false;
}

/* ---- One statement ---- */

static bool is_word(const struct sg_tokens *tokens, size_t i, const char *word) {
    return i < tokens->n && tokens->v[i].kind == SG_TOKEN_WORD && tokens->v[i].len == strlen(word) &&
           strncasecmp(sg_token_text(tokens, i).ptr, word, tokens->v[i].len) == 0;
}

/* Where the statement that EXPLAIN explains begins. */
static size_t after_explain(const struct sg_tokens *tokens) {
    size_t i = 0;
    if (!is_word(tokens, i, "explain"))
        return i;
    i++;
    if (sg_token_is_punct(tokens, i, '('))
        return tokens->v[i].match + 1u;
    while (is_word(tokens, i, "analyze") || is_word(tokens, i, "analyse") || is_word(tokens, i, "verbose"))
        i++;
    return i;
}

/* The EXECUTE of CREATE TABLE ... AS EXECUTE; n if there is none. */
static size_t execute_of_create(const struct sg_tokens *tokens, size_t i) {
    uint32_t depth = tokens->v[i].depth;
    for (; i + 1 < tokens->n; i++)
        if (tokens->v[i].depth == depth && sg_token_is_word(tokens, i, SG_WORD_AS))
            return is_word(tokens, i + 1, "execute") ? i + 1 : tokens->n;
    return tokens->n;
}

/* The kind of the statement, and the token with the name. */
static bool find_kind(const struct sg_tokens *tokens, enum sg_prepared_kind *ret_kind, size_t *ret_name) {
    size_t i = after_explain(tokens);
    if (is_word(tokens, i, "create"))
        i = execute_of_create(tokens, i);
    *ret_name = i + 1;
    if (is_word(tokens, i, "prepare")) {
        *ret_kind = SG_PREPARED_MAKE;
        return i + 2 < tokens->n && tokens->v[i + 2].kind != SG_TOKEN_STRING; /* PREPARE TRANSACTION 'x' */
    }
    if (is_word(tokens, i, "execute")) {
        *ret_kind = SG_PREPARED_RUN;
        return true;
    }
    if (is_word(tokens, i, "discard")) {
        *ret_kind = SG_PREPARED_END_ALL;
        return is_word(tokens, i + 1, "all");
    }
    *ret_kind = SG_PREPARED_END;
    if (!is_word(tokens, i, "deallocate"))
        return false;
    if (is_word(tokens, i + 1, "prepare") && i + 2 < tokens->n) /* alone, it is a name */
        *ret_name = ++i + 1;
    if (is_word(tokens, i + 1, "all"))
        *ret_kind = SG_PREPARED_END_ALL;
    return true;
}

/* The server cuts names at 63 bytes, and not inside of a character. */
static const char *cut(const char *name, struct sg_arena *arena) {
    size_t len = strlen(name);
    if (len < SG_NAME_BYTES)
        return name;
    for (len = SG_NAME_BYTES - 1; len > 0 && ((unsigned char)name[len] & 0xc0) == 0x80;)
        len--;
    return sg_arena_strndup(arena, name, len);
}

/* False: a name that no grammar takes. */
static bool read_name(struct sg_arena *arena, const struct sg_tokens *tokens, size_t i, const char **ret_name) {
    const char *name = sg_token_name(arena, tokens, i);
    bool is_escaped = i < tokens->n && tokens->v[i].kind == SG_TOKEN_QUOTED && !name;
    if (name && *name)
        *ret_name = cut(name, arena);
    return is_escaped || (name && *name);
}

static bool read_statement(struct sg_arena *arena, struct sg_tokens *tokens, struct sg_prepared_op *op) {
    size_t name = 0;
    if (!find_kind(tokens, &op->kind, &name))
        return false;
    if (op->kind != SG_PREPARED_END_ALL && !read_name(arena, tokens, name, &op->name))
        return false;
    size_t at = tokens->v[0].at;
    op->sql = (struct sg_span){tokens->text.ptr + at, sg_token_end(tokens, tokens->n - 1) - at};
    return true;
}

/* ---- The text ---- */

void sg_prepared_read(struct sg_arena *arena, struct sg_span sql, struct sg_prepared_ops *ret_ops) {
    struct sg_prepared_ops ops = {0};
    struct sg_span part;
    size_t cursor = 0, cap = 0;
    while (sg_split_next(sql, &cursor, &part)) {
        struct sg_tokens tokens;
        struct sg_prepared_op op = {0};
        sg_tokenize(arena, part, (struct sg_lexis){0}, &tokens);
        if (tokens.n > 0 && sg_token_is_punct(&tokens, tokens.n - 1, ';'))
            tokens.n--;
        if (tokens.n == 0)
            continue;
        ops.statements++;
        if (!read_statement(arena, &tokens, &op))
            continue;
        if (ops.n == cap) {
            struct sg_prepared_op *bigger = sg_arena_array(arena, struct sg_prepared_op, cap ? cap * 2 : 4);
            if (ops.n > 0)
                memcpy(bigger, ops.v, sizeof *bigger * ops.n);
            ops.v = bigger;
            cap = cap ? cap * 2 : 4;
        }
        ops.v[ops.n++] = op;
    }
    if (ops.statements == 1 && ops.n == 1)
        ops.v[0].sql = sql;
    *ret_ops = ops;
}

const char *sg_prepared_tag(enum sg_prepared_kind kind) {
    switch (kind) {
    case SG_PREPARED_MAKE:
        return "PREPARE";
    case SG_PREPARED_END:
        return "DEALLOCATE";
    case SG_PREPARED_END_ALL:
    case SG_PREPARED_RUN:
        break;
    }
    return NULL;
}
