#include "literals.h"

#include "segue/copy.h"

#include <stdlib.h>
#include <string.h>

static unsigned roll(uint64_t *seed, unsigned sides) {
    *seed = *seed * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(*seed >> 33) % sides;
}

static const char *const numbers[] = {
    "0",   "1",    "2",   "7",      "42", "007", "1000", "2147483647", "2147483648", "18446744073709551616",
    "1.5", "0.25", "1e5", "2.5E-3", "1e", "0x1F"};
static const char *const strings[] = {"",
                                      "x",
                                      "it''s",
                                      "''",
                                      "users",
                                      "nickname",
                                      "-- no",
                                      "/*",
                                      "*/",
                                      "$$",
                                      "$1",
                                      "\\",
                                      "a\\''b",
                                      "%",
                                      "\"",
                                      "caf\303\251",
                                      "1",
                                      "csv",
                                      "2020-02-30",
                                      "{1,2}",
                                      "E",
                                      ";",
                                      "a rather long value, longer than what stood here before it came"};

#define ONE_OF(list, seed) (list)[roll(seed, sizeof(list) / sizeof *(list))]

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_word(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || (c & 0x80);
}

struct out {
    char *text;
    size_t len, cap;
};

static void put(struct out *out, const char *bytes, size_t n) {
    if (out->len + n + 1 > out->cap) {
        out->cap = (out->len + n + 1) * 2;
        out->text = realloc(out->text, out->cap);
        if (!out->text)
            abort();
    }
    memcpy(out->text + out->len, bytes, n);
    out->len += n;
    out->text[out->len] = '\0';
}

/* The byte after the quote that ends the string which begins at i. */
static size_t string_end(struct sg_span sql, size_t i) {
    for (i++; i < sql.len; i++) {
        if (sql.ptr[i] != '\'')
            continue;
        if (i + 1 == sql.len || sql.ptr[i + 1] != '\'')
            return i + 1;
        i++;
    }
    return sql.len;
}

char *other_literals(struct sg_span sql, uint64_t *seed) {
    struct out out = {NULL, 0, 0};
    put(&out, "", 0);
    for (size_t i = 0; i < sql.len;) {
        size_t end = i + 1;
        const char *now = NULL;
        if (sql.ptr[i] == '\'') {
            end = string_end(sql, i);
            now = roll(seed, 4) ? ONE_OF(strings, seed) : NULL;
        } else if (is_digit(sql.ptr[i]) && (i == 0 || !is_word(sql.ptr[i - 1]))) {
            while (end < sql.len && is_digit(sql.ptr[end]))
                end++;
            now = roll(seed, 4) ? ONE_OF(numbers, seed) : NULL;
        }
        if (now && sql.ptr[i] == '\'') {
            put(&out, "'", 1);
            put(&out, now, strlen(now));
            put(&out, "'", 1);
        } else if (now) {
            put(&out, now, strlen(now));
        } else {
            put(&out, sql.ptr + i, end - i);
        }
        i = end;
    }
    return out.text;
}

static bool same_error(const struct sg_error *a, const struct sg_error *b) {
    return strcmp(a->sqlstate, b->sqlstate) == 0 && a->position == b->position && strcmp(a->message, b->message) == 0 &&
           strcmp(a->detail, b->detail) == 0 && strcmp(a->hint, b->hint) == 0;
}

static bool same_copy(const struct sg_copy *a, const struct sg_copy *b) {
    if (!a || !b)
        return a == b;
    bool same = a->format == b->format && a->header == b->header && a->encoding == b->encoding &&
                a->delimiter == b->delimiter && a->quote == b->quote && a->escape == b->escape &&
                a->columns == b->columns && a->repeats == b->repeats && a->drops == b->drops &&
                a->marks_len == b->marks_len;
    for (size_t i = 0; same && i < a->marks_len; i++)
        same = a->marks[i].column == b->marks[i].column && a->marks[i].change == b->marks[i].change &&
               sg_span_eq(a->marks[i].here, b->marks[i].here) && sg_span_eq(a->marks[i].repeated, b->marks[i].repeated);
    return same;
}

static bool same_edits(const struct sg_plan *a, const struct sg_plan *b) {
    bool same = a->edits_len == b->edits_len;
    for (size_t i = 0; same && i < a->edits_len; i++)
        same = a->edits[i].at == b->edits[i].at && a->edits[i].removed == b->edits[i].removed &&
               a->edits[i].inserted == b->edits[i].inserted;
    return same;
}

static bool same_asks(const struct sg_plan *a, const struct sg_plan *b) {
    bool same = a->asks_len == b->asks_len;
    for (size_t i = 0; same && i < a->asks_len; i++)
        same = sg_span_eq(a->asks[i], b->asks[i]);
    return same;
}

const char *plans_differ(const struct sg_plan *a, const struct sg_plan *b) {
    if (!a || !b)
        return a == b ? NULL : "one is left to the pre-filter";
    if (a->action != b->action)
        return "the action";
    if (a->epoch != b->epoch || a->used_old != b->used_old || a->used_new != b->used_new ||
        a->used_star != b->used_star)
        return "the epoch, or the names used";
    if (a->action == SG_REFUSE)
        return same_error(a->error, b->error) ? NULL : "the refusal";
    if (a->action == SG_ASK)
        return same_asks(a, b) ? NULL : "the questions";
    if (a->action == SG_PASS)
        return NULL;
    return !sg_span_eq(a->sql, b->sql)      ? "the text"
           : !same_edits(a, b)              ? "the edits"
           : !same_copy(a->copy, b->copy)   ? "what becomes of the data"
           : a->sql.ptr[a->sql.len] != '\0' ? "the NUL behind the text"
                                            : NULL;
}
