#include "shape.h"

#include <stdlib.h>

enum byte_class {
    B_PLAIN, /* nothing to be decided: letters too; whether a word goes on is seen by looking back */
    B_DIGIT,
    B_QUOTE,
    B_DQUOTE,
    B_DOLLAR,
    B_MINUS,
    B_SLASH,
};

/* clang-format off */
static const uint8_t classes[256] = {
    ['0' ... '9'] = B_DIGIT, ['\''] = B_QUOTE, ['"'] = B_DQUOTE, ['$'] = B_DOLLAR, ['-'] = B_MINUS, ['/'] = B_SLASH,
};
static const bool word_parts[256] = {
    ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['_'] = true, [0x80 ... 0xff] = true, ['0' ... '9'] = true, ['$'] = true,
};
/* clang-format on */

struct reader {
    const char *begin, *p, *end;
    const char *kept_from; /* not yet in the key */
    struct sg_shape *shape;
    bool bad; /* something does not end */
};

/* NUL beyond the ends. */
static char byte_at(const struct reader *r, const char *p) {
    return p >= r->begin && p < r->end ? *p : '\0';
}

static bool is_word_part(char c) {
    return word_parts[(unsigned char)c];
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static void keep(struct reader *r, const char *to) {
    size_t len = (size_t)(to - r->kept_from);
    memcpy(r->shape->key + r->shape->key_len, r->kept_from, len);
    r->shape->key_len += len;
}

static void add_literal(struct reader *r, const char *at, const char *end) {
    struct sg_shape *shape = r->shape;
    if (shape->n == shape->cap) {
        shape->cap = shape->cap ? shape->cap * 2 : 64;
        if (!(shape->v = realloc(shape->v, sizeof *shape->v * shape->cap)))
            abort();
    }
    keep(r, at);
    shape->v[shape->n++] = (struct sg_literal){(uint32_t)(at - r->begin), (uint32_t)(end - r->begin)};
    r->kept_from = end;
}

/* p is after the opening quote; afterwards, behind the closing one. */
static void skip_quoted(struct reader *r, bool escapes) {
    while (r->p < r->end) {
        char c = *r->p++;
        if (c == '\\' && escapes && r->p < r->end) {
            r->p++;
        } else if (c == '\'') {
            if (byte_at(r, r->p) != '\'')
                return;
            r->p++;
        }
    }
    r->bad = true;
}

/* What stands before the quote may make the string another thing: E'', B'', X'', N'', U&''. */
static char prefix_of(const struct reader *r) {
    const char *before = r->p - 1;
    char prefix = (char)(byte_at(r, before) | 0x20);
    if (prefix == '&')
        prefix = (char)(byte_at(r, --before) | 0x20) == 'u' ? 'u' : '\0';
    else if (prefix != 'e' && prefix != 'b' && prefix != 'x' && prefix != 'n')
        return '\0';
    return is_word_part(byte_at(r, before - 1)) ? '\0' : prefix;
}

static void read_string(struct reader *r) {
    char prefix = prefix_of(r);
    const char *at = r->p++;
    skip_quoted(r, prefix == 'e');
    if (!r->bad && !prefix)
        add_literal(r, at, r->p);
}

/* The parity of quotes is all that matters of names: a doubled one closes and opens. */
static void skip_name(struct reader *r) {
    r->p++;
    while (r->p < r->end && *r->p != '"')
        r->p++;
    r->bad = r->p >= r->end;
    r->p++;
}

static const char *skip_digits(const struct reader *r, const char *p) {
    while (is_digit(byte_at(r, p)))
        p++;
    return p;
}

/* 12, 1.5, 1e-6. What touches a word, a dot or a string is not taken for a number. */
static void read_number(struct reader *r) {
    const char *at = r->p, *p = skip_digits(r, at);
    char before = byte_at(r, at - 1);
    if (is_word_part(before) || before == '.') {
        r->p = p;
        return;
    }
    if (byte_at(r, p) == '.' && is_digit(byte_at(r, p + 1)))
        p = skip_digits(r, p + 1);
    if ((byte_at(r, p) | 0x20) == 'e') {
        const char *exponent = p + 1;
        if (byte_at(r, exponent) == '+' || byte_at(r, exponent) == '-')
            exponent++;
        if (is_digit(byte_at(r, exponent)))
            p = skip_digits(r, exponent);
    }
    r->p = p;
    char after = byte_at(r, p);
    if (!is_word_part(after) && after != '.' && after != '\'' && after != '"')
        add_literal(r, at, p);
}

/* $tag$...$tag$, $1, or part of a word. */
static void skip_dollar(struct reader *r) {
    const char *tag = r->p++, *q = r->p;
    if (is_word_part(byte_at(r, tag - 1)) || is_digit(byte_at(r, q)))
        return;
    while (is_word_part(byte_at(r, q)) && *q != '$')
        q++;
    if (byte_at(r, q) != '$')
        return;
    size_t tag_len = (size_t)(++q - tag);
    const char *close = memmem(q, (size_t)(r->end - q), tag, tag_len);
    r->bad = !close;
    r->p = close ? close + tag_len : r->end;
}

static void skip_line_comment(struct reader *r) {
    while (r->p < r->end && *r->p != '\n' && *r->p != '\r')
        r->p++;
}

static void skip_block_comment(struct reader *r) {
    size_t depth = 1;
    for (r->p += 2; r->end - r->p >= 2; r->p++) {
        if (r->p[0] == '*' && r->p[1] == '/') {
            r->p++;
            if (--depth == 0) {
                r->p++;
                return;
            }
        } else if (r->p[0] == '/' && r->p[1] == '*') {
            r->p++;
            depth++;
        }
    }
    r->bad = true;
}

static void read_one(struct reader *r) {
    switch (classes[(unsigned char)*r->p]) {
    case B_DIGIT:
        read_number(r);
        return;
    case B_QUOTE:
        read_string(r);
        return;
    case B_DQUOTE:
        skip_name(r);
        return;
    case B_DOLLAR:
        skip_dollar(r);
        return;
    case B_MINUS:
        if (byte_at(r, ++r->p) == '-')
            skip_line_comment(r);
        return;
    case B_SLASH:
        if (byte_at(r, r->p + 1) == '*')
            skip_block_comment(r);
        else
            r->p++;
        return;
    default:
        r->p++;
    }
}

/* Each literal's distance from the one before, and whether it is a string: no other text has the same. */
static void add_gaps(struct sg_shape *shape, struct sg_span text) {
    char *out = shape->key + shape->key_len;
    uint32_t end = 0;
    for (size_t i = 0; i < shape->n; i++, out += sizeof(uint32_t)) {
        const struct sg_literal *literal = &shape->v[i];
        uint32_t gap = (literal->at - end) << 1 | (text.ptr[literal->at] == '\'');
        memcpy(out, &gap, sizeof gap);
        end = literal->end;
    }
    shape->key_len += shape->n * sizeof(uint32_t);
}

bool sg_shape_read(struct sg_shape *shape, struct sg_span text) {
    shape->n = 0;
    shape->key_len = 0;
    if (text.len == 0 || text.len > SG_SHAPE_MAX_BYTES)
        return false;
    if (shape->key_cap < text.len * 4) { /* if every byte were a literal */
        shape->key_cap = text.len * 4 + 1024;
        if (!(shape->key = realloc(shape->key, shape->key_cap)))
            abort();
    }
    struct reader r = {text.ptr, text.ptr, text.ptr + text.len, text.ptr, shape, false};
    while (!r.bad) {
        while (r.p < r.end && classes[(unsigned char)*r.p] == B_PLAIN)
            r.p++;
        if (r.p == r.end)
            break;
        read_one(&r);
    }
    if (r.bad || shape->n == 0)
        return false;
    keep(&r, r.end);
    add_gaps(shape, text);
    return true;
}

struct sg_span sg_shape_key(const struct sg_shape *shape) {
    return (struct sg_span){shape->key, shape->key_len};
}

void sg_shape_free(struct sg_shape *shape) {
    free(shape->v);
    free(shape->key);
}
