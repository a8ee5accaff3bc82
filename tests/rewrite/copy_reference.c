#include "copy_reference.h"

#include <stdlib.h>

void copy_bytes_put(struct copy_bytes *bytes, const void *more, size_t len) {
    if (bytes->n + len + 1 > bytes->cap) {
        bytes->cap = (bytes->n + len + 1) * 2;
        bytes->v = realloc(bytes->v, bytes->cap);
        if (!bytes->v) {
            abort();
        }
    }
    if (len > 0) {
        memcpy(bytes->v + bytes->n, more, len);
    }
    bytes->n += len;
}

/* ---- Lines of text and CSV ---- */

enum { FIELDS_MAX = 4096 };

struct line {
    struct sg_span fields[FIELDS_MAX]; /* as they stand */
    size_t n;
    struct sg_span end; /* what ends it; empty at the end of the data */
    bool is_last;       /* the end marker, or the end of the data, is behind it */
    bool is_none;       /* there is no line, only that */
    bool is_backslash;  /* text: all it has is one at the end of the data */
    bool is_unclosed;   /* CSV: the data end inside of quotes */
};

static size_t character(const struct sg_copy *copy, const uint8_t *at, size_t left) {
    static const size_t two = 2;
    size_t n = 1;
    if (at[0] < 0x80) {
        return 1;
    }
    switch (copy->encoding) {
    case SG_COPY_SINGLE:
        return 1;
    case SG_COPY_DOUBLE:
        n = two;
        break;
    case SG_COPY_SJIS:
        n = at[0] >= 0xa1 && at[0] <= 0xdf ? 1 : two;
        break;
    case SG_COPY_GB18030:
        n = left > 1 && at[1] >= 0x30 && at[1] <= 0x39 ? 4 : two;
        break;
    case SG_COPY_JOHAB:
        n = at[0] == 0x8f ? 3 : two;
        break;
    }
    return n < left ? n : left;
}

static struct sg_span span(const uint8_t *from, const uint8_t *to) {
    return (struct sg_span){(const char *)from, (size_t)(to - from)};
}

static size_t line_end(const uint8_t *at, size_t left) {
    return at[0] == '\r' && left > 1 && at[1] == '\n' ? 2 : 1;
}

static void add_field(struct line *line, const uint8_t *from, const uint8_t *to) {
    if (line->n == FIELDS_MAX) {
        abort();
    }
    line->fields[line->n++] = span(from, to);
}

/* Gives the first byte behind the line; of the end marker if there is one. */
static const uint8_t *read_text_line(const struct sg_copy *copy, const uint8_t *p, const uint8_t *end,
                                     struct line *line) {
    const uint8_t *start = p, *field = p;
    for (;;) {
        if (p == end || (p + 1 < end && p[0] == '\\' && p[1] == '.')) {
            line->is_last = true;
            line->is_none = p == start;
            add_field(line, field, p);
            return p;
        }
        if (*p == '\n' || *p == '\r') {
            add_field(line, field, p);
            size_t n = line_end(p, (size_t)(end - p));
            line->end = span(p, p + n);
            return p + n;
        }
        if (*p == copy->delimiter) {
            add_field(line, field, p);
            field = ++p;
        } else if (*p == '\\' && p + 1 == end) {
            /* Escapes nothing, means nothing; but alone, it is a line. */
            line->is_last = true;
            line->is_backslash = copy->columns > 1 && p == start;
            add_field(line, field, p);
            return end;
        } else {
            p += *p == '\\';
            p += character(copy, p, (size_t)(end - p));
        }
    }
}

