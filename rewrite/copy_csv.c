/* CSV format: where fields and lines end (PostgreSQL docs, COPY, "CSV Format"; CopyReadLineText). */
#include "copy_stream.h"

/* Inside quotes up to the one that ends them, or to the end of the chunk. */
static const uint8_t *scan_quoted(struct sg_copy_stream *st, const uint8_t *p, const uint8_t *end) {
    struct sg_lines *lines = &st->lines;
    const struct sg_copy *copy = st->copy;
    while (p < end && lines->is_quoted) {
        uint8_t c = *p;
        if (!lines->is_special_quoted[c]) {
            lines->is_escaped = false;
            p++;
        } else if (c == copy->quote) {
            lines->is_quoted = lines->is_escaped;
            lines->is_escaped = false;
            p++;
        } else if (c == copy->escape) {
            lines->is_escaped = !lines->is_escaped;
            p++;
        } else {
            lines->is_escaped = false;
            p = sg_lines_wide(st, p, end);
        }
    }
    return p;
}

/* A line of \. alone: unquoted, and nothing else, it is no value. */
static void end_data(struct sg_copy_stream *st) {
    if (st->rows.is_withheld)
        sg_put(st, st->rows.head, st->rows.head_len);
    sg_copy_pass(st);
}

const uint8_t *sg_csv_scan(struct sg_copy_stream *st, const uint8_t *p, const uint8_t *end) {
    const uint8_t *special = st->lines.is_special;
    const struct sg_copy *copy = st->copy;
    p = sg_lines_resume(st, p, end);
    while (p < end) {
        if (st->lines.is_quoted) {
            p = scan_quoted(st, p, end);
            continue;
        }
        uint8_t c = *p;
        if (!special[c]) {
            p++;
        } else if (c == copy->delimiter) {
            sg_rows_delimiter(st, p++);
        } else if (c == copy->quote) {
            st->lines.is_quoted = true;
            p++;
        } else if (c == '\n' || c == '\r') {
            if (sg_rows_line_is(st, p, SG_SPAN_LIT("\\."))) {
                end_data(st);
                return p;
            }
            p = sg_lines_break(st, p);
        } else {
            p = sg_lines_wide(st, p, end);
        }
    }
    return p;
}

/* A quote that is never closed is the server's to report: nothing may be added that could close it, and it has to be
 * seen. */
static void end_quoted(struct sg_copy_stream *st) {
    const struct sg_rows *rows = &st->rows;
    if (!rows->is_withheld)
        return;
    if (st->copy->marks[rows->mark].change == SG_COPY_DROP) {
        sg_put(st, &st->copy->delimiter, 1);
        sg_put(st, &st->copy->quote, 1);
    } else {
        struct sg_span bytes = sg_capture_bytes(&st->captures[rows->mark]);
        sg_put(st, bytes.ptr, bytes.len);
    }
}

void sg_csv_end(struct sg_copy_stream *st) {
    static const uint8_t none;
    if (!st->rows.is_begun)
        return;
    if (st->lines.is_quoted) {
        end_quoted(st);
        return;
    }
    sg_rows_chunk(st, &none);
    sg_rows_last_line_end(st, &none);
}
