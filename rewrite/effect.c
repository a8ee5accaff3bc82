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

struct word {
    const char *text;
    enum sg_effect effect;
    bool may_make; /* SELECT ... INTO */
};

static const struct word *find_word(struct sg_span word) {
    static const struct word words[] = {
        {"select", SG_EFFECT_NONE, true},      {"insert", SG_EFFECT_NONE, false},   {"update", SG_EFFECT_NONE, false},
        {"delete", SG_EFFECT_NONE, false},     {"with", SG_EFFECT_NONE, true},      {"begin", SG_EFFECT_NONE, false},
        {"commit", SG_EFFECT_ENDS, false},     {"rollback", SG_EFFECT_ENDS, false}, {"merge", SG_EFFECT_NONE, false},
        {"values", SG_EFFECT_NONE, false},     {"table", SG_EFFECT_NONE, false},    {"copy", SG_EFFECT_NONE, false},
        {"start", SG_EFFECT_NONE, false},      {"end", SG_EFFECT_ENDS, false},      {"abort", SG_EFFECT_ENDS, false},
        {"savepoint", SG_EFFECT_NONE, false},  {"release", SG_EFFECT_NONE, false},  {"show", SG_EFFECT_NONE, false},
        {"declare", SG_EFFECT_NONE, false},    {"fetch", SG_EFFECT_ENDS, false},    {"move", SG_EFFECT_ENDS, false},
        {"close", SG_EFFECT_ENDS, false},      {"prepare", SG_EFFECT_ENDS, false},  {"lock", SG_EFFECT_NONE, false},
        {"listen", SG_EFFECT_NONE, false},     {"notify", SG_EFFECT_NONE, false},   {"unlisten", SG_EFFECT_NONE, false},
        {"truncate", SG_EFFECT_NONE, false},   {"analyze", SG_EFFECT_NONE, false},  {"vacuum", SG_EFFECT_NONE, false},
        {"deallocate", SG_EFFECT_NONE, false},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i].text) == word.len && strncasecmp(words[i].text, word.ptr, word.len) == 0)
            return &words[i];
    return NULL;
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

/* Of what begins at p and ends at the semicolon at the earliest: an INTO anywhere behind it may be its own. */
static enum sg_effect effect_of_one(const char *p, const char *semicolon, const char *into) {
    p = skip_to_word(p, semicolon);
    if (p == semicolon)
        return SG_EFFECT_NONE;
    const char *stop = p;
    while (stop < semicolon && is_letter(*stop))
        stop++;
    const struct word *word = find_word((struct sg_span){p, (size_t)(stop - p)});
    if (!word || (word->may_make && into && into >= stop))
        return SG_EFFECT_CHANGES;
    return word->effect;
}

/* A function, a view and a spelling by which a query can change settings. */
static bool may_set(struct sg_span sql) {
    return sg_find_word(sql, SG_SPAN_LIT("set_config")) || sg_find_word(sql, SG_SPAN_LIT("pg_settings")) ||
           sg_has_escaped_name(sql);
}

enum sg_effect sg_text_effect(struct sg_span sql) {
    enum sg_effect worst = SG_EFFECT_NONE;
    const char *p = sql.ptr, *end = sql.ptr + sql.len, *into = last_own_into(sql);
    while (p < end && worst != SG_EFFECT_CHANGES) {
        /* Some of these stand in strings and comments. No statement begins where none stands. */
        const char *semicolon = memchr(p, ';', (size_t)(end - p));
        semicolon = semicolon ? semicolon : end;
        enum sg_effect effect = effect_of_one(p, semicolon, into);
        worst = effect > worst ? effect : worst;
        p = semicolon < end ? semicolon + 1 : end;
    }
    return worst != SG_EFFECT_CHANGES && may_set(sql) ? SG_EFFECT_CHANGES : worst;
}
