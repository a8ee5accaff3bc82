/*
 * encoding — the character encodings of PostgreSQL ("Character Set Support"), as far as a text must be read without
 * being converted: where characters end, how many the server counts, which bytes can be no text at all.
 */
#ifndef SEGUE_ENCODING_H
#define SEGUE_ENCODING_H

#include "segue/span.h"

#include <stdbool.h>
#include <stddef.h>

/* Name as the server reports it; how its characters are laid out. */
/* clang-format off */
#define SG_ENCODINGS(X)                                                                                               \
    X(UTF8, UTF8) X(SQL_ASCII, BYTES) X(LATIN1, BYTES) X(LATIN2, BYTES) X(LATIN3, BYTES) X(LATIN4, BYTES)             \
    X(LATIN5, BYTES) X(LATIN6, BYTES) X(LATIN7, BYTES) X(LATIN8, BYTES) X(LATIN9, BYTES) X(LATIN10, BYTES)            \
    X(ISO_8859_5, BYTES) X(ISO_8859_6, BYTES) X(ISO_8859_7, BYTES) X(ISO_8859_8, BYTES)                               \
    X(WIN866, BYTES) X(WIN874, BYTES) X(WIN1250, BYTES) X(WIN1251, BYTES) X(WIN1252, BYTES) X(WIN1253, BYTES)         \
    X(WIN1254, BYTES) X(WIN1255, BYTES) X(WIN1256, BYTES) X(WIN1257, BYTES) X(WIN1258, BYTES)                         \
    X(KOI8R, BYTES) X(KOI8U, BYTES)                                                                                   \
    X(EUC_JP, EUC) X(EUC_JIS_2004, EUC) X(EUC_CN, EUC_PAIR) X(EUC_KR, EUC_PAIR) X(EUC_TW, EUC_TW)                     \
    X(MULE_INTERNAL, MULE) X(JOHAB, JOHAB)                                                                            \
    X(SJIS, SJIS) X(SHIFT_JIS_2004, SJIS) X(BIG5, PAIR) X(GBK, PAIR) X(UHC, PAIR) X(GB18030, GB18030)
/* clang-format on */

enum sg_encoding {
#define X(name, layout) SG_ENCODING_##name,
    SG_ENCODINGS(X)
#undef X
        SG_ENCODING_OTHER, /* one that PostgreSQL may get some day */
    SG_ENCODINGS_LEN,
};

const char *sg_encoding_name(enum sg_encoding encoding);
/* Any spelling the server takes: "Latin1", "iso-8859-1", "UNICODE". SG_ENCODING_OTHER: not known. */
enum sg_encoding sg_encoding_from_name(struct sg_span name);

/* May a byte under 0x80 be part of a character of several bytes? Never a quote, a slash or a blank; but a backslash, a
 * letter, a digit (GB18030). */
bool sg_encoding_is_wide(enum sg_encoding encoding);

/* Bytes of the character that p begins; 0: none that the server would take. left > 0. */
size_t sg_encoding_char(enum sg_encoding encoding, const char *p, size_t left);
/* False: the server answers such a text with an error, whatever else is in it. */
bool sg_encoding_is_valid(enum sg_encoding encoding, struct sg_span text);

/* Characters as the server counts them, in the text's first `bytes` bytes; and back: where the n-th (0-based) begins.
 */
size_t sg_encoding_count(enum sg_encoding encoding, struct sg_span text, size_t bytes);
size_t sg_encoding_offset(enum sg_encoding encoding, struct sg_span text, size_t n);

#endif
