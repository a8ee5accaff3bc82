/* Text format: where fields and lines end (PostgreSQL docs, COPY, "Text Format"; CopyReadLineText). */
#include "copy_stream.h"

/* at: a backslash at the end of a chunk, or what follows it. NULL: held back. */
static const uint8_t *on_backslash(struct sg_copy_stream *st, const uint8_t *at, const uint8_t *end) {
    if (at + 1 == end) {
        st->lines.has_backslash = true;
        return NULL;
    }
    if (at[1] == '.') {
        if (!sg_rows_line_is_empty(st, at))
            sg_rows_last_line_end(st, at); /* what stands before the end marker is a row to the server */
        sg_copy_pass(st);
        return NULL;
    }
    bool is_wide = at[1] >= 0x80 && st->copy->encoding != SG_COPY_SINGLE;
    return is_wide ? sg_lines_wide(st, at + 1, end) : at + 2;
}

/* The byte behind a backslash that was held back. */
static const uint8_t *after_backslash(struct sg_copy_stream *st, const uint8_t *p, const uint8_t *end) {
    st->lines.has_backslash = false;
    if (*p == '.') {
        if (!sg_rows_line_is_empty(st, p))
            sg_rows_last_line_end(st, p);
        sg_put(st, "\\", 1);
        sg_copy_pass(st);
        return p;
    }
    sg_rows_inject(st, "\\", 1);
    bool is_wide = *p >= 0x80 && st->copy->encoding != SG_COPY_SINGLE;
    return is_wide ? sg_lines_wide(st, p, end) : p + 1;
}

const uint8_t *sg_text_scan(struct sg_copy_stream *st, const uint8_t *p, const uint8_t *end) {
    const uint8_t *special = st->lines.is_special;
    const uint8_t delimiter = st->copy->delimiter;
    p = st->lines.has_backslash ? after_backslash(st, p, end) : sg_lines_resume(st, p, end);
    while (p < end && st->place == SG_COPY_IN_ROWS) {
        uint8_t c = *p;
        if (!special[c]) {
            p++;
        } else if (c == delimiter) {
            sg_rows_delimiter(st, p++);
        } else if (c == '\n' || c == '\r') {
            p = sg_lines_break(st, p);
        } else if (c == '\\') {
            const uint8_t *next = on_backslash(st, p, end);
            if (!next)
                return p;
            p = next;
        } else {
            p = sg_lines_wide(st, p, end);
        }
    }
    return p;
}

void sg_text_end(struct sg_copy_stream *st) {
    static const uint8_t none;
    if (!st->rows.is_begun && !st->lines.has_backslash)
        return;
    /* A backslash that escapes nothing means nothing; but it must not escape what is added. Alone it makes a row. */
    bool is_all = st->lines.has_backslash && !st->rows.is_begun && st->copy->columns > 1;
    sg_rows_chunk(st, &none);
    if (is_all)
        sg_rows_lone_backslash(st);
    else
        sg_rows_last_line_end(st, &none);
}
