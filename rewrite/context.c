#include "context.h"

#include <stdio.h>

int sg_position(const struct sg_context *cx, size_t at) {
    return (int)sg_encoding_count(cx->tokens.lexis.encoding, cx->tokens.text, at) + 1;
}

static const struct sg_charset *charset_of(const struct sg_context *cx) {
    return &cx->snapshot->catalog->charset;
}

/* For messages: as much of the text as the client can read. */
static const char *readable(struct sg_context *cx, const char *text) {
    return sg_charset_write(charset_of(cx), cx->arena, cx->tokens.lexis.encoding, text, true);
}

static void set_position(struct sg_context *cx, int at) {
    if (at >= 0)
        cx->error->position = sg_position(cx, (size_t)at);
}

static void describe_mapping(struct sg_context *cx, const struct sg_mapping *m) {
    const char *text = sg_arena_printf(
        cx->arena, "Table \"%s.%s\": column \"%s\" is being renamed to \"%s\" (migration \"%s\", phase %s).", m->schema,
        m->table, m->old_name, m->new_name, m->migration, sg_phase_name(m->phase));
    sg_error_detail(cx->error, "%s", readable(cx, text));
}

static uint64_t bit_of(const struct sg_table_mapping *m) {
    return m->index < 64 ? UINT64_C(1) << m->index : 0;
}

void sg_refuse(struct sg_context *cx, int at, const struct sg_table *table, const char *hint, const char *what, ...) {
    if (cx->refused)
        return;
    cx->refused = true;
    va_list args;
    va_start(args, what);
    sg_error_set(cx->error, SG_SQLSTATE_FEATURE_NOT_SUPPORTED, "segue cannot rewrite %s",
                 readable(cx, sg_arena_vprintf(cx->arena, what, args)));
    va_end(args);
    if (table)
        describe_mapping(cx, table->mappings[0].mapping);
    for (size_t i = 0; table && i < table->mappings_len; i++)
        cx->concerned |= bit_of(&table->mappings[i]);
    if (hint)
        sg_error_hint(cx->error, "%s", hint);
    set_position(cx, at);
}

void sg_fail(struct sg_context *cx, int at, enum sg_sqlstate state, const char *fmt, ...) {
    if (cx->refused)
        return;
    cx->refused = true;
    va_list args;
    va_start(args, fmt);
    sg_error_set(cx->error, state, "%s", readable(cx, sg_arena_vprintf(cx->arena, fmt, args)));
    va_end(args);
    set_position(cx, at);
}

static const char *written(struct sg_context *cx, const char *sql) {
    const char *text = sg_charset_write(charset_of(cx), cx->arena, cx->tokens.lexis.encoding, sql, false);
    if (text)
        return text;
    sg_refuse(cx, -1, NULL, "SET client_encoding = 'UTF8'.", "this with %s: client_encoding %s has no character for it",
              sql, sg_encoding_name(cx->request->encoding));
    return "?";
}

const char *sg_ident(struct sg_context *cx, const char *name) {
    struct sg_span quoted;
    sg_quote_ident(cx->arena, name, &quoted);
    return written(cx, sg_arena_strndup(cx->arena, quoted.ptr, quoted.len));
}

/* pg_get_expr wrote it for standard strings: where backslashes are escapes, E'' says what was meant. */
static const char *with_escapes(struct sg_context *cx, const char *sql) {
    struct sg_tokens tokens;
    const char *out = "";
    size_t at = 0;
    sg_tokenize(cx->arena, sg_span_of(sql), (struct sg_lexis){0}, &tokens);
    for (size_t i = 0; i < tokens.n; i++) {
        struct sg_span text = sg_token_text(&tokens, i);
        if (text.ptr[0] != '\'' || !memchr(text.ptr, '\\', text.len))
            continue;
        out = sg_arena_printf(cx->arena, "%s%.*sE", out, (int)(tokens.v[i].at - at), sql + at);
        for (at = tokens.v[i].at; at < sg_token_end(&tokens, i); at++)
            out = sg_arena_printf(cx->arena, "%s%s%c", out, sql[at] == '\\' ? "\\" : "", sql[at]);
    }
    return sg_arena_printf(cx->arena, "%s%s", out, sql + at);
}

const char *sg_catalog_sql(struct sg_context *cx, const char *sql) {
    bool differs = cx->request->backslash_quotes && strchr(sql, '\\');
    return written(cx, differs ? with_escapes(cx, sql) : sql);
}

static void refuse_stored(struct sg_context *cx, const struct sg_mapping *m) {
    if (!cx->stored || m->phase == SG_PHASE_NEW_ONLY)
        return;
    sg_refuse(cx, -1, NULL, "Leave the column that is being renamed out, or run it when the migration is contracted.",
              "%s with \"%s\": it would hold on to the column of one phase", cx->stored, m->old_name);
    describe_mapping(cx, m);
}

void sg_note_use(struct sg_context *cx, const struct sg_table_mapping *m, const char *name) {
    refuse_stored(cx, m->mapping);
    if (strcmp(m->mapping->old_name, name) == 0)
        cx->used_old |= bit_of(m);
    else
        cx->used_new |= bit_of(m);
}

void sg_note_star(struct sg_context *cx, const struct sg_table *table) {
    for (size_t i = 0; i < table->mappings_len; i++) {
        refuse_stored(cx, table->mappings[i].mapping);
        cx->used_star |= bit_of(&table->mappings[i]);
    }
}
