/* Lines and characters of text and CSV, as PostgreSQL's CopyReadLineText sees them. */
#include "copy_stream.h"

void sg_lines_init(struct sg_copy_stream *st) {
    struct sg_lines *lines = &st->lines;
    const struct sg_copy *copy = st->copy;
    lines->is_special['\n'] = lines->is_special['\r'] = 1;
    lines->is_special[copy->delimiter] = 1;
    if (copy->format == SG_COPY_TEXT) {
        lines->is_special['\\'] = 1;
    } else {
        lines->is_special[copy->quote] = 1;
        lines->is_special_quoted[copy->quote] = lines->is_special_quoted[copy->escape] = 1;
    }
    for (unsigned c = 0x80; copy->encoding != SG_COPY_SINGLE && c <= 0xff; c++)
        lines->is_special[c] = lines->is_special_quoted[c] = 1;
}

static uint8_t bytes_after(enum sg_copy_encoding encoding, uint8_t c) {
    switch (encoding) {
    case SG_COPY_DOUBLE:
        return 1;
    case SG_COPY_SJIS:
        return c >= 0xa1 && c <= 0xdf ? 0 : 1;
    case SG_COPY_JOHAB:
        return c == 0x8f ? 2 : 1;
    case SG_COPY_GB18030:
    case SG_COPY_SINGLE:
        break;
    }
    return 0;
}

const uint8_t *sg_lines_wide(struct sg_copy_stream *st, const uint8_t *at, const uint8_t *end) {
    st->lines.skip = bytes_after(st->copy->encoding, *at);
    st->lines.is_second = st->copy->encoding == SG_COPY_GB18030;
    return sg_lines_resume(st, at + 1, end);
}

const uint8_t *sg_lines_resume(struct sg_copy_stream *st, const uint8_t *p, const uint8_t *end) {
    struct sg_lines *lines = &st->lines;
    if (lines->is_second && p < end) {
        lines->is_second = false;
        lines->skip = *p >= '0' && *p <= '9' ? 2 : 0;
        p++;
    }
    while (lines->skip > 0 && p < end) {
        lines->skip--;
        p++;
    }
    return p;
}

/* A carriage return alone, or a line feed, where the file's lines end otherwise, is an error to the server: it does not
 * matter what stands before it then. */
const uint8_t *sg_lines_break(struct sg_copy_stream *st, const uint8_t *at) {
    struct sg_lines *lines = &st->lines;
    if (*at == '\n' && lines->is_after_cr && sg_rows_line_is_empty(st, at)) {
        lines->is_after_cr = false;
        if (st->rows.is_withheld)
            st->rows.run = at;
    } else {
        lines->is_after_cr = *at == '\r';
        sg_rows_line_end(st, at);
    }
    sg_rows_line_begin(st, at + 1);
    return at + 1;
}
