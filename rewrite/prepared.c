#include "segue/prepared.h"

#include "charset.h"
#include "segue/limits.h"
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

enum { WORD_BYTES = 7 }; /* of the shortest */

static bool word_at(const char *p, size_t left) {
    static const struct sg_span words[] = {{"prepare", 7}, {"execute", 7}, {"discard", 7}, {"deallocate", 10}};
    char first = (char)(*p | 0x20);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (first == words[i].ptr[0] && words[i].len <= left && strncasecmp(p, words[i].ptr, words[i].len) == 0)
            return true;
    return false;
}

/* At one of 16 places, by the first two letters and the seventh. Nearly nothing else has them there. */
static bool word_in_block(const char *at, const char *end) {
    const bytes16 p = splat('p'), e = splat('e'), d = splat('d'), c = splat('c');
    const bytes16 r = splat('r'), x = splat('x'), i_ = splat('i');
    bytes16 first = load(at), second = load(at + 1), seventh = load(at + WORD_BYTES - 1);
    bytes16 is_d = (bytes16)(first == d);
    bytes16 hits =
        (((bytes16)(first == p) & (bytes16)(second == r)) | ((bytes16)(first == e) & (bytes16)(second == x))) &
        (bytes16)(seventh == e);
    hits |= is_d &
            (((bytes16)(second == i_) & (bytes16)(seventh == d)) | ((bytes16)(second == e) & (bytes16)(seventh == c)));
    uint64_t halves[2];
    memcpy(halves, &hits, sizeof halves);
    if ((halves[0] | halves[1]) == 0)
        return false;
    for (size_t i = 0; i < 16; i++)
        if (hits[i] && word_at(at + i, (size_t)(end - at) - i))
            return true;
    return false;
}

bool sg_prepared_may_match(struct sg_span sql) {
    enum { BLOCK = 16 + WORD_BYTES - 1 };
    const char *at = sql.ptr, *end = sql.ptr + sql.len;
    for (; end - at >= BLOCK; at += 16)
        if (word_in_block(at, end))
            return true;
    if (sql.len >= BLOCK) /* what is left, with some places that have been looked at */
        return word_in_block(end - BLOCK, end);
    for (; end - at >= WORD_BYTES; at++)
        if (word_at(at, (size_t)(end - at)))
            return true;
    return false;
}

/* ---- One statement ---- */

/* Tokens of it. */
struct range {
    size_t first, end;
};

static bool is_word(const struct sg_tokens *tokens, struct range in, size_t i, const char *word) {
    return i < in.end && tokens->v[i].kind == SG_TOKEN_WORD && tokens->v[i].len == strlen(word) &&
           strncasecmp(tokens->text.ptr + tokens->v[i].at, word, tokens->v[i].len) == 0;
}

/* Where the statement that EXPLAIN explains begins. */
static size_t after_explain(const struct sg_tokens *tokens, struct range in) {
    size_t i = in.first;
    if (!is_word(tokens, in, i, "explain"))
        return i;
    i++;
    if (i < in.end && sg_token_is_punct(tokens, i, '('))
        return tokens->v[i].match + 1u;
    while (is_word(tokens, in, i, "analyze") || is_word(tokens, in, i, "analyse") || is_word(tokens, in, i, "verbose"))
        i++;
    return i;
}

/* The EXECUTE of CREATE TABLE ... AS EXECUTE; the end if there is none. */
static size_t execute_of_create(const struct sg_tokens *tokens, struct range in, size_t i) {
    for (; i + 1 < in.end; i++)
        if (tokens->v[i].depth == 0 && sg_token_is_word(tokens, i, SG_WORD_AS))
            return is_word(tokens, in, i + 1, "execute") ? i + 1 : in.end;
    return in.end;
}