static const uint8_t *read_csv_line(const struct sg_copy *copy, const uint8_t *p, const uint8_t *end,
                                    struct line *line) {
    const uint8_t *start = p, *field = p;
    bool is_quoted = false;
    while (p < end) {
        if (is_quoted && *p == copy->escape && p + 1 < end && (p[1] == copy->quote || p[1] == copy->escape)) {
            p += 2;
        } else if (*p == copy->quote) {
            is_quoted = !is_quoted;
            p++;
        } else if (!is_quoted && *p == copy->delimiter) {
            add_field(line, field, p);
            field = ++p;
        } else if (!is_quoted && (*p == '\n' || *p == '\r')) {
            line->is_last = line->is_none = p == start + 2 && start[0] == '\\' && start[1] == '.';
            add_field(line, field, p);
            size_t n = line_end(p, (size_t)(end - p));
            line->end = span(p, p + n);
            return line->is_last ? start : p + n;
        } else {
            p += character(copy, p, (size_t)(end - p));
        }
    }
    line->is_last = true;
    line->is_none = p == start;
    line->is_unclosed = is_quoted;
    add_field(line, field, p);
    return p;
}

/* ---- And put together again ---- */

static struct sg_span unquoted(const struct sg_copy *copy, struct sg_span raw, char *to) {
    size_t n = 0;
    bool is_quoted = false;
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.ptr[i];
        bool has_next = i + 1 < raw.len;
        uint8_t next = has_next ? (uint8_t)raw.ptr[i + 1] : 0;
        if (copy->format == SG_COPY_TEXT && c == '\\' && has_next) {
            /* Characters that no name has. */
            to[n++] = raw.ptr[i + 1] && strchr("bfnrtvx01234567", raw.ptr[i + 1]) ? '\0' : raw.ptr[i + 1];
            i++;
        } else if (copy->format == SG_COPY_CSV && is_quoted && (uint8_t)c == copy->escape && has_next &&
                   (next == copy->escape || next == copy->quote)) {
            to[n++] = raw.ptr[++i];
        } else if (copy->format == SG_COPY_CSV && (uint8_t)c == copy->quote) {
            is_quoted = !is_quoted;
        } else {
            to[n++] = c;
        }
    }
    return (struct sg_span){to, n};
}

static struct sg_span header_field(const struct sg_copy *copy, const struct sg_copy_mark *mark, struct sg_span raw) {
    char *name = malloc(raw.len + 1);
    if (!name) {
        abort();
    }
    struct sg_span clean = unquoted(copy, raw, name);
    bool is_known = sg_span_eq_cstr(clean, mark->old_name) || sg_span_eq_cstr(clean, mark->new_name);
    free(name);
    return is_known ? mark->here : raw;
}

static const struct sg_copy_mark *mark_of(const struct sg_copy *copy, size_t column) {
    for (size_t i = 0; i < copy->marks_len; i++) {
        if (copy->marks[i].column == column) {
            return &copy->marks[i];
        }
    }
    return NULL;
}

static void put_line(struct copy_bytes *out, const struct sg_copy *copy, const struct line *line, bool is_header) {
    struct sg_span kept[FIELDS_MAX + 8];
    size_t n = 0;
    for (size_t i = 0; i < line->n; i++) {
        const struct sg_copy_mark *mark = mark_of(copy, i);
        if (!mark || mark->change != SG_COPY_DROP) {
            bool is_open = line->is_unclosed && i + 1 == line->n;
            kept[n++] = is_header && mark && !is_open ? header_field(copy, mark, line->fields[i]) : line->fields[i];
        }
    }
    const struct sg_copy_mark *last = mark_of(copy, line->n - 1);
    if (line->is_unclosed && last && last->change == SG_COPY_DROP) {
        if (n == 0) {
            kept[n++] = (struct sg_span){"", 0};
        }
        kept[n++] = span(&copy->quote, &copy->quote + 1);
    }
    for (size_t i = 0; !line->is_unclosed && line->n >= copy->columns && i < copy->marks_len; i++) {
        if (copy->marks[i].change == SG_COPY_REPEAT) {
            kept[n++] = is_header ? copy->marks[i].repeated : line->fields[copy->marks[i].column];
        }
    }
    if (!line->is_unclosed && line->n < copy->columns &&
        (n ? n : 1) == (size_t)copy->columns - copy->drops + copy->repeats) {
        if (n == 0) {
            kept[n++] = (struct sg_span){"", 0};
        }
        kept[n++] = (struct sg_span){"", 0};
    }
    if (line->is_last && n == 0) {
        copy_bytes_put(out, "\n", 1); /* or it could not be seen */
    }
    for (size_t i = 0; i < n; i++) {
        copy_bytes_put(out, &copy->delimiter, i > 0);
        copy_bytes_put(out, kept[i].ptr, kept[i].len);
    }
}

