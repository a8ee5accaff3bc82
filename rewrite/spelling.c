#include "spelling.h"

#include "charset.h"

#include <string.h>

/* Bytes that libpg_query, which takes its text for UTF-8, counts as one character each. */
enum { DIGIT_FIRST = 0x80, DIGITS = 64, DIGITS_MAX = 4 };

static bool has_high(struct sg_span text) {
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] >= 0x80)
            return true;
    return false;
}

/* ---- What a token stands for ---- */

static bool is_unicode(struct sg_span token) {
    return token.len >= 3 && (token.ptr[0] | 0x20) == 'u' && token.ptr[1] == '&' &&
           (token.ptr[2] == '"' || token.ptr[2] == '\'');
}

bool sg_token_is_unicode(const struct sg_tokens *tokens, size_t i) {
    return is_unicode((struct sg_span){tokens->text.ptr + tokens->v[i].at, tokens->v[i].len});
}

/* What stands between the quotes at the token's beginning. False: nothing closes them. */
static bool inside_quotes(struct sg_span token, size_t open, struct sg_span *ret_inside) {
    char quote = token.ptr[open];
    for (size_t i = open + 1; i < token.len; i++) {
        if (token.ptr[i] != quote)
            continue;
        if (i + 1 == token.len || token.ptr[i + 1] != quote) {
            *ret_inside = (struct sg_span){token.ptr + open + 1, i - open - 1};
            return true;
        }
        i++;
    }
    return false;
}

static bool read_hex(const char *p, size_t digits, uint32_t *ret) {
    uint32_t value = 0;
    for (size_t i = 0; i < digits; i++) {
        char c = (char)(p[i] | 0x20);
        int digit = p[i] >= '0' && p[i] <= '9' ? p[i] - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return false;
        value = value << 4 | (uint32_t)digit;
    }
    *ret = value;
    return true;
}

/* An escape at p: XXXX or +XXXXXX behind the escape character. Bytes of it; 0: none. */
static size_t read_escape(struct sg_span text, char escape, uint32_t *ret_code) {
    bool is_long = text.len >= 2 && text.ptr[1] == '+';
    size_t len = is_long ? 8 : 5;
    if (text.len < len || text.ptr[0] != escape || !read_hex(text.ptr + (is_long ? 2 : 1), is_long ? 6 : 4, ret_code))
        return 0;
    return len;
}

/* An escape, or the two of a surrogate pair. */
static size_t read_code_point(struct sg_span text, char escape, uint32_t *ret_code) {
    size_t len = read_escape(text, escape, ret_code);
    if (len == 0 || *ret_code == 0 || *ret_code > 0x10ffff || (*ret_code >= 0xdc00 && *ret_code <= 0xdfff))
        return 0;
    if (*ret_code < 0xd800 || *ret_code > 0xdbff)
        return len;
    uint32_t low;
    size_t more = read_escape((struct sg_span){text.ptr + len, text.len - len}, escape, &low);
    if (more == 0 || low < 0xdc00 || low > 0xdfff)
        return 0;
    *ret_code = 0x10000 + ((*ret_code - 0xd800) << 10) + (low - 0xdc00);
    return len + more;
}

/* U&"..." between the quotes. False: the server refuses it. */
static bool read_unicode(struct sg_name_reader *reader, struct sg_span inside, char escape) {
    for (size_t i = 0; i < inside.len;) {
        const char *p = inside.ptr + i;
        uint32_t code;
        size_t left = inside.len - i, len = read_code_point((struct sg_span){p, left}, escape, &code);
        if (len > 0) {
            sg_name_read_code_point(reader, code);
        } else if (*p == escape || *p == '"') { /* doubled */
            len = 2;
            if (left < 2 || p[1] != *p)
                return false;
            sg_name_read(reader, (struct sg_span){p, 1});
        } else {
            len = (unsigned char)*p < 0x80 ? 1 : sg_encoding_char(reader->encoding, p, left);
            len = len ? len : 1;
            sg_name_read(reader, (struct sg_span){p, len});
        }
        i += len;
    }
    return true;
}

static void read_quoted(struct sg_name_reader *reader, struct sg_span inside) {
    for (size_t i = 0; i < inside.len;) {
        size_t len = 0;
        while (i + len < inside.len && inside.ptr[i + len] != '"')
            len++;
        bool is_doubled = i + len < inside.len;
        sg_name_read(reader, (struct sg_span){inside.ptr + i, len + is_doubled});
        i += len + (is_doubled ? 2 : 0);
    }
}