/* The kind of the statement, and the token with the name. */
static bool find_kind(const struct sg_tokens *tokens, struct range in, enum sg_prepared_kind *ret_kind,
                      size_t *ret_name) {
    size_t i = after_explain(tokens, in);
    if (is_word(tokens, in, i, "create"))
        i = execute_of_create(tokens, in, i);
    *ret_name = i + 1;
    if (is_word(tokens, in, i, "prepare")) {
        *ret_kind = SG_PREPARED_MAKE;
        return i + 2 < in.end && tokens->v[i + 2].kind != SG_TOKEN_STRING; /* PREPARE TRANSACTION 'x' */
    }
    if (is_word(tokens, in, i, "execute")) {
        *ret_kind = SG_PREPARED_RUN;
        return true;
    }
    if (is_word(tokens, in, i, "discard")) {
        *ret_kind = SG_PREPARED_END_ALL;
        return is_word(tokens, in, i + 1, "all");
    }
    *ret_kind = SG_PREPARED_END;
    if (!is_word(tokens, in, i, "deallocate"))
        return false;
    if (is_word(tokens, in, i + 1, "prepare") && i + 2 < in.end) /* alone, it is a name */
        *ret_name = ++i + 1;
    if (is_word(tokens, in, i + 1, "all"))
        *ret_kind = SG_PREPARED_END_ALL;
    return true;
}

/* Beyond ASCII, as bytes or as U&"...", what a name is to the server depends on its own encoding, unless that of the
 * client is UTF-8. */
static bool is_plain(const struct sg_tokens *tokens, size_t i) {
    bool is_ascii = tokens->v[i].kind == SG_TOKEN_WORD || tokens->text.ptr[tokens->v[i].at] == '"';
    for (size_t k = 0; k < tokens->v[i].len; k++)
        is_ascii &= (unsigned char)tokens->text.ptr[tokens->v[i].at + k] < 0x80;
    return is_ascii || tokens->lexis.encoding == SG_ENCODING_UTF8;
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

/* False: no name that the grammar takes. */
static bool read_name(struct sg_arena *arena, const struct sg_tokens *tokens, struct range in, size_t i,
                      const char **ret_name) {
    if (i >= in.end || (tokens->v[i].kind != SG_TOKEN_WORD && tokens->v[i].kind != SG_TOKEN_QUOTED))
        return false;
    const char *name = is_plain(tokens, i) ? sg_token_name(arena, tokens, i) : NULL;
    *ret_name = name ? cut(name, arena) : NULL;
    return !name || *name;
}

static bool read_statement(struct sg_arena *arena, const struct sg_tokens *tokens, struct range in,
                           struct sg_prepared_op *op) {
    size_t name = 0;
    if (!find_kind(tokens, in, &op->kind, &name))
        return false;
    if (op->kind != SG_PREPARED_END_ALL && !read_name(arena, tokens, in, name, &op->name))
        return false;
    size_t at = tokens->v[in.first].at;
    op->sql = (struct sg_span){tokens->text.ptr + at, sg_token_end(tokens, in.end - 1) - at};
    return true;
}

/* ---- The text ---- */

static void add(struct sg_arena *arena, struct sg_prepared_ops *ops, size_t *cap, const struct sg_prepared_op *op) {
    if (ops->n == *cap) {
        *cap = *cap ? *cap * 2 : 4;
        struct sg_prepared_op *bigger = sg_arena_array(arena, struct sg_prepared_op, *cap);
        if (ops->n > 0)
            memcpy(bigger, ops->v, sizeof *bigger * ops->n);
        ops->v = bigger;
    }
    ops->v[ops->n++] = *op;
}

static bool ends_statement(const struct sg_tokens *tokens, size_t i) {
    return i == tokens->n || (sg_token_is_punct(tokens, i, ';') && tokens->v[i].depth == 0);
}

void sg_prepared_read(struct sg_arena *arena, struct sg_span sql, enum sg_encoding encoding, bool backslash_quotes,
                      struct sg_prepared_ops *ret_ops) {
    static const struct sg_charset as_bytes = {.server = SG_ENCODING_SQL_ASCII, .is_known = true};
    const struct sg_lexis lexis = {.encoding = encoding,
                                   .charset = encoding == SG_ENCODING_UTF8 ? NULL : &as_bytes,
                                   .backslash_quotes = backslash_quotes};
    struct sg_prepared_ops ops = {0};
    struct sg_tokens tokens = {.n = 0};
    size_t cap = 0;
    if (sg_encoding_is_valid(encoding, sql)) /* otherwise the server takes nothing of it */
        sg_tokenize(arena, sql, lexis, &tokens);
    for (size_t i = 0, first = 0; tokens.n > 0 && i <= tokens.n; i++) {
        if (!ends_statement(&tokens, i))
            continue;
        struct sg_prepared_op op = {0};
        ops.statements += i > first;
        if (i > first && read_statement(arena, &tokens, (struct range){first, i}, &op))
            add(arena, &ops, &cap, &op);
        first = i + 1;
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
