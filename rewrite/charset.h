/*
 * charset — names between the client's encoding and the database's.
 *
 * Inside the rewriter a name is what it is in pg_class, in UTF-8. What the bytes of a client's name stand for is not
 * decided by a table of ours: PostgreSQL's conversions are its own, differ from everybody else's in a few characters,
 * and can be replaced. So the server is asked, for every character that occurs in a name of the catalog, how it is
 * written in each encoding (sg_catalog_add_code). A client's character that is none of those occurs in no name of the
 * catalog; all that matters then is whether it is the same as another one of the text. It is kept as its bytes, marked:
 *
 *      0xfe, length as a digit, the bytes        (never found in UTF-8)
 *
 * This holds only where a character has one code. Those that have several in an encoding, or one code for two
 * characters, are doubtful, and a statement that needs one in a name is refused.
 */
#ifndef SEGUE_REWRITE_CHARSET_H
#define SEGUE_REWRITE_CHARSET_H

#include "segue/arena.h"
#include "segue/encoding.h"

#include <stdint.h>

enum { SG_CODE_BYTES = 4 }; /* the longest character of any encoding */

struct sg_character {
    char utf8[SG_CODE_BYTES + 1];
    char lower[SG_CODE_BYTES + 1]; /* what the server makes of it in a name without quotes */
    uint8_t server_bytes;
};

/* One encoding's codes. */
struct sg_codes {
    struct sg_code {
        uint32_t bytes; /* the code, big-endian */
        uint32_t character;
    } * v; /* sorted by bytes */
    size_t n, cap;
    uint32_t *written; /* by character: its code, 0 for none */
    size_t written_cap;
};

struct sg_charset {
    enum sg_encoding server;
    bool is_known; /* the server was asked */
    bool folds;    /* some character beyond ASCII has a lower case in names */
    struct sg_character *characters;
    uint32_t *by_utf8; /* indexes of characters, sorted */
    size_t characters_len, characters_cap, by_utf8_cap;
    struct sg_codes codes[SG_ENCODINGS_LEN];
};

void sg_charset_free(struct sg_charset *charset);
void sg_charset_add_character(struct sg_charset *charset, const char *utf8, unsigned server_bytes, const char *lower);
void sg_charset_add_code(struct sg_charset *charset, enum sg_encoding encoding, const char *utf8, struct sg_span code);

/* The encoding in which a client's text must be read: SQL_ASCII says that it is the server's; a server of SQL_ASCII
 * takes bytes for characters. */
enum sg_encoding sg_charset_encoding(const struct sg_charset *charset, enum sg_encoding client);
/* Are a client's names the catalog's, byte for byte? */
bool sg_charset_is_same(const struct sg_charset *charset, enum sg_encoding encoding);

/* ---- One name ---- */

struct sg_name_reader {
    const struct sg_charset *charset;
    enum sg_encoding encoding;
    bool is_folded;   /* not quoted */
    bool is_doubtful; /* out: the server may read it as another name */
    char *name;       /* out: room for 6 bytes for each of the client's */
    size_t len, server_bytes;
    bool is_cut, has_foreign;
};

/* Adds what the client wrote; the server cuts names at 63 bytes of its own. */
void sg_name_read(struct sg_name_reader *reader, struct sg_span text);
/* Adds U+code, of an escape. */
void sg_name_read_code_point(struct sg_name_reader *reader, uint32_t code);

/* A name, or SQL with names, as the client would write it. NULL: the encoding has no such character. With lossy, a
 * question mark is put instead. */
const char *sg_charset_write(const struct sg_charset *charset, struct sg_arena *arena, enum sg_encoding encoding,
                             const char *text, bool lossy);

/* Has the text a character that has several codes, or is two? */
bool sg_charset_is_doubtful(const struct sg_charset *charset, enum sg_encoding encoding, struct sg_span text);
/* Characters that the server would read as ASCII ones, though they have several bytes: SHIFT_JIS_2004 has two. */
bool sg_charset_has_ascii_double(enum sg_encoding encoding, struct sg_span text);

#endif