enum spelled { NO_NAME, NAME, DOUBTFUL };

/* Behind UESCAPE anything but a plain 'c' is legal, and never written: E'!', $$!$$. */
static bool has_odd_uescape(const struct sg_tokens *tokens, size_t i) {
    if (i + 1 >= tokens->n || tokens->v[i + 1].kind != SG_TOKEN_WORD)
        return false;
    struct sg_span next = sg_token_text(tokens, i + 1);
    return next.len == 7 && strncasecmp(next.ptr, "uescape", 7) == 0;
}

static enum spelled spell_name(struct sg_arena *arena, const struct sg_tokens *tokens, size_t i,
                               const char **ret_name) {
    static const struct sg_charset standard = {.is_known = true};
    if (tokens->v[i].kind != SG_TOKEN_WORD && tokens->v[i].kind != SG_TOKEN_QUOTED)
        return NO_NAME;
    struct sg_span text = sg_token_text(tokens, i), inside;
    struct sg_name_reader reader = {.charset = tokens->lexis.charset ? tokens->lexis.charset : &standard,
                                    .encoding = tokens->lexis.encoding,
                                    .name = sg_arena_alloc(arena, 6 * text.len + 1)};
    if (tokens->v[i].kind == SG_TOKEN_WORD) {
        reader.is_folded = true;
        sg_name_read(&reader, text);
    } else if (!inside_quotes(text, is_unicode(text) ? 2 : 0, &inside)) {
        return NO_NAME;
    } else if (is_unicode(text)) {
        bool has_clause = text.ptr[text.len - 1] == '\'';
        if (!read_unicode(&reader, inside, has_clause ? text.ptr[text.len - 2] : '\\'))
            return NO_NAME;
        reader.is_doubtful |= has_odd_uescape(tokens, i);
    } else {
        read_quoted(&reader, inside);
    }
    *ret_name = reader.name;
    return reader.is_doubtful ? DOUBTFUL : NAME;
}

const char *sg_token_name(struct sg_arena *arena, const struct sg_tokens *tokens, size_t i) {
    const char *name;
    return i < tokens->n && spell_name(arena, tokens, i, &name) == NAME ? name : NULL;
}

/* ---- Strings ---- */

static size_t read_octal(const char *p, size_t left, char *ret) {
    size_t len = 0;
    unsigned value = 0;
    while (len < 3 && len < left && p[len] >= '0' && p[len] <= '7')
        value = value * 8 + (unsigned)(p[len++] - '0');
    *ret = (char)value;
    return len;
}

static size_t read_byte_escape(const char *p, size_t left, char *ret) {
    static const char letters[] = "bfnrt", controls[] = "\b\f\n\r\t";
    const char *letter = *p ? strchr(letters, *p) : NULL;
    size_t octal = read_octal(p, left, ret);
    if (octal)
        return octal;
    uint32_t value;
    if (*p == 'x')
        for (size_t digits = left > 2 ? 2 : left - 1; digits > 0; digits--)
            if (read_hex(p + 1, digits, &value)) {
                *ret = (char)value;
                return 1 + digits;
            }
    *ret = letter ? controls[letter - letters] : *p;
    return 1;
}

/* The value of a string, for the few that matter: options of COPY. NULL: not computed. */
static const char *string_value(struct sg_arena *arena, const struct sg_tokens *tokens, struct sg_span text) {
    struct sg_span inside;
    char first = (char)(*text.ptr | 0x20);
    size_t open = *text.ptr == '\'' ? 0 : 1;
    bool escapes = first == 'e' || (tokens->lexis.backslash_quotes && (open == 0 || first == 'n'));
    if (is_unicode(text) || *text.ptr == '$' || text.len < open + 2 || text.ptr[text.len - 1] != '\'')
        return NULL;
    inside = (struct sg_span){text.ptr + open + 1, text.len - open - 2};
    char *value = sg_arena_alloc(arena, inside.len + 1);
    size_t n = 0;
    for (size_t i = 0; i < inside.len;) {
        const char *p = inside.ptr + i;
        size_t left = inside.len - i, len = 1;
        if (*p == '\\' && escapes && left > 1) {
            if (p[1] == 'u' || p[1] == 'U')
                return NULL;
            i += 1 + read_byte_escape(p + 1, left - 1, &value[n++]);
            continue;
        }
        if (*p == '\'' && (left < 2 || p[1] != '\''))
            return NULL; /* goes on in another line */
        if ((unsigned char)*p >= 0x80)
            len = sg_encoding_char(tokens->lexis.encoding, p, left);
        len = len ? len : 1;
        memcpy(value + n, p, len);
        n += len;
        i += *p == '\'' ? 2 : len;
    }
    return strlen(value) == n ? value : NULL;
}