static void put_raw(struct copy_bytes *out, const struct sg_copy *copy, const struct line *line) {
    for (size_t i = 0; i < line->n; i++) {
        copy_bytes_put(out, &copy->delimiter, i > 0);
        copy_bytes_put(out, line->fields[i].ptr, line->fields[i].len);
    }
}

static void lines(struct copy_bytes *out, const struct sg_copy *copy, const uint8_t *p, const uint8_t *end) {
    struct line *line = malloc(sizeof *line);
    if (!line) {
        abort();
    }
    bool is_first = true;
    do {
        bool is_header = is_first && copy->header != SG_COPY_NO_HEADER;
        line->n = 0;
        line->end = (struct sg_span){NULL, 0};
        line->is_last = line->is_none = line->is_unclosed = line->is_backslash = false;
        p = copy->format == SG_COPY_TEXT ? read_text_line(copy, p, end, line) : read_csv_line(copy, p, end, line);
        if (line->is_none) {
            break;
        }
        if (line->is_backslash) {
            bool is_right = (uint32_t)copy->columns - copy->drops + copy->repeats == 1;
            copy_bytes_put(out, is_right ? (const char *)&copy->delimiter : "\\", 1);
        } else if (is_header && copy->header == SG_COPY_HEADER) {
            put_raw(out, copy, line);
        } else {
            put_line(out, copy, line, is_header);
        }
        copy_bytes_put(out, line->end.ptr, line->end.len);
        is_first = false;
    } while (!line->is_last);
    copy_bytes_put(out, p, (size_t)(end - p));
    free(line);
}

/* ---- Binary ---- */

static uint32_t number(const uint8_t *at, size_t bytes) {
    uint32_t n = 0;
    for (size_t i = 0; i < bytes; i++) {
        n = n << 8 | at[i];
    }
    return n;
}

static void put_u16(struct copy_bytes *out, uint32_t n) {
    uint8_t bytes[2] = {(uint8_t)(n >> 8), (uint8_t)n};
    copy_bytes_put(out, bytes, 2);
}

/* One tuple behind its count. NULL: it was the last that could be read; what remains has been put. */
static const uint8_t *tuple(struct copy_bytes *out, const struct sg_copy *copy, const uint8_t *p, const uint8_t *end) {
    struct sg_span fields[8];
    for (uint32_t i = 0; i < copy->columns; i++) {
        const struct sg_copy_mark *mark = mark_of(copy, i);
        bool is_dropped = mark && mark->change == SG_COPY_DROP;
        size_t left = (size_t)(end - p);
        uint32_t len = left >= 4 ? number(p, 4) : 0;
        bool is_bad = left >= 4 && len > 0x3fffffff && len != UINT32_MAX;
        size_t size = 4 + (size_t)(len == UINT32_MAX ? 0 : len);
        if (is_bad || size > left) {
            if (is_bad || !is_dropped) {
                copy_bytes_put(out, p, left);
            } else {
                put_u16(out, 0);
            }
            return NULL;
        }
        fields[i] = span(p, p + size);
        p += size;
        if (!is_dropped) {
            copy_bytes_put(out, fields[i].ptr, size);
        }
    }
    for (size_t i = 0; i < copy->marks_len; i++) {
        if (copy->marks[i].change == SG_COPY_REPEAT) {
            copy_bytes_put(out, fields[copy->marks[i].column].ptr, fields[copy->marks[i].column].len);
        }
    }
    return p;
}

