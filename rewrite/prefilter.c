/*
 * The pre-filter: most traffic touches no mapped table, and this is all it costs.
 *
 * A statement can concern a mapping only if it names the table. The table's name, or the longest part of it that every
 * spelling keeps (a quote inside a name is doubled), is searched without regard to case: 16 places at a time, by its
 * first and its last byte.
 */
#include "prefilter.h"

#include "catalog.h"
#include "segue/rewrite.h"

#include <stdint.h>

typedef uint8_t bytes16 __attribute__((vector_size(16)));

static uint8_t fold(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static bool is_word(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
           c >= 0x80;
}

/* PostgreSQL cuts names at 63 bytes, at a character's end: from this length on, a longer name may mean the same. */
enum { CUT_BYTES = SG_NAME_BYTES - 4 };

/* What is searched for: a whole name, which stands between characters that cannot be part of it, or a part of one. */
struct needle {
    const char *ptr;
    size_t len;
    bool is_whole;
};

static bool match_at(struct sg_span text, const char *p, struct needle needle) {
    for (size_t i = 0; i < needle.len; i++)
        if (fold((uint8_t)p[i]) != fold((uint8_t)needle.ptr[i]))
            return false;
    if (!needle.is_whole)
        return true;
    const char *end = p + needle.len;
    return (p == text.ptr || !is_word((uint8_t)p[-1])) &&
           (end == text.ptr + text.len || needle.len >= CUT_BYTES || !is_word((uint8_t)*end));
}

static bytes16 splat(uint8_t c) {
    return (bytes16){c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c};
}

static bytes16 load(const char *p) {
    bytes16 v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Setting bit 5 folds letters; it also makes a few other bytes look alike, which match_at sorts out. NULL: not there.
 */
static const char *search(struct sg_span text, struct needle needle) {
    size_t len = needle.len;
    if (text.len < len || len == 0)
        return len == 0 ? text.ptr : NULL;
    const char *p = text.ptr, *last_start = text.ptr + text.len - len;
    const bytes16 bit = splat(0x20);
    const bytes16 first = splat((uint8_t)needle.ptr[0] | 0x20), last = splat((uint8_t)needle.ptr[len - 1] | 0x20);
    for (; last_start - p >= 15; p += 16) {
        bytes16 hits = (bytes16)((load(p) | bit) == first) & (bytes16)((load(p + len - 1) | bit) == last);
        uint64_t halves[2];
        memcpy(halves, &hits, sizeof halves);
        if ((halves[0] | halves[1]) == 0)
            continue;
        for (size_t i = 0; i < 16; i++)
            if (hits[i] && match_at(text, p + i, needle))
                return p + i;
    }
    for (; p <= last_start; p++)
        if (match_at(text, p, needle))
            return p;
    return NULL;
}

const char *sg_find_word(struct sg_span text, struct sg_span word) {
    return search(text, (struct needle){word.ptr, word.len, true});
}

/* The longest run of the name without a double quote. */
static struct needle needle_of(const char *name) {
    struct needle best = {name, 0, strchr(name, '"') == NULL};
    while (*name) {
        size_t len = strcspn(name, "\"");
        if (len > best.len) {
            best.ptr = name;
            best.len = len;
        }
        name += len + (name[len] != '\0');
    }
    return best;
}

bool sg_prefilter_may_match(const struct sg_snapshot *snapshot, struct sg_span sql) {
    for (size_t i = 0; i < snapshot->tables_len; i++)
        if (search(sql, needle_of(snapshot->tables[i].relation->name)))
            return true;
    return snapshot->tables_len && sg_has_escaped_name(sql);
}

/* U&"..." can spell any name with escapes. */
bool sg_has_escaped_name(struct sg_span text) {
    return search(text, (struct needle){"u&\"", 3, false}) != NULL;
}
