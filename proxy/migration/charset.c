#include "proxy/migration/charset.h"

#include "proxy/migration/db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CODE_POINTS 0x110000u

struct sg_characters {
    uint8_t seen[CODE_POINTS / 8];
    size_t n;
};

struct sg_characters *sg_characters_new(void) {
    struct sg_characters *characters = calloc(1, sizeof(*characters));
    if (!characters) {
        abort();
    }
    return characters;
}

void sg_characters_free(struct sg_characters *characters) {
    free(characters);
}

static void add(struct sg_characters *characters, uint32_t code) {
    uint8_t bit = (uint8_t)(1u << code % 8);
    if (code >= 0x80 && code < CODE_POINTS && !(characters->seen[code / 8] & bit)) {
        characters->seen[code / 8] |= bit;
        characters->n++;
    }
}

/* Bytes that are no UTF-8, which a database of SQL_ASCII may hold, are nobody's character. */
static void add_text(struct sg_characters *characters, const char *text) {
    while (*text) {
        size_t len = sg_encoding_char(SG_ENCODING_UTF8, text, strlen(text));
        uint32_t code = len > 1 ? (uint8_t)*text & (0x7fu >> len) : 0;
        for (size_t i = 1; i < len; i++) {
            code = code << 6 | ((uint8_t)text[i] & 0x3fu);
        }
        add(characters, code);
        text += len ? len : 1;
    }
}

void sg_characters_add(struct sg_characters *characters, const PGresult *rows) {
    for (int i = 0; i < PQntuples(rows); i++) {
        for (int k = 0; k < PQnfields(rows); k++) {
            const char *text = PQgetvalue(rows, i, k);
            for (const char *p = text; *p; p++) {
                if ((uint8_t)*p >= 0x80) {
                    add_text(characters, text);
                    break;
                }
            }
        }
    }
}

/* All of them in one string, in order. */
static char *text_of(const struct sg_characters *characters) {
    char *text = malloc(4 * characters->n + 1), *at = text;
    if (!text) {
        abort();
    }
    for (uint32_t code = 0x80; code < CODE_POINTS; code++) {
        if (!(characters->seen[code / 8] >> code % 8 & 1)) {
            continue;
        }
        int len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        for (int i = len - 1; i > 0; i--) {
            at[i] = (char)(0x80 | (code >> 6 * (len - 1 - i) & 0x3f));
        }
        at[0] = (char)((0xf00 >> len & 0xff) | code >> 6 * (len - 1));
        at += len;
    }
    *at = '\0';
    return text;
}

/*
 * A conversion that does not exist is an error, so it takes a block that catches it; a DO leaves nothing behind in the
 * database and needs no right, but cannot answer: hence the two settings, which end with the transaction. A line each:
 *
 *      c CHARACTER BYTES-IN-THE-SERVER'S-ENCODING LOWER    parse_ident folds as the lexer does
 *      e ENCODING CHARACTER CODE-IN-HEX                    only if it comes back as the same character
 *
 * Where characters are bytes, all of them can be folded: they are all asked about.
 */
static const char ask_sql[] =
    "DO $$ DECLARE"
    "  server name := getdatabaseencoding(); is_single boolean := pg_encoding_max_length(pg_char_to_encoding(server)) "
    "= 1;"
    "  encodings name[] := ARRAY(SELECT pg_encoding_to_char(contoencoding) FROM pg_conversion WHERE condefault"
    "    AND conforencoding = pg_char_to_encoding(server) UNION SELECT server);"
    "  c text; e name; code bytea; line text; answer text := '';"
    " BEGIN"
    "  FOR c IN SELECT regexp_split_to_table(current_setting('segue.characters'), '') WHERE NOT is_single"
    "    UNION ALL SELECT chr(i) FROM generate_series(128, 255) i WHERE is_single LOOP"
    "    CONTINUE WHEN c = '';"
    "    BEGIN"
    "      IF server <> 'SQL_ASCII' THEN PERFORM convert_to(c, 'UTF8'); END IF;"
    "      line := format(E'c %s %s %s\\n', c, octet_length(c), (parse_ident(c))[1]);"
    "    EXCEPTION WHEN data_exception THEN CONTINUE; END;"
    "    FOREACH e IN ARRAY encodings LOOP"
    "      BEGIN"
    "        code := convert_to(c, e);"
    "        IF server <> 'SQL_ASCII' AND convert_from(code, e) = c THEN"
    "          line := line || format(E'e %s %s %s\\n', e, c, encode(code, 'hex'));"
    "        END IF;"
    "      EXCEPTION WHEN data_exception OR undefined_function THEN NULL; END;"
    "    END LOOP;"
    "    answer := answer || line;"
    "  END LOOP;"
    "  PERFORM set_config('segue.charset', answer, true);"
    " END $$";

static void read_code(struct sg_catalog *catalog, const char *encoding, const char *character, const char *hex) {
    char code[4];
    size_t len = 0;
    for (; len < sizeof(code) && hex[2 * len] && hex[2 * len + 1]; len++) {
        unsigned byte = 0;
        if (sscanf(hex + 2 * len, "%2x", &byte) != 1) { /* NOLINT(cert-err34-c): two digits cannot overflow */
            return;
        }
        code[len] = (char)byte;
    }
    sg_catalog_add_code(catalog, sg_encoding_from_name(sg_span_of(encoding)), character, (struct sg_span){code, len});
}

/* Cuts the answer up in place. */
static void read_answer(struct sg_catalog *catalog, char *answer) {
    char *lines, *words;
    for (char *line = strtok_r(answer, "\n", &lines); line; line = strtok_r(NULL, "\n", &lines)) {
        const char *kind = strtok_r(line, " ", &words), *first = strtok_r(NULL, " ", &words);
        const char *second = strtok_r(NULL, " ", &words), *third = strtok_r(NULL, " ", &words);
        if (!third) {
            continue;
        }
        if (*kind == 'c') {
            sg_catalog_add_character(catalog, first, (unsigned)strtoul(second, NULL, 10), third);
        } else {
            read_code(catalog, first, second, third);
        }
    }
}

bool sg_charset_load(PGconn *conn, struct sg_catalog *catalog, const struct sg_characters *characters,
                     struct sg_error *reterr) {
    char *text = text_of(characters);
    const char *params[] = {text};
    bool is_set = sg_db_run(conn, "SELECT set_config('segue.characters', $1, true)", 1, params, reterr);
    free(text);
    if (!is_set || !sg_db_exec(conn, ask_sql, reterr)) {
        return false;
    }
    PGresult *row =
        sg_db_query(conn, "SELECT current_setting('segue.charset'), getdatabaseencoding()", 0, NULL, reterr);
    if (!row) {
        return false;
    }
    sg_catalog_set_encoding(catalog, sg_encoding_from_name(sg_span_of(PQgetvalue(row, 0, 1))));
    read_answer(catalog, PQgetvalue(row, 0, 0));
    PQclear(row);
    return true;
}
