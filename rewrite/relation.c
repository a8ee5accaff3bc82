#include "relation.h"

/* The next element of a comma-separated list of names, unquoted. */
static bool next_schema(const char **list, char *ret_name, size_t size) {
    const char *p = *list;
    while (*p == ' ' || *p == ',')
        p++;
    if (!*p)
        return false;
    size_t n = 0;
    bool quoted = *p == '"';
    if (quoted)
        p++;
    for (; *p && (quoted || (*p != ',' && *p != ' ')); p++) {
        if (quoted && *p == '"' && *++p != '"')
            break;
        if (n + 1 < size)
            ret_name[n++] = *p;
    }
    ret_name[n] = '\0';
    *list = p;
    return true;
}

static const struct sg_relation *by_search_path(const char *path, struct sg_relation *const *found, size_t n) {
    char schema[SG_NAME_BYTES];
    while (next_schema(&path, schema, sizeof schema))
        for (size_t i = 0; i < n; i++)
            if (strcmp(found[i]->schema, schema) == 0)
                return found[i];
    return NULL;
}

/* ---- Facts ---- */

/* Behind the double-quoted name that begins at p; NULL: none does. */
static const char *skip_name(const char *p, const char *end) {
    if (p == end || *p != '"')
        return NULL;
    for (p++; p < end; p++) {
        if (*p != '"')
            continue;
        if (p + 1 == end || p[1] != '"')
            return p + 1;
        p++;
    }
    return NULL;
}

/* The name between the quotes of [p, end), its doubled quotes single. */
static const char *unquote(struct sg_context *cx, const char *p, const char *end) {
    char *name = sg_arena_alloc(cx->arena, (size_t)(end - p));
    size_t n = 0;
    for (p++; p < end - 1; p++) {
        name[n++] = *p;
        p += *p == '"';
    }
    return name;
}

/* Behind a question or an answer, which end where they stand outside of quotes. */
static const char *skip_until(const char *p, const char *end, char stop) {
    while (p && p < end && *p != stop)
        p = *p == '"' ? skip_name(p, end) : p + 1;
    return p && p < end ? p : NULL;
}

static bool find_answer(const struct sg_context *cx, const char *question, struct sg_span *ret_answer) {
    struct sg_span facts = cx->request->facts;
    if (facts.len == 0)
        return false;
    const char *p = facts.ptr, *end = p + facts.len;
    while (p < end) {
        const char *equals = skip_until(p, end, '=');
        const char *stop = equals ? skip_until(equals, end, ';') : NULL;
        if (!stop)
            return false;
        if (sg_span_eq_cstr((struct sg_span){p, (size_t)(equals - p)}, question)) {
            *ret_answer = (struct sg_span){equals + 1, (size_t)(stop - equals - 1)};
            return true;
        }
        p = stop + 1;
    }
    return false;
}

/* A table as the server has just described it. Without a schema: there is none, and the server will say so. */
static const struct sg_relation *described(struct sg_context *cx, const struct sg_from *from, const char *schema,
                                           const char *p, const char *end) {
    struct sg_relation *relation = sg_arena_new(cx->arena, struct sg_relation);
    *relation = (struct sg_relation){.schema = schema, .name = from->name, .kind = 'r'};
    relation->columns = sg_arena_array(cx->arena, struct sg_column, (size_t)(end - p) / 3 + 1);
    const char *stop;
    for (; p < end && (stop = skip_name(p + 1, end)); p = stop)
        relation->columns[relation->columns_len++] =
            (struct sg_column){.name = unquote(cx, p + 1, stop), .type = "text"};
    return relation;
}

static const struct sg_relation *answered(struct sg_context *cx, const struct sg_from *from, struct sg_span answer,
                                          struct sg_relation *const *found, size_t n) {
    const char *p = answer.ptr, *end = p + answer.len, *stop = skip_name(p, end);
    if (!stop)
        return described(cx, from, NULL, end, end);
    const char *schema = unquote(cx, p, stop);
    const struct sg_relation *known = NULL;
    for (size_t i = 0; i < n; i++)
        if (strcmp(found[i]->schema, schema) == 0)
            known = found[i];
    if (known && known->mapped)
        return known;
    return stop < end && *stop == '?' ? known : described(cx, from, schema, stop, end);
}

/* ---- Questions ---- */

static bool is_ascii(const char *name) {
    for (; *name; name++)
        if ((unsigned char)*name >= 0x80)
            return false;
    return true;
}

static const char *quoted(struct sg_context *cx, const char *name) {
    char *text = sg_arena_alloc(cx->arena, strlen(name) * 2 + 3), *p = text;
    *p++ = '"';
    for (; *name; name++) {
        if (*name == '"')
            *p++ = '"';
        *p++ = *name;
    }
    *p = '"';
    return text;
}

