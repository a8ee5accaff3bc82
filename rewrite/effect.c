/*
 * What running a text may do to what the session's server has said about names: judged by its words, in a moment,
 * because every text of a session is looked at. What is not known to be harmless is not.
 */
#include "prefilter.h"
#include "segue/rewrite.h"

#include <strings.h>

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Behind the comment that begins at p; NULL: it does not end here, or others are inside. */
static const char *skip_comment(const char *p, const char *end) {
    if (p[0] == '-') {
        const char *line = memchr(p, '\n', (size_t)(end - p));
        return line ? line + 1 : NULL;
    }
    const char *slash = p + 2;
    while (slash < end && (slash = memchr(slash, '/', (size_t)(end - slash)))) {
        if (slash[-1] == '*' && slash - p > 2)
            return slash + 1;
        if (slash + 1 < end && slash[1] == '*')
            return NULL;
        slash++;
    }
    return NULL;
}

/* Behind spaces, opening parentheses and comments. At a comment that is not simple it stays. */
static const char *skip_to_word(const char *p, const char *end) {
    while (p < end) {
        bool is_comment = end - p >= 2 && ((p[0] == '-' && p[1] == '-') || (p[0] == '/' && p[1] == '*'));
        if (!is_comment && !is_space(*p) && *p != '(')
            return p;
        const char *next = is_comment ? skip_comment(p, end) : p + 1;
        if (!next)
            return p;
        p = next;
    }
    return end;
}

enum kind { NONE, ENDS, MAY_MAKE, SETS };

struct word {
    struct sg_span text;
    enum kind kind;
};

#define WORD(text, kind) \
    { {text, sizeof(text) - 1}, kind }

static bool is_word(struct sg_span span, struct sg_span word) {
    return span.len == word.len && (span.ptr[0] | 0x20) == word.ptr[0] &&
           strncasecmp(span.ptr, word.ptr, word.len) == 0;
}

static const struct word *find_word(struct sg_span span) {
    static const struct word words[] = {
        WORD("select", MAY_MAKE), WORD("insert", NONE),   WORD("update", NONE),   WORD("delete", NONE),
        WORD("begin", NONE),      WORD("commit", ENDS),   WORD("rollback", ENDS), WORD("with", MAY_MAKE),
        WORD("set", SETS),        WORD("reset", SETS),    WORD("values", NONE),   WORD("table", NONE),
        WORD("merge", NONE),      WORD("copy", NONE),     WORD("start", NONE),    WORD("end", ENDS),
        WORD("abort", ENDS),      WORD("release", NONE),  WORD("show", NONE),     WORD("savepoint", NONE),
        WORD("declare", NONE),    WORD("fetch", ENDS),    WORD("move", ENDS),     WORD("close", ENDS),
        WORD("prepare", ENDS),    WORD("lock", NONE),     WORD("listen", NONE),   WORD("notify", NONE),
        WORD("unlisten", NONE),   WORD("truncate", NONE), WORD("analyze", NONE),  WORD("vacuum", NONE),
        WORD("deallocate", NONE),
    };
    for (size_t i = 0; span.len > 0 && i < sizeof words / sizeof *words; i++)
        if (is_word(span, words[i].text))
            return &words[i];
    return NULL;
}

/* ---- SET and RESET ---- */

static struct sg_span next_name(const char **p, const char *end) {
    while (*p < end && is_space(**p))
        (*p)++;
    const char *start = *p;
    while (*p < end && (is_letter(**p) || **p == '_' || **p == '.' || (**p >= '0' && **p <= '9')))
        (*p)++;
    return (struct sg_span){start, (size_t)(*p - start)};
}

/* Settings on which the meaning of a name depends, or of a text's bytes. Those that many drivers send are not. */
static bool changes_meaning(const char *p, const char *end) {
    static const struct sg_span names[] = {
        {"all", 3},
        {"search_path", 11},
        {"role", 4},
        {"session_authorization", 21},
        {"authorization", 13},
        {"schema", 6},
        {"client_encoding", 15},
        {"names", 5},
        {"standard_conforming_strings", 27},
    };
    struct sg_span name = next_name(&p, end);
    if (is_word(name, SG_SPAN_LIT("local")) || is_word(name, SG_SPAN_LIT("session")))
        name = next_name(&p, end);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (is_word(name, names[i]))
            return true;
    return name.len == 0; /* quoted, or behind a comment */
}

