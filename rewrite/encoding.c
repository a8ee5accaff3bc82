#include "segue/encoding.h"

#include <stdint.h>

enum layout {
    LAYOUT_BYTES,
    LAYOUT_UTF8,
    LAYOUT_EUC,      /* 8e: two bytes, 8f: three */
    LAYOUT_EUC_PAIR, /* two bytes */
    LAYOUT_EUC_TW,   /* 8e: four bytes */
    LAYOUT_MULE,
    LAYOUT_JOHAB, /* as PostgreSQL reads it: 8f: three bytes */
    LAYOUT_SJIS,
    LAYOUT_PAIR,
    LAYOUT_GB18030,
};

static const struct {
    const char *name;
    enum layout layout;
} encodings[SG_ENCODINGS_LEN] = {
#define X(name, layout) [SG_ENCODING_##name] = {#name, LAYOUT_##layout},
    SG_ENCODINGS(X)
#undef X
        [SG_ENCODING_OTHER] = {"an encoding that segue does not know", LAYOUT_BYTES},
};

const char *sg_encoding_name(enum sg_encoding encoding) {
    return encodings[encoding].name;
}

/* ---- Names ---- */

/* PostgreSQL's aliases (pg_encname_tbl); names that differ from ours only in punctuation and case are not listed. */
static const struct {
    const char *name;
    enum sg_encoding encoding;
} aliases[] = {
    {"abc", SG_ENCODING_WIN1258},         {"alt", SG_ENCODING_WIN866},          {"iso88591", SG_ENCODING_LATIN1},
    {"iso885910", SG_ENCODING_LATIN6},    {"iso885913", SG_ENCODING_LATIN7},    {"iso885914", SG_ENCODING_LATIN8},
    {"iso885915", SG_ENCODING_LATIN9},    {"iso885916", SG_ENCODING_LATIN10},   {"iso88592", SG_ENCODING_LATIN2},
    {"iso88593", SG_ENCODING_LATIN3},     {"iso88594", SG_ENCODING_LATIN4},     {"iso88599", SG_ENCODING_LATIN5},
    {"koi8", SG_ENCODING_KOI8R},          {"mskanji", SG_ENCODING_SJIS},        {"shiftjis", SG_ENCODING_SJIS},
    {"tcvn", SG_ENCODING_WIN1258},        {"tcvn5712", SG_ENCODING_WIN1258},    {"unicode", SG_ENCODING_UTF8},
    {"vscii", SG_ENCODING_WIN1258},       {"win", SG_ENCODING_WIN1251},         {"win932", SG_ENCODING_SJIS},
    {"win936", SG_ENCODING_GBK},          {"win949", SG_ENCODING_UHC},          {"win950", SG_ENCODING_BIG5},
    {"windows1250", SG_ENCODING_WIN1250}, {"windows1251", SG_ENCODING_WIN1251}, {"windows1252", SG_ENCODING_WIN1252},
    {"windows1253", SG_ENCODING_WIN1253}, {"windows1254", SG_ENCODING_WIN1254}, {"windows1255", SG_ENCODING_WIN1255},
    {"windows1256", SG_ENCODING_WIN1256}, {"windows1257", SG_ENCODING_WIN1257}, {"windows1258", SG_ENCODING_WIN1258},
    {"windows866", SG_ENCODING_WIN866},   {"windows874", SG_ENCODING_WIN874},   {"windows932", SG_ENCODING_SJIS},
    {"windows936", SG_ENCODING_GBK},      {"windows949", SG_ENCODING_UHC},      {"windows950", SG_ENCODING_BIG5},
};

/* The next letter or digit, in lower case; 0 at the end. */
static char next_letter(struct sg_span *name) {
    while (name->len > 0) {
        char c = *name->ptr++;
        name->len--;
        if (c >= 'A' && c <= 'Z')
            return (char)(c + ('a' - 'A'));
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
            return c;
    }
    return 0;
}

static bool is_same_name(struct sg_span a, struct sg_span b) {
    for (;;) {
        char x = next_letter(&a), y = next_letter(&b);
        if (x != y)
            return false;
        if (!x)
            return true;
    }
}

enum sg_encoding sg_encoding_from_name(struct sg_span name) {
    for (unsigned i = 0; i < SG_ENCODING_OTHER; i++)
        if (is_same_name(name, sg_span_of(encodings[i].name)))
            return (enum sg_encoding)i;
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (is_same_name(name, sg_span_of(aliases[i].name)))
            return aliases[i].encoding;
    return SG_ENCODING_OTHER;
}

bool sg_encoding_is_wide(enum sg_encoding encoding) {
    enum layout layout = encodings[encoding].layout;
    return layout == LAYOUT_SJIS || layout == LAYOUT_PAIR || layout == LAYOUT_GB18030;
}

/* ---- Characters (src/common/wchar.c; where that takes what no conversion knows, so may this) ---- */

static bool in(uint8_t c, uint8_t from, uint8_t to) {
    return c >= from && c <= to;
}