/* ---- The mask ---- */

struct masker {
    struct sg_arena *arena;
    const struct sg_tokens *tokens;
    struct sg_spelling *out;
    char *mask;
    uint16_t *known[2]; /* names of one byte and of two: their numbers, from 1 */
};

static size_t add_name(struct masker *m, size_t digits, const char *name) {
    struct sg_spellings *names = &m->out->by_digits[digits - 1];
    if (names->n == names->cap) {
        size_t cap = names->cap ? names->cap * 2 : 16;
        const char **bigger = sg_arena_array(m->arena, const char *, cap);
        if (names->n)
            memcpy(bigger, names->v, sizeof *bigger * names->n);
        names->v = bigger;
        names->cap = cap;
    }
    names->v[names->n] = name;
    return names->n++;
}

/* The same few bytes get the same number: there are only so many of them. */
static uint16_t *known_number(struct masker *m, struct sg_span inside, uint8_t kind) {
    if (inside.len > 2)
        return NULL;
    size_t bits = 8 * inside.len;
    uint16_t **table = &m->known[inside.len - 1];
    if (!*table)
        *table = sg_arena_array(m->arena, uint16_t, (size_t)4 << bits);
    size_t key = inside.len == 1 ? (uint8_t)inside.ptr[0] : (uint8_t)inside.ptr[0] * 256u + (uint8_t)inside.ptr[1];
    return &(*table)[((size_t)kind << bits) + key];
}

/* Writes a number for name over [inside.ptr, + inside.len) of the mask. */
static void put_number(struct masker *m, struct sg_span inside, uint8_t kind, const char *name) {
    size_t digits = inside.len < DIGITS_MAX ? inside.len : DIGITS_MAX, limit = 1;
    if (inside.len == 0)
        return;
    for (size_t i = 0; i < digits; i++)
        limit *= DIGITS;
    uint16_t *known = known_number(m, inside, kind & 3);
    size_t number = known && *known ? *known - 1u : add_name(m, digits, name);
    if (known)
        *known = (uint16_t)(number + 1);
    m->out->has_too_many |= number >= limit;
    char *out = m->mask + (inside.ptr - m->tokens->text.ptr);
    memset(out, DIGIT_FIRST, inside.len);
    for (size_t i = 0; i < digits; i++, number /= DIGITS)
        out[i] = (char)(DIGIT_FIRST + number % DIGITS);
}

/* UESCAPE '!' says nothing about what is left. */
static void drop_clause(struct masker *m, struct sg_span text, struct sg_span inside) {
    const char *end = inside.ptr + inside.len + 1;
    memset(m->mask + (end - m->tokens->text.ptr), ' ', (size_t)(text.ptr + text.len - end));
}

static void mask_name(struct masker *m, size_t i) {
    struct sg_span text = sg_token_text(m->tokens, i), inside = text;
    uint8_t kind = m->tokens->v[i].kind;
    const char *name;
    if (!has_high(text) && !is_unicode(text))
        return;
    enum spelled spelled = spell_name(m->arena, m->tokens, i, &name);
    if (spelled == NO_NAME || (kind == SG_TOKEN_QUOTED && !inside_quotes(text, is_unicode(text) ? 2 : 0, &inside)))
        return;
    m->out->is_doubtful |= spelled == DOUBTFUL;
    if (is_unicode(text)) {
        put_number(m, inside, 2, name);
        drop_clause(m, text, inside);
        return;
    }
    put_number(m, inside, kind, name);
}

static void mask_string(struct masker *m, size_t i) {
    struct sg_span text = sg_token_text(m->tokens, i);
    char first = (char)(*text.ptr | 0x20);
    bool is_escaped = first == 'e' || m->tokens->lexis.backslash_quotes;
    bool is_bits = (first == 'b' || first == 'x') && text.len > 1 && text.ptr[1] == '\'';
    bool is_odd = has_high(text) || is_unicode(text) || (is_escaped && memchr(text.ptr, '\\', text.len)) ||
                  memmem(text.ptr, text.len, "--", 2); /* perhaps a comment before it goes on */
    if (is_bits || !is_odd)
        return;
    const char *open = memchr(text.ptr, *text.ptr == '$' ? '$' : '\'', text.len), *close = text.ptr + text.len;
    size_t tag = 1;
    if (*text.ptr == '$') {
        while (open[tag++] != '$')
            continue;
    }
    struct sg_span inside = {open + tag, (size_t)(close - open) - 2 * tag};
    if (is_unicode(text) && !inside_quotes(text, 2, &inside))
        return;
    put_number(m, inside, 3, string_value(m->arena, m->tokens, text));
    if (is_unicode(text))
        drop_clause(m, text, inside);
}

