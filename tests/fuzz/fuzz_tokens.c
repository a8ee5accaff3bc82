/*
 * Our tokens are PostgreSQL's: where its scanner sees a token begin and end, ours does. An edit that goes to a place
 * between two tokens must go there in the server's eyes, too.
 *
 * What the scanner of libpg_query refuses is not compared. Each input is tried with some changes as well, so that the
 * seeds alone, replayed as a test, are a few thousand texts.
 */
#include "check.h"
#include "rewrite/token.h"

#include <pg_query.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX_BYTES = 1 << 14, CHANGES = 2000 };
/* Of the scanner (pg_query.proto). */
enum { UIDENT = 259, USCONST = 262, SQL_COMMENT = 275, C_COMMENT = 276 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- The scanner's answer: a protobuf message with a repeated field 2, of which fields 1 and 2 are start and end ----
 */

struct theirs {
    uint32_t start, end, token;
};

static uint64_t read_varint(const uint8_t **p) {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
        uint8_t byte = *(*p)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return value;
        }
    }
}

static struct theirs read_token(const uint8_t *p, const uint8_t *end) {
    struct theirs token = {0};
    while (p < end) {
        uint64_t tag = read_varint(&p), value = read_varint(&p);
        uint32_t *field = tag >> 3 == 1   ? &token.start
                          : tag >> 3 == 2 ? &token.end
                          : tag >> 3 == 4 ? &token.token
                                          : NULL;
        if (field) {
            *field = (uint32_t)value;
        }
    }
    return token;
}

static size_t read_tokens(const PgQueryProtobuf *message, struct theirs *ret) {
    const uint8_t *p = (const uint8_t *)message->data, *end = p + message->len;
    size_t n = 0;
    while (p < end) {
        uint64_t tag = read_varint(&p), value = read_varint(&p);
        if (tag == (2u << 3 | 2u)) {
            ret[n++] = read_token(p, p + value);
            p += value;
        }
    }
    return n;
}

/* ---- Comparing ---- */

static void differ(const char *what, struct sg_span text, uint32_t at) {
    fprintf(stderr, "%s at byte %u of: %.*s\n", what, at, (int)text.len, text.ptr);
    CHECK(!"the same tokens");
}

static bool is_comment(const struct theirs *token) {
    return token->token == SQL_COMMENT || token->token == C_COMMENT;
}

/* Theirs may be several to one of ours: N'', a string or name with its UESCAPE, a string that goes on behind a comment.
 * A vertical tab is a blank to newer servers. */
static void compare(struct sg_span text, const struct sg_tokens *ours, const struct theirs *theirs, size_t n) {
    size_t k = 0;
    for (size_t i = 0; i < ours->n; i++) {
        const struct sg_token *token = &ours->v[i];
        bool may_be_several = token->kind == SG_TOKEN_STRING || token->kind == SG_TOKEN_QUOTED;
        size_t end = sg_token_end(ours, i);
        while (k < n && (is_comment(&theirs[k]) || text.ptr[theirs[k].start] == '\v')) {
            k++;
        }
        if (k == n || theirs[k].start != token->at) {
            differ("one more of ours", text, token->at);
        }
        while (may_be_several && k + 1 < n && theirs[k + 1].start < end && theirs[k + 1].end <= end) {
            k++;
        }
        bool is_unicode = theirs[k].token == UIDENT || theirs[k].token == USCONST; /* of which it gives no end */
        if (theirs[k].end != end && !is_unicode) {
            differ("another end", text, token->at);
        }
        k++;
    }
    while (k < n && (is_comment(&theirs[k]) || text.ptr[theirs[k].start] == '\v')) {
        k++;
    }
    if (k < n) {
        differ("one more of theirs", text, theirs[k].start);
    }
}

static void check_text(struct sg_arena *arena, const char *sql) {
    struct sg_span text = sg_span_of(sql);
    struct sg_tokens ours;
    PgQueryScanResult scanned = pg_query_scan(sql);
    if (!scanned.error) {
        struct theirs *theirs = sg_arena_array(arena, struct theirs, text.len + 1);
        size_t n = read_tokens(&scanned.pbuf, theirs);
        sg_tokenize(arena, text, (struct sg_lexis){0}, &ours);
        compare(text, &ours, theirs, n);
    }
    pg_query_free_scan_result(scanned);
    sg_arena_reset(arena);
}

/* ---- Changing ---- */

static uint32_t next(uint32_t *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void change(char *sql, size_t len, uint32_t *seed) {
    static const char *const pieces[] = {"'",  "\"",      "$",    "$$", "$a$", "--", "/*", "*/",       "\\", "\n",
                                         "e'", "U&'",     "u&\"", "n'", "x'",  "b'", ".",  "..",       "1",  "e+",
                                         "=",  "-",       "+",    "@",  "::",  ":=", "a",  "\xc3\xa9", " ",  "(",
                                         ";",  "uescape", "\r",   "\t", "1e5", ".5", "$1"};
    for (uint32_t changes = 1 + next(seed) % 3; changes > 0 && len > 0; changes--) {
        const char *piece = pieces[next(seed) % (sizeof(pieces) / sizeof(pieces[0]))];
        size_t at = next(seed) % len, bytes = strlen(piece);
        memcpy(sql + at, piece, bytes < len - at ? bytes : len - at);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t len = strnlen((const char *)data, size);
    if (len > TEXT_MAX_BYTES) {
        return 0;
    }
    struct sg_arena arena;
    char *sql = malloc(len + 1);
    CHECK(sql);
    sg_arena_init(&arena, 0);
    uint32_t seed = (uint32_t)len;
    for (int i = 0; i <= CHANGES; i++) {
        memcpy(sql, data, len);
        sql[len] = '\0';
        if (i > 0) {
            change(sql, len, &seed);
        }
        if (sg_encoding_is_valid(SG_ENCODING_UTF8, (struct sg_span){sql, len})) {
            check_text(&arena, sql);
        }
    }
    sg_arena_free(&arena);
    free(sql);
    return 0;
}