/* The last INTO that belongs to no INSERT or MERGE; NULL: there is none. */
static const char *last_own_into(struct sg_span sql) {
    const char *last = NULL, *p = sql.ptr, *end = sql.ptr + sql.len, *into;
    for (; (into = sg_find_word((struct sg_span){p, (size_t)(end - p)}, SG_SPAN_LIT("into"))); p = into + 4) {
        const char *before = into;
        while (before > p && is_space(before[-1]))
            before--;
        bool is_insert = before - p >= 6 && strncasecmp(before - 6, "insert", 6) == 0;
        bool is_merge = before - p >= 5 && strncasecmp(before - 5, "merge", 5) == 0;
        last = is_insert || is_merge ? last : into;
    }
    return last;
}

/* A text, and its last INTO once somebody wants to know. */
struct text {
    struct sg_span sql;
    const char *into;
    bool is_into_known;
};

/* An INTO anywhere behind p may be the query's own. */
static bool may_make(struct text *text, const char *p) {
    if (!text->is_into_known) {
        text->into = last_own_into(text->sql);
        text->is_into_known = true;
    }
    return text->into && text->into >= p;
}

/* Of what begins at p and ends at the semicolon at the earliest. */
static enum sg_effect effect_of_one(const char *p, const char *semicolon, struct text *text) {
    p = skip_to_word(p, semicolon);
    if (p == semicolon)
        return SG_EFFECT_NONE;
    const char *stop = p;
    while (stop < semicolon && is_letter(*stop))
        stop++;
    const struct word *word = find_word((struct sg_span){p, (size_t)(stop - p)});
    if (!word || (word->kind == MAY_MAKE && may_make(text, stop)) ||
        (word->kind == SETS && changes_meaning(stop, semicolon)))
        return SG_EFFECT_CHANGES;
    return word->kind == ENDS ? SG_EFFECT_ENDS : SG_EFFECT_NONE;
}

/* Two parts of a name, with an underscore at p between them. */
static bool joins(struct sg_span sql, const char *p, struct sg_span before, struct sg_span after) {
    return (size_t)(p - sql.ptr) >= before.len && (size_t)(sql.ptr + sql.len - p) > after.len &&
           strncasecmp(p - before.len, before.ptr, before.len) == 0 && strncasecmp(p + 1, after.ptr, after.len) == 0;
}

/* A function, a view and a spelling by which a query can change settings. */
static bool may_set(struct sg_span sql) {
    const char *end = sql.ptr + sql.len, *p = sql.ptr;
    for (; (p = memchr(p, '_', (size_t)(end - p))); p++)
        if (joins(sql, p, SG_SPAN_LIT("set"), SG_SPAN_LIT("config")) ||
            joins(sql, p, SG_SPAN_LIT("pg"), SG_SPAN_LIT("settings")))
            return true;
    return memchr(sql.ptr, '&', sql.len) && sg_has_escaped_name(sql);
}

enum sg_effect sg_text_effect(struct sg_span sql) {
    enum sg_effect worst = SG_EFFECT_NONE;
    struct text text = {.sql = sql};
    if (sql.len == 0)
        return SG_EFFECT_NONE;
    const char *p = sql.ptr, *end = sql.ptr + sql.len;
    while (p < end && worst != SG_EFFECT_CHANGES) {
        /* Some of these stand in strings and comments. No statement begins where none stands. */
        const char *semicolon = memchr(p, ';', (size_t)(end - p));
        semicolon = semicolon ? semicolon : end;
        enum sg_effect effect = effect_of_one(p, semicolon, &text);
        worst = effect > worst ? effect : worst;
        p = semicolon < end ? semicolon + 1 : end;
    }
    return worst != SG_EFFECT_CHANGES && may_set(sql) ? SG_EFFECT_CHANGES : worst;
}
