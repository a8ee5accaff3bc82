#include "charset.h"

#include "segue/limits.h"

#include <stdlib.h>
#include <string.h>

enum { FOREIGN = 0xfe, NO_CHARACTER = UINT32_MAX };

static bool is_high(char c) {
    return (unsigned char)c >= 0x80;
}

static uint32_t code_of(const char *bytes, size_t len) {
    uint32_t code = 0;
    for (size_t i = 0; i < len; i++)
        code = code << 8 | (unsigned char)bytes[i];
    return code;
}

/* ---- What the server was asked ---- */

/* Room for one more element of a malloc'd array. */
static void *grow(void *array, size_t len, size_t *cap, size_t element_bytes) {
    if (len < *cap)
        return array;
    *cap = *cap ? *cap * 2 : 64;
    array = realloc(array, *cap * element_bytes);
    if (!array)
        abort();
    return array;
}

void sg_charset_free(struct sg_charset *charset) {
    for (size_t i = 0; i < SG_ENCODINGS_LEN; i++) {
        free(charset->codes[i].v);
        free(charset->codes[i].written);
    }
    free(charset->characters);
    free(charset->by_utf8);
}

/* Index into by_utf8: of the character, or where it would stand. */
static size_t place_of(const struct sg_charset *charset, const char *utf8) {
    size_t lo = 0, hi = charset->characters_len;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (strcmp(charset->characters[charset->by_utf8[mid]].utf8, utf8) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static uint32_t find_character(const struct sg_charset *charset, const char *utf8, size_t len) {
    char key[SG_CODE_BYTES + 1] = {0};
    memcpy(key, utf8, len);
    size_t at = place_of(charset, key);
    if (at == charset->characters_len || strcmp(charset->characters[charset->by_utf8[at]].utf8, key) != 0)
        return NO_CHARACTER;
    return charset->by_utf8[at];
}

void sg_charset_add_character(struct sg_charset *charset, const char *utf8, unsigned server_bytes, const char *lower) {
    size_t n = charset->characters_len, at = place_of(charset, utf8);
    charset->characters = grow(charset->characters, n, &charset->characters_cap, sizeof *charset->characters);
    charset->by_utf8 = grow(charset->by_utf8, n, &charset->by_utf8_cap, sizeof *charset->by_utf8);
    struct sg_character *character = &charset->characters[n];
    *character = (struct sg_character){.server_bytes = (uint8_t)server_bytes};
    strncpy(character->utf8, utf8, SG_CODE_BYTES);
    strncpy(character->lower, lower ? lower : utf8, SG_CODE_BYTES);
    charset->folds |= strcmp(character->lower, character->utf8) != 0;
    memmove(charset->by_utf8 + at + 1, charset->by_utf8 + at, sizeof *charset->by_utf8 * (n - at));
    charset->by_utf8[at] = (uint32_t)n;
    charset->characters_len++;
}

static size_t place_of_code(const struct sg_codes *codes, uint32_t bytes) {
    size_t lo = 0, hi = codes->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (codes->v[mid].bytes < bytes)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

void sg_charset_add_code(struct sg_charset *charset, enum sg_encoding encoding, const char *utf8, struct sg_span code) {
    uint32_t character = find_character(charset, utf8, strlen(utf8));
    struct sg_codes *codes = &charset->codes[encoding];
    if (character == NO_CHARACTER || code.len == 0 || code.len > SG_CODE_BYTES)
        return;
    uint32_t bytes = code_of(code.ptr, code.len);
    size_t at = place_of_code(codes, bytes), had = codes->written_cap;
    codes->v = grow(codes->v, codes->n, &codes->cap, sizeof *codes->v);
    memmove(codes->v + at + 1, codes->v + at, sizeof *codes->v * (codes->n - at));
    codes->v[at] = (struct sg_code){bytes, character};
    codes->n++;
    while (codes->written_cap <= character) {
        codes->written = grow(codes->written, codes->written_cap, &codes->written_cap, sizeof *codes->written);
        memset(codes->written + had, 0, sizeof *codes->written * (codes->written_cap - had));
        had = codes->written_cap;
    }
    codes->written[character] = bytes;
}

enum sg_encoding sg_charset_encoding(const struct sg_charset *charset, enum sg_encoding client) {
    return client == SG_ENCODING_SQL_ASCII || charset->server == SG_ENCODING_SQL_ASCII ? charset->server : client;
}

bool sg_charset_is_same(const struct sg_charset *charset, enum sg_encoding encoding) {
    return charset->server == SG_ENCODING_SQL_ASCII ||
           (encoding == SG_ENCODING_UTF8 && charset->server == SG_ENCODING_UTF8);
}

/* ---- Doubtful characters ---- */

static bool is_one_of(uint32_t code, const uint32_t *codes, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (codes[i] == code)
            return true;
    return false;
}

/* Codes that stand for the same character as another one does, in some conversion of PostgreSQL 13 to 18; and codes for
 * two characters. tests/integration/test_encodings.py asks a server for all of them. */
static bool is_doubtful(const struct sg_charset *charset, enum sg_encoding encoding, const char *p, size_t len) {
    static const uint32_t sjis[] = {0x81be, 0x81bf, 0x81ca, 0x81da, 0x81db, 0x81df, 0x81e0, 0x81e3, 0x81e6, 0x81e7};
    static const uint32_t big5[] = {0xa15a, 0xa1c3, 0xa1c5, 0xa1fe, 0xa240, 0xa2cc,
                                    0xa2ce, 0xa461, 0xc94a, 0xdcd1, 0xddfc};
    static const uint32_t utf8[] = {0xc2a6, 0xefbfa4};
    uint32_t code = code_of(p, len);
    uint8_t row = (uint8_t)p[0];
    switch (encoding) {
    case SG_ENCODING_SJIS:
        return row == 0x87 || row == 0xed || row == 0xee || row >= 0xfa ||
               is_one_of(code, sjis, sizeof sjis / sizeof *sjis);
    case SG_ENCODING_EUC_JP:
        return row == 0x8f ? (uint8_t)p[1] == 0xa2 || (uint8_t)p[1] >= 0xf3 : row == 0xa2 || row == 0xad || row >= 0xf5;
    case SG_ENCODING_EUC_TW:
        return row == 0x8e;
    case SG_ENCODING_BIG5:
        return is_one_of(code, big5, sizeof big5 / sizeof *big5);
    case SG_ENCODING_UTF8:
        return charset->server == SG_ENCODING_EUC_JP && is_one_of(code, utf8, sizeof utf8 / sizeof *utf8);
    case SG_ENCODING_WIN1251:
        return charset->server == SG_ENCODING_WIN866 && (code == 0xed || code == 0xb4);
    case SG_ENCODING_KOI8R:
        return charset->server == SG_ENCODING_WIN866 && (code == 0xce || code == 0xad);
    case SG_ENCODING_SHIFT_JIS_2004:
    case SG_ENCODING_EUC_JIS_2004:
        return sg_encoding_count(encoding, (struct sg_span){p, len}, len) == 2;
    case SG_ENCODING_MULE_INTERNAL:
    case SG_ENCODING_OTHER:
        return true;
    default:
        return false;
    }
}

bool sg_charset_is_doubtful(const struct sg_charset *charset, enum sg_encoding encoding, struct sg_span text) {
    for (size_t i = 0, len; i < text.len; i += len) {
        len = is_high(text.ptr[i]) ? sg_encoding_char(encoding, text.ptr + i, text.len - i) : 1;
        len = len ? len : 1;
        if (is_high(text.ptr[i]) && is_doubtful(charset, encoding, text.ptr + i, len))
            return true;
    }
    return false;
}

bool sg_charset_has_ascii_double(enum sg_encoding encoding, struct sg_span text) {
    if (encoding != SG_ENCODING_SHIFT_JIS_2004)
        return false;
    for (size_t i = 0, len; i < text.len; i += len) {
        len = sg_encoding_char(encoding, text.ptr + i, text.len - i);
        uint32_t code = len == 2 ? code_of(text.ptr + i, 2) : 0;
        if (code == 0x815f || code == 0x81b0)
            return true;
        len = len ? len : 1;
    }
    return false;
}

/* ---- Reading ---- */

static void push(struct sg_name_reader *reader, const char *bytes, size_t len, size_t server_bytes) {
    if (reader->server_bytes + server_bytes >= SG_NAME_BYTES) {
        /* How long a foreign character is to the server is not known, so neither is where it cuts. */
        reader->is_doubtful |= reader->has_foreign;
        reader->is_cut = true;
        return;
    }
    memcpy(reader->name + reader->len, bytes, len);
    reader->len += len;
    reader->server_bytes += server_bytes;
}

static void push_character(struct sg_name_reader *reader, uint32_t index) {
    const struct sg_character *character = &reader->charset->characters[index];
    const char *bytes = reader->is_folded ? character->lower : character->utf8;
    push(reader, bytes, strlen(bytes), character->server_bytes);
}

static void push_foreign(struct sg_name_reader *reader, const char *p, size_t len) {
    char marked[2 + SG_CODE_BYTES] = {(char)FOREIGN, (char)('0' + len)};
    memcpy(marked + 2, p, len);
    reader->is_doubtful |= !reader->charset->is_known || is_doubtful(reader->charset, reader->encoding, p, len);
    reader->has_foreign = true;
    push(reader, marked, 2 + len, SG_CODE_BYTES);
}

static void read_high(struct sg_name_reader *reader, const char *p, size_t len) {
    const struct sg_charset *charset = reader->charset;
    const struct sg_codes *codes = &charset->codes[reader->encoding];
    if (sg_charset_is_same(charset, reader->encoding)) {
        uint32_t index = charset->folds ? find_character(charset, p, len) : NO_CHARACTER;
        if (index == NO_CHARACTER)
            push(reader, p, len, len);
        else
            push_character(reader, index);
        return;
    }
    uint32_t bytes = code_of(p, len);
    size_t at = place_of_code(codes, bytes);
    if (at < codes->n && codes->v[at].bytes == bytes)
        push_character(reader, codes->v[at].character);
    else
        push_foreign(reader, p, len);
}

void sg_name_read(struct sg_name_reader *reader, struct sg_span text) {
    for (size_t i = 0, len; i < text.len && !reader->is_cut; i += len) {
        char c = text.ptr[i];
        len = is_high(c) ? sg_encoding_char(reader->encoding, text.ptr + i, text.len - i) : 1;
        if (len == 0) { /* the server refuses such a text */
            reader->is_doubtful = true;
            return;
        }
        if (is_high(c)) {
            read_high(reader, text.ptr + i, len);
            continue;
        }
        if (reader->is_folded && c >= 'A' && c <= 'Z')
            c = (char)(c + ('a' - 'A'));
        push(reader, &c, 1, 1);
    }
}

static size_t utf8_of(uint32_t code, char *ret) {
    if (code < 0x80) {
        ret[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, code >>= 6)
        ret[i] = (char)(0x80 | (code & 0x3f));
    ret[0] = (char)((0xf00 >> len & 0xff) | code);
    return len;
}

void sg_name_read_code_point(struct sg_name_reader *reader, uint32_t code) {
    char utf8[SG_CODE_BYTES];
    size_t len = utf8_of(code, utf8);
    if (reader->is_cut)
        return;
    uint32_t index = len > 1 ? find_character(reader->charset, utf8, len) : NO_CHARACTER;
    if (index != NO_CHARACTER) {
        push_character(reader, index);
        return;
    }
    reader->is_doubtful |= len > 1 && reader->charset->server != SG_ENCODING_UTF8;
    push(reader, utf8, len, len);
}

/* ---- Writing ---- */

static size_t put_code(char *out, uint32_t bytes) {
    size_t n = 0;
    for (int shift = 24; shift >= 0; shift -= 8)
        if (bytes >> shift)
            out[n++] = (char)(bytes >> shift & 0xff);
    return n;
}

/* Bytes of text used up; 0: the encoding has no such character. */
static size_t write_high(const struct sg_charset *charset, enum sg_encoding encoding, const char *p, char *out,
                         size_t *out_len) {
    size_t left = strlen(p);
    if (sg_charset_is_same(charset, encoding)) {
        out[(*out_len)++] = *p;
        return 1;
    }
    if ((unsigned char)*p == FOREIGN && left >= 2) {
        size_t len = (size_t)(p[1] - '0');
        len = len < left - 2 ? len : left - 2;
        memcpy(out + *out_len, p + 2, len);
        *out_len += len;
        return 2 + len;
    }
    size_t len = sg_encoding_char(SG_ENCODING_UTF8, p, left);
    const struct sg_codes *codes = &charset->codes[encoding];
    uint32_t index = len ? find_character(charset, p, len) : NO_CHARACTER;
    uint32_t bytes = index < codes->written_cap ? codes->written[index] : 0;
    *out_len += put_code(out + *out_len, bytes);
    return bytes ? len : 0;
}

const char *sg_charset_write(const struct sg_charset *charset, struct sg_arena *arena, enum sg_encoding encoding,
                             const char *text, bool lossy) {
    char *out = sg_arena_alloc(arena, 4 * strlen(text) + 1);
    size_t n = 0;
    for (const char *p = text; *p;) {
        if (!is_high(*p)) {
            out[n++] = *p++;
            continue;
        }
        size_t used = write_high(charset, encoding, p, out, &n);
        if (used == 0 && !lossy)
            return NULL;
        if (used == 0)
            out[n++] = '?';
        p += used ? used : 1;
        while (used == 0 && ((unsigned char)*p & 0xc0) == 0x80)
            p++;
    }
    out[n] = '\0';
    return out;
}
