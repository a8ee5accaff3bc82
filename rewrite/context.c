#include "context.h"

#include <stdio.h>

int sg_position(const struct sg_request *request, struct sg_span text, size_t at) {
    if (!request->utf8)
        return (int)at + 1;
    int position = 1;
    for (size_t i = 0; i < at && i < text.len; i++)
        if (((unsigned char)text.ptr[i] & 0xc0) != 0x80)
            position++;
    return position;
}

static void set_position(struct sg_context *cx, int at) {
    if (at >= 0)
        cx->error->position = sg_position(cx->request, cx->tokens.text, (size_t)at);
}

static void describe_mapping(struct sg_context *cx, const struct sg_mapping *m) {
    sg_error_detail(cx->error,
                    "Table \"%s.%s\": column \"%s\" is being renamed to \"%s\" (migration \"%s\", phase %s).",
                    m->schema, m->table, m->old_name, m->new_name, m->migration, sg_phase_name(m->phase));
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
                 sg_arena_vprintf(cx->arena, what, args));
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
    sg_error_set(cx->error, state, "%s", sg_arena_vprintf(cx->arena, fmt, args));
    va_end(args);
    set_position(cx, at);
}

const char *sg_ident(struct sg_context *cx, const char *name) {
    struct sg_span quoted;
    sg_quote_ident(cx->arena, name, &quoted);
    return sg_arena_strndup(cx->arena, quoted.ptr, quoted.len);
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