/* So that it does not end for the parser either. */
static void mask_unterminated(struct masker *m) {
    struct sg_span text = sg_token_text(m->tokens, m->tokens->n - 1);
    size_t open = 0;
    while (open < text.len && text.ptr[open] != '\'' && text.ptr[open] != '"' && text.ptr[open] != '$')
        open++;
    if (open < text.len && text.ptr[open] != '$')
        memset(m->mask + (text.ptr - m->tokens->text.ptr) + open + 1, 'x', text.len - open - 1);
}

/* Two strings that are apart because of a comment stay apart. */
static void blank_comments(struct masker *m) {
    const struct sg_tokens *tokens = m->tokens;
    size_t at = 0;
    for (size_t i = 0; i <= tokens->n; i++) {
        bool is_end = i == tokens->n;
        bool between_strings =
            !is_end && i > 0 && tokens->v[i - 1].kind == SG_TOKEN_STRING && tokens->text.ptr[tokens->v[i].at] == '\'';
        size_t to = is_end ? tokens->text.len : tokens->v[i].at;
        if (!between_strings && !(is_end && tokens->unterminated_comment))
            memset(m->mask + at, ' ', to - at);
        at = is_end ? to : sg_token_end(tokens, i);
    }
}

static void fill_characters(struct masker *m) {
    struct sg_span text = m->tokens->text;
    for (size_t i = 0, len; i < text.len; i += len) {
        len = 1;
        if ((unsigned char)text.ptr[i] < 0x80)
            continue;
        len = sg_encoding_char(m->tokens->lexis.encoding, text.ptr + i, text.len - i);
        len = len ? len : 1;
        memset(m->mask + i, DIGIT_FIRST, len);
    }
}

static bool is_mask_needed(const struct sg_tokens *tokens) {
    const struct sg_charset *charset = tokens->lexis.charset;
    bool is_utf8 = tokens->lexis.encoding == SG_ENCODING_UTF8 && (!charset || charset->server == SG_ENCODING_UTF8);
    if (tokens->has_comment || tokens->has_unicode)
        return true;
    if (is_utf8)
        return tokens->lexis.backslash_quotes && tokens->has_backslash;
    return tokens->has_backslash || has_high(tokens->text);
}

void sg_spell(struct sg_arena *arena, const struct sg_tokens *tokens, struct sg_spelling *ret_spelling) {
    *ret_spelling = (struct sg_spelling){.mask = tokens->text};
    ret_spelling->is_masked = is_mask_needed(tokens);
    if (!ret_spelling->is_masked)
        return;
    struct masker m = {.arena = arena, .tokens = tokens, .out = ret_spelling};
    m.mask = sg_arena_strndup(arena, tokens->text.ptr, tokens->text.len);
    fill_characters(&m);
    for (size_t i = 0; i < tokens->n; i++) {
        if (tokens->unterminated && i + 1 == tokens->n)
            mask_unterminated(&m);
        else if (tokens->v[i].kind == SG_TOKEN_WORD || tokens->v[i].kind == SG_TOKEN_QUOTED)
            mask_name(&m, i);
        else if (tokens->v[i].kind == SG_TOKEN_STRING)
            mask_string(&m, i);
    }
    if (tokens->has_comment)
        blank_comments(&m);
    ret_spelling->mask.ptr = m.mask;
}

const char *sg_spelling_of(const struct sg_spelling *spelling, const char *parsed) {
    if (!spelling || !spelling->is_masked || (unsigned char)*parsed < 0x80)
        return parsed;
    size_t len = strlen(parsed), digits = len < DIGITS_MAX ? len : DIGITS_MAX, number = 0;
    for (size_t i = digits; i-- > 0;)
        number = number * DIGITS + ((unsigned char)parsed[i] - DIGIT_FIRST) % DIGITS;
    const struct sg_spellings *names = &spelling->by_digits[digits - 1];
    return number < names->n ? names->v[number] : NULL;
}