/* NULL: it cannot be asked, because the name's bytes are not UTF-8. */
static const char *question_text(struct sg_context *cx, const struct sg_from *from) {
    if (!cx->request->can_ask || (cx->request->encoding != SG_ENCODING_UTF8 &&
                                  (!is_ascii(from->name) || (from->schema && !is_ascii(from->schema)))))
        return NULL;
    const char *name = quoted(cx, from->name);
    return from->schema ? sg_arena_printf(cx->arena, "%s.%s", quoted(cx, from->schema), name) : name;
}

static struct sg_question *question_of(struct sg_context *cx, const struct sg_from *from, const char *text) {
    for (struct sg_question *q = cx->questions; q; q = q->next)
        if (q->is_late == cx->is_shifting && strcmp(q->name, text) == 0)
            return q;
    struct sg_question *q = sg_arena_new(cx->arena, struct sg_question);
    *q = (struct sg_question){.next = cx->questions, .name = text, .at = from->at, .is_late = cx->is_shifting};
    cx->questions = q;
    return q;
}

size_t sg_questions_wanted(const struct sg_context *cx, struct sg_span **ret_asks) {
    size_t n = 0;
    for (const struct sg_question *q = cx->questions; q; q = q->next)
        n += q->is_wanted && !q->is_late;
    struct sg_span *asks = sg_arena_array(cx->arena, struct sg_span, n);
    size_t i = n;
    for (const struct sg_question *q = cx->questions; q; q = q->next)
        if (q->is_wanted && !q->is_late)
            asks[--i] = sg_span_of(q->name);
    *ret_asks = asks;
    return n;
}

bool sg_questions_refuse_late(struct sg_context *cx) {
    bool is_late = false;
    for (const struct sg_question *q = cx->questions; q; q = q->next) {
        is_late |= q->is_wanted && q->is_late;
        if (q->is_wanted && q->is_late)
            sg_refuse(cx, q->at, q->table, "Send the statements before it in a message of their own.",
                      "a statement on %s behind others in one message, which may change what that name means", q->name);
    }
    return is_late;
}

/* ---- Looking up ---- */

/* Can the only table of this name in the catalog be hidden by another that the catalog does not know? */
static bool is_doubtful(const struct sg_context *cx, const struct sg_from *from) {
    return !from->schema && (cx->request->is_doubtful || cx->snapshot->catalog->functions_may_hide ||
                             (cx->is_shifting && cx->hides_names) || strncmp(from->name, "pg_", 3) == 0);
}

static bool has_same_columns(const struct sg_relation *a, const struct sg_relation *b) {
    if (a->columns_len != b->columns_len)
        return false;
    for (size_t i = 0; i < a->columns_len; i++)
        if (strcmp(a->columns[i].name, b->columns[i].name) != 0)
            return false;
    return true;
}

/* One of several relations, and nobody to ask. */
static const struct sg_relation *one_of(struct sg_context *cx, const struct sg_from *from,
                                        struct sg_relation *const *found, size_t n) {
    bool is_same = true;
    for (size_t i = 0; i < n; i++) {
        is_same = is_same && has_same_columns(found[0], found[i]);
        if (found[i]->mapped)
            sg_refuse(cx, from->at, found[i]->mapped, "Write the table's schema in the statement.",
                      "a statement on \"%s\": several schemas have a table of this name", from->name);
    }
    return is_same || cx->refused ? found[0] : NULL;
}

static const struct sg_relation *ask(struct sg_context *cx, const struct sg_from *from, const char *text,
                                     struct sg_relation *const *found, size_t n, struct sg_question **ret_question) {
    struct sg_question *question = question_of(cx, from, text);
    const struct sg_relation *mapped = NULL;
    for (size_t i = 0; i < n && !mapped; i++)
        mapped = found[i]->mapped ? found[i] : NULL;
    if (mapped) {
        question->table = mapped->mapped;
        question->is_wanted = true;
    }
    *ret_question = question;
    return mapped;
}

const struct sg_relation *sg_lookup_relation(struct sg_context *cx, const struct sg_from *from,
                                             struct sg_question **ret_question) {
    size_t n;
    struct sg_relation *const *found = sg_snapshot_find(cx->snapshot, from->name, &n);
    *ret_question = NULL;
    for (size_t i = 0; from->schema && i < n; i++)
        if (strcmp(found[i]->schema, from->schema) == 0)
            return found[i];
    n = from->schema ? 0 : n;
    if (n > 0 && cx->request->search_path)
        return by_search_path(cx->request->search_path, found, n);
    const char *text = n == 1 && !is_doubtful(cx, from) ? NULL : question_text(cx, from);
    struct sg_span answer;
    if (text && !cx->is_shifting && find_answer(cx, text, &answer)) {
        cx->has_facts = true;
        return answered(cx, from, answer, found, n);
    }
    if (text)
        return ask(cx, from, text, found, n, ret_question);
    return n > 1 ? one_of(cx, from, found, n) : (n ? found[0] : NULL);
}