/* len, if so many bytes are there and all but the first are in [from, 0xfe]. */
static size_t with_tail(const uint8_t *p, size_t left, size_t len, uint8_t from) {
    if (left < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if (!in(p[i], from, 0xfe))
            return 0;
    return len;
}

static size_t utf8_char(const uint8_t *p, size_t left) {
    size_t len = in(*p, 0xc2, 0xdf) ? 2 : in(*p, 0xe0, 0xef) ? 3 : in(*p, 0xf0, 0xf4) ? 4 : 0;
    if (len == 0 || left < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if (!in(p[i], 0x80, 0xbf))
            return 0;
    bool bad = (*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) || (*p == 0xf0 && p[1] < 0x90) ||
               (*p == 0xf4 && p[1] > 0x8f);
    return bad ? 0 : len;
}

static size_t mule_char(const uint8_t *p, size_t left) {
    size_t len = in(*p, 0x81, 0x8d) ? 2 : in(*p, 0x90, 0x9b) ? 3 : in(*p, 0x9c, 0x9d) ? 4 : 1;
    if (left < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if (p[i] < 0x80)
            return 0;
    return len;
}

static size_t gb18030_char(const uint8_t *p, size_t left) {
    if (left < 2 || !in(*p, 0x81, 0xfe))
        return 0;
    if (!in(p[1], '0', '9'))
        return in(p[1], 0x40, 0xfe) && p[1] != 0x7f ? 2 : 0;
    return left >= 4 && in(p[2], 0x81, 0xfe) && in(p[3], '0', '9') ? 4 : 0;
}

static size_t sjis_char(const uint8_t *p, size_t left) {
    if (in(*p, 0xa1, 0xdf))
        return 1;
    bool is_head = in(*p, 0x81, 0x9f) || in(*p, 0xe0, 0xfc);
    return is_head && left >= 2 && in(p[1], 0x40, 0xfc) && p[1] != 0x7f ? 2 : 0;
}

size_t sg_encoding_char(enum sg_encoding encoding, const char *text, size_t left) {
    const uint8_t *p = (const uint8_t *)text;
    if (*p < 0x80)
        return *p ? 1 : 0;
    switch (encodings[encoding].layout) {
    case LAYOUT_BYTES:
        return 1;
    case LAYOUT_UTF8:
        return utf8_char(p, left);
    case LAYOUT_EUC:
        return with_tail(p, left, *p == 0x8f ? 3 : 2, 0xa1);
    case LAYOUT_EUC_PAIR:
        return with_tail(p, left, 2, 0xa1);
    case LAYOUT_EUC_TW:
        return *p == 0x8f ? 0 : with_tail(p, left, *p == 0x8e ? 4 : 2, 0xa1);
    case LAYOUT_JOHAB:
        return with_tail(p, left, *p == 0x8f ? 3 : 2, 0xa1);
    case LAYOUT_MULE:
        return mule_char(p, left);
    case LAYOUT_SJIS:
        return sjis_char(p, left);
    case LAYOUT_PAIR:
        return with_tail(p, left, 2, 0x40);
    case LAYOUT_GB18030:
        return gb18030_char(p, left);
    }
    return 0;
}

bool sg_encoding_is_valid(enum sg_encoding encoding, struct sg_span text) {
    for (size_t i = 0; i < text.len;) {
        if ((signed char)text.ptr[i] > 0) {
            i++;
            continue;
        }
        size_t len = sg_encoding_char(encoding, text.ptr + i, text.len - i);
        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

/* ---- Counting ---- */

/* The 25 characters of JIS X 0213 that Unicode spells as a letter and a mark: two, to a server that uses UTF-8. */
static bool is_combined(enum sg_encoding encoding, const uint8_t *p) {
    bool is_sjis = encoding == SG_ENCODING_SHIFT_JIS_2004;
    if (!is_sjis && encoding != SG_ENCODING_EUC_JIS_2004)
        return false;
    unsigned code = p[0] * 256u + p[1];
    if (is_sjis)
        return (code >= 0x82f5 && code <= 0x82f9) || (code >= 0x8397 && code <= 0x839e) || code == 0x83f6 ||
               code == 0x8663 || (code >= 0x8667 && code <= 0x866e) || code == 0x8685 || code == 0x8686;
    return (code >= 0xa4f7 && code <= 0xa4fb) || (code >= 0xa5f7 && code <= 0xa5fe) || code == 0xa6f8 ||
           code == 0xabc4 || (code >= 0xabc8 && code <= 0xabcf) || code == 0xabe5 || code == 0xabe6;
}

/* Steps over one character and says how many the server counts. Bytes that are none count as one each. */
static size_t step(enum sg_encoding encoding, struct sg_span text, size_t *at) {
    const char *p = text.ptr + *at;
    size_t len = (signed char)*p > 0 ? 1 : sg_encoding_char(encoding, p, text.len - *at);
    *at += len ? len : 1;
    return len == 2 && is_combined(encoding, (const uint8_t *)p) ? 2 : 1;
}

size_t sg_encoding_count(enum sg_encoding encoding, struct sg_span text, size_t bytes) {
    size_t n = 0;
    for (size_t at = 0; at < bytes && at < text.len;)
        n += step(encoding, text, &at);
    return n;
}

size_t sg_encoding_offset(enum sg_encoding encoding, struct sg_span text, size_t n) {
    size_t at = 0;
    while (n > 0 && at < text.len) {
        size_t counted = step(encoding, text, &at);
        n -= counted < n ? counted : n;
    }
    return at;
}
