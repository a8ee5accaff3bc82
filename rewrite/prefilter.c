/*
 * The pre-filter: most traffic touches no mapped table, and this is all it costs.
 *
 * A statement can concern a mapping only if it names the table. The table's name, or the longest part of it that every
 * spelling keeps (a quote inside a name is doubled), is searched without regard to case.
 *
 * A name beyond ASCII is searched as the client's encoding writes it. A second byte that looks like a letter does no
 * harm: what touches a name on either side is part of it.
 */
#include "prefilter.h"

#include "catalog.h"
#include "segue/rewrite.h"

static const struct sg_needle escaped_name = {"u&\"", 3, false};

const char *sg_find_word(struct sg_span text, struct sg_span word) {
    return sg_needle_find(text, (struct sg_needle){word.ptr, word.len, true});
}

/* The longest run of the name without a double quote. */
static struct sg_needle needle_of(const char *name) {
    struct sg_needle best = {name, 0, strchr(name, '"') == NULL};
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

/* ---- Names in all encodings ---- */

static bool is_ascii(const char *name) {
    for (; *name; name++)
        if ((unsigned char)*name >= 0x80)
            return false;
    return true;
}

/* The longest run of ASCII characters: what stands in every spelling. Empty: any text may have the name. */
static struct sg_needle ascii_part(const char *name) {
    struct sg_needle best = {name, 0, false};
    for (const char *p = name; *p; p++) {
        size_t len = 0;
        while (p[len] && p[len] != '"' && (unsigned char)p[len] < 0x80)
            len++;
        if (len > best.len)
            best = (struct sg_needle){p, len, false};
        p += len ? len - 1 : 0;
    }
    return best;
}

/* From about this many bytes on the server may have cut the client's name: it counts in its own. */
enum { LONG_BYTES = 40 };

/* False: the encoding cannot write the name. */
static bool needle_in(struct sg_catalog *catalog, const char *name, enum sg_encoding client,
                      struct sg_needle *ret_needle) {
    const struct sg_charset *charset = &catalog->charset;
    enum sg_encoding encoding = sg_charset_encoding(charset, client);
    bool is_same = sg_charset_is_same(charset, encoding);
    *ret_needle = is_ascii(name) || (is_same && !charset->folds) ? needle_of(name) : ascii_part(name);
    if (is_ascii(name) || is_same || charset->folds || !charset->is_known || encoding == SG_ENCODING_OTHER)
        return true;
    const char *written = sg_charset_write(charset, &catalog->arena, encoding, name, false);
    if (written && !sg_charset_is_doubtful(charset, encoding, sg_span_of(written))) {
        *ret_needle = needle_of(written);
        ret_needle->is_whole = ret_needle->is_whole && strlen(name) < LONG_BYTES;
    }
    return written;
}

static const struct sg_needles *needles_in(struct sg_snapshot *snapshot, enum sg_encoding client) {
    struct sg_arena *arena = &snapshot->catalog->arena;
    struct sg_needle *v = sg_arena_array(arena, struct sg_needle, snapshot->tables_len + 1);
    size_t n = 0;
    for (size_t i = 0; i < snapshot->tables_len; i++)
        n += needle_in(snapshot->catalog, snapshot->tables[i].relation->name, client, &v[n]);
    v[n++] = escaped_name;
    return sg_needles_new(arena, v, snapshot->tables_len ? n : 0);
}

void sg_prefilter_make(struct sg_snapshot *snapshot) {
    bool is_plain = true;
    for (size_t i = 0; i < snapshot->tables_len; i++)
        is_plain &= is_ascii(snapshot->tables[i].relation->name);
    for (size_t i = 0; i < SG_ENCODINGS_LEN; i++)
        snapshot->needles[i] = is_plain && i > 0 ? snapshot->needles[0] : needles_in(snapshot, (enum sg_encoding)i);
}

bool sg_prefilter_may_match(const struct sg_snapshot *snapshot, struct sg_span sql, enum sg_encoding encoding) {
    return sg_needles_match(snapshot->needles[encoding], sql);
}

bool sg_has_escaped_name(struct sg_span text) {
    return sg_needle_find(text, escaped_name) != NULL;
}
