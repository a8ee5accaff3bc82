/*
 * The pre-filter: most traffic touches no mapped table, and this is all it costs.
 *
 * A statement can concern a mapping only if it names the table. The table's name, or the longest part of it that every
 * spelling keeps (a quote inside a name is doubled), is searched without regard to case.
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

const struct sg_needles *sg_prefilter_new(struct sg_snapshot *snapshot) {
    struct sg_arena *arena = &snapshot->catalog->arena;
    struct sg_needle *v = sg_arena_array(arena, struct sg_needle, snapshot->tables_len + 1);
    for (size_t i = 0; i < snapshot->tables_len; i++)
        v[i] = needle_of(snapshot->tables[i].relation->name);
    v[snapshot->tables_len] = escaped_name;
    return sg_needles_new(arena, v, snapshot->tables_len ? snapshot->tables_len + 1 : 0);
}

bool sg_prefilter_may_match(const struct sg_snapshot *snapshot, struct sg_span sql) {
    return sg_needles_match(snapshot->needles, sql);
}

bool sg_has_escaped_name(struct sg_span text) {
    return sg_needle_find(text, escaped_name) != NULL;
}
