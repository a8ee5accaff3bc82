#include "shape.h"

#include <stdlib.h>

enum byte_class {
    B_PLAIN, /* nothing to be decided */
    B_WORD,
    B_DIGIT,
    B_QUOTE,
    B_DQUOTE,
    B_DOLLAR,
    B_MINUS,
    B_SLASH,
    B_DOT,
};

/* clang-format off */
static const uint8_t classes[256] = {
    ['a' ... 'z'] = B_WORD, ['A' ... 'Z'] = B_WORD, ['_'] = B_WORD, [0x80 ... 0xff] = B_WORD,
    ['0' ... '9'] = B_DIGIT, ['\''] = B_QUOTE, ['"'] = B_DQUOTE, ['$'] = B_DOLLAR, ['-'] = B_MINUS, ['/'] = B_SLASH,
    ['.'] = B_DOT,
};
/* clang-format on */

struct reader {
    const char *begin, *p, *end;
    const char *kept_from; /* not yet in the key */
    struct sg_shape *shape;
    bool bad; /* something does not end */
};

static enum byte_class class_at(const struct reader *r, const char *p) {
    return p < r->end ? classes[(unsigned char)*p] : B_PLAIN;
}

static bool is_word_part(enum byte_class c) {
    return c == B_WORD || c == B_DIGIT || c == B_DOLLAR;
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
static void skip_quoted(struct reader *r, char quote, bool escapes) {
    while (r->p < r->end) {
        if (!escapes) {
            const char *q = memchr(r->p, quote, (size_t)(r->end - r->p));
            r->p = q ? q : r->end;
            if (!q)
                break;
        }
        char c = *r->p++;
        if (c == '\\' && escapes && r->p < r->end) {
            r->p++;
        } else if (c == quote) {
            if (r->p >= r->end || *r->p != quote)
                return;
            r->p++;
        }
    }
    r->bad = true;
}

static void read_string(struct reader *r) {
    const char *at = r->p++;
    skip_quoted(r, '\'', false);
    if (!r->bad)
        add_literal(r, at, r->p);
}

static const char *skip_digits(const struct reader *r, const char *p) {
    while (class_at(r, p) == B_DIGIT)
        p++;
    return p;
}

/* 12, 1.5, 1e-6. What touches a word, a dot or a string is not taken for a number. */
static void read_number(struct reader *r) {
    const char *p = skip_digits(r, r->p);
    if (class_at(r, p) == B_DOT && class_at(r, p + 1) == B_DIGIT)
        p = skip_digits(r, p + 1);
    if (p < r->end && (*p | 0x20) == 'e') {
        const char *exponent = p + 1;
        if (exponent < r->end && (*exponent == '+' || *exponent == '-'))
            exponent++;
        p = class_at(r, exponent) == B_DIGIT ? skip_digits(r, exponent) : p;
    }
    enum byte_class next = class_at(r, p);
    if (!is_word_part(next) && next != B_DOT && next != B_QUOTE && next != B_DQUOTE)
        add_literal(r, r->p, p);
    while (is_word_part(class_at(r, p)) || class_at(r, p) == B_DOT)
        p++;
    r->p = p;
}

/* A word, or a string or name with a prefix: E'', B'', X'', N'', U&'', U&"". */
static void skip_word(struct reader *r) {
    const char *start = r->p;
    while (is_word_part(class_at(r, r->p)))
        r->p++;
    if (r->p - start != 1 || r->p >= r->end)
        return;
    char prefix = (char)(*start | 0x20);
    bool is_string = *r->p == '\'' && (prefix == 'e' || prefix == 'b' || prefix == 'x' || prefix == 'n');
    bool is_unicode = prefix == 'u' && *r->p == '&' && r->end - r->p >= 2 && (r->p[1] == '\'' || r->p[1] == '"');
    if (!is_string && !is_unicode)
        return;
    r->p += is_unicode ? 2 : 1;
    skip_quoted(r, r->p[-1], prefix == 'e');
}

/* $tag$...$tag$, $1, or a dollar that means nothing. */
static void skip_dollar(struct reader *r) {
    const char *tag = r->p++, *q = r->p;
    if (class_at(r, q) != B_DIGIT)
        while (class_at(r, q) == B_WORD || class_at(r, q) == B_DIGIT)
            q++;
    if (class_at(r, q) != B_DOLLAR) {
        while (is_word_part(class_at(r, r->p)))
            r->p++;
        return;
    }
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
    case B_WORD:
        skip_word(r);
        return;
    case B_DIGIT:
        read_number(r);
        return;
    case B_QUOTE:
        read_string(r);
        return;
    case B_DQUOTE:
        r->p++;
        skip_quoted(r, '"', false);
        return;
    case B_DOLLAR:
        skip_dollar(r);
        return;
    case B_MINUS:
        if (r->end - r->p >= 2 && r->p[1] == '-')
            skip_line_comment(r);
        else
            r->p++;
        return;
    case B_SLASH:
        if (r->end - r->p >= 2 && r->p[1] == '*')
            skip_block_comment(r);
        else
            r->p++;
        return;
    case B_DOT: /* t.5 and .5 are no numbers here */
        r->p++;
        while (is_word_part(class_at(r, r->p)))
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
    while (r.p < r.end && !r.bad)
        read_one(&r);
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