static void binary(struct copy_bytes *out, const struct sg_copy *copy, const uint8_t *p, const uint8_t *end) {
    static const char signature[11] = "PGCOPY\n\377\r\n";
    size_t len = (size_t)(end - p);
    uint32_t wanted = (uint32_t)copy->columns - copy->drops + copy->repeats;
    bool is_good = len >= 19 && memcmp(p, signature, 11) == 0 && number(p + 11, 2) == 0 && p[15] < 0x80 &&
                   number(p + 15, 4) <= len - 19;
    if (!is_good) {
        copy_bytes_put(out, p, len);
        return;
    }
    size_t head = 19 + number(p + 15, 4);
    copy_bytes_put(out, p, head);
    p += head;
    while (p && end - p >= 2) {
        uint32_t count = number(p, 2);
        p += 2;
        if (count != copy->columns) {
            put_u16(out, count == wanted ? copy->columns : count);
            copy_bytes_put(out, p, (size_t)(end - p));
            return;
        }
        put_u16(out, wanted);
        p = tuple(out, copy, p, end);
    }
}

struct copy_bytes copy_reference(const struct sg_copy *copy, const uint8_t *in, size_t len) {
    struct copy_bytes out = {0};
    copy_bytes_put(&out, "", 0);
    if (copy->format == SG_COPY_BINARY) {
        binary(&out, copy, in, in + len);
    } else {
        lines(&out, copy, in, in + len);
    }
    return out;
}

/* ---- The transformer ---- */

static void put(void *owner, const uint8_t *bytes, size_t len) {
    copy_bytes_put(owner, bytes, len);
}

struct copy_bytes copy_transform(const struct sg_copy *copy, const uint8_t *in, size_t len, size_t most) {
    struct copy_bytes out = {0};
    struct sg_copy_stream *stream = sg_copy_stream_new(copy, put, &out);
    copy_bytes_put(&out, "", 0);
    while (len > 0) {
        size_t n = most > 0 && most < len ? most : len;
        uint8_t *chunk = malloc(n);
        if (!chunk) {
            abort();
        }
        memcpy(chunk, in, n);
        sg_copy_stream_feed(stream, chunk, n);
        free(chunk);
        in += n;
        len -= n;
    }
    sg_copy_stream_end(stream);
    sg_copy_stream_free(stream);
    return out;
}

/* ---- Some plan ---- */

struct sg_copy copy_make(const uint8_t seed[8], struct sg_copy_mark *marks) {
    static const char quotes[] = "\"'|x";
    struct sg_copy copy = {
        .format = (enum sg_copy_format)(seed[0] % 3),
        .header = (enum sg_copy_header)(seed[1] % 3),
        .encoding = (enum sg_copy_encoding)(seed[2] % 5),
        .columns = (uint16_t)(1 + seed[3] % 4),
        .marks = marks,
    };
    copy.delimiter = copy.format == SG_COPY_CSV ? ",;\t"[seed[4] % 3] : "\t,|"[seed[4] % 3];
    copy.quote = (uint8_t)quotes[seed[5] % 4];
    copy.escape = seed[5] & 4 ? '\\' : copy.quote;
    bool is_binary = copy.format == SG_COPY_BINARY;
    copy.header = is_binary ? SG_COPY_NO_HEADER : copy.header;
    unsigned changes = seed[6] | (unsigned)seed[7] << 8;
    for (uint32_t i = 0; i < copy.columns; i++, changes >>= 2) {
        unsigned change = changes & 3;
        bool can_drop = copy.drops + 2u <= copy.columns && copy.columns > 2;
        if (change == 3 || (change == SG_COPY_DROP && !can_drop) ||
            (change == SG_COPY_RENAME && copy.header != SG_COPY_HEADER_MATCH)) {
            continue;
        }
        marks[copy.marks_len++] = (struct sg_copy_mark){.column = i,
                                                        .change = (enum sg_copy_change)change,
                                                        .old_name = "a",
                                                        .new_name = "b",
                                                        .here = SG_SPAN_LIT("here"),
                                                        .repeated = SG_SPAN_LIT("again")};
        copy.repeats += change == SG_COPY_REPEAT;
        copy.drops += change == SG_COPY_DROP;
    }
    if (copy.marks_len == 0) {
        marks[copy.marks_len++] = (struct sg_copy_mark){.column = 0,
                                                        .change = SG_COPY_REPEAT,
                                                        .old_name = "a",
                                                        .new_name = "b",
                                                        .here = SG_SPAN_LIT("here"),
                                                        .repeated = SG_SPAN_LIT("again")};
        copy.repeats = 1;
    }
    return copy;
}
