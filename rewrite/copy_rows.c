/* Rows of text and CSV: which fields are put, put again, or not put at all. */
#include "copy_stream.h"

#include <string.h>

static const uint8_t *delimiter_of(const struct sg_copy_stream *st) {
    return &st->copy->delimiter;
}

static void put_to(struct sg_copy_stream *st, const uint8_t *at) {
    sg_put(st, st->rows.run, (size_t)(at - st->rows.run));
    st->rows.run = at;
}

/* ---- Marks ---- */

static bool concerns_line(const struct sg_rows *rows, const struct sg_copy *copy, const struct sg_copy_mark *mark) {
    if (rows->is_header)
        return copy->header == SG_COPY_HEADER_MATCH;
    return mark->change != SG_COPY_RENAME;
}

static void find_mark(struct sg_copy_stream *st) {
    struct sg_rows *rows = &st->rows;
    const struct sg_copy *copy = st->copy;
    while (rows->mark < copy->marks_len && !concerns_line(rows, copy, &copy->marks[rows->mark]))
        rows->mark++;
    rows->next_mark = rows->mark < copy->marks_len ? copy->marks[rows->mark].column : UINT32_MAX;
}

/* Its field begins at field; run: up to where all before is to be put. */
static void open_mark(struct sg_copy_stream *st, const uint8_t *run, const uint8_t *field) {
    struct sg_rows *rows = &st->rows;
    enum sg_copy_change change = st->copy->marks[rows->mark].change;
    rows->is_open = true;
    rows->is_withheld = change == SG_COPY_DROP || rows->is_header;
    if (change != SG_COPY_DROP) {
        st->captures[rows->mark].at = field;
        st->captures[rows->mark].len = 0;
    }
    if (rows->is_withheld)
        put_to(st, run);
}

/* The name that a header field spells. False when no name of a column is like it: too long, or with characters that
 * only an escape can write. */
static bool header_name(const struct sg_copy *copy, struct sg_span raw, char *name, size_t size) {
    const bool is_text = copy->format == SG_COPY_TEXT;
    bool is_quoted = false;
    size_t n = 0;
    for (size_t i = 0; i < raw.len; i++) {
        uint8_t c = (uint8_t)raw.ptr[i];
        uint8_t next = i + 1 < raw.len ? (uint8_t)raw.ptr[i + 1] : 0;
        if (is_text && c == '\\' && i + 1 < raw.len) {
            c = strchr("bfnrtvx01234567", next) ? 0 : next;
            i++;
        } else if (is_quoted && c == copy->escape && i + 1 < raw.len && (next == copy->escape || next == copy->quote)) {
            c = next;
            i++;
        } else if (!is_text && c == copy->quote) {
            is_quoted = !is_quoted;
            continue;
        }
        if (n + 1 >= size || c == 0)
            return false;
        name[n++] = (char)c;
    }
    name[n] = '\0';
    return true;
}

static void put_header_name(struct sg_copy_stream *st, struct sg_span raw) {
    const struct sg_copy_mark *mark = &st->copy->marks[st->rows.mark];
    char name[256];
    bool is_known = header_name(st->copy, raw, name, sizeof name) &&
                    (strcmp(name, mark->old_name) == 0 || strcmp(name, mark->new_name) == 0);
    if (is_known)
        raw = mark->here;
    sg_put(st, raw.ptr, raw.len);
}

/* The field ends before at. */
static void close_mark(struct sg_copy_stream *st, const uint8_t *at) {
    struct sg_rows *rows = &st->rows;
    struct sg_capture *capture = &st->captures[rows->mark];
    if (st->copy->marks[rows->mark].change != SG_COPY_DROP) {
        if (capture->at)
            capture->len = (size_t)(at - capture->at);
        else if (!sg_capture_save(capture, rows->chunk, (size_t)(at - rows->chunk)))
            sg_copy_pass(st);
        if (rows->is_header)
            put_header_name(st, sg_capture_bytes(capture));
    }
    if (rows->is_withheld)
        rows->run = at;
    rows->is_open = rows->is_withheld = false;
    rows->mark++;
    find_mark(st);
}

/* A delimiter belongs to the field behind it. */
void sg_rows_marked_delimiter(struct sg_copy_stream *st, const uint8_t *at) {
    struct sg_rows *rows = &st->rows;
    if (rows->is_open)
        close_mark(st, at);
    bool is_next = ++rows->field == rows->next_mark;
    bool is_dropped = is_next && st->copy->marks[rows->mark].change == SG_COPY_DROP;
    if (rows->is_none_kept) {
        rows->run = at + 1;
        rows->is_none_kept = is_dropped;
    }
    if (is_next)
        open_mark(st, is_dropped && rows->run <= at ? at : at + 1, at + 1);
}

void sg_rows_next_field(struct sg_copy_stream *st, const uint8_t *at) {
    struct sg_rows *rows = &st->rows;
    if (rows->is_open)
        close_mark(st, at);
    if (++rows->field == rows->next_mark)
        open_mark(st, at, at);
}

/* ---- Lines ---- */

void sg_rows_line_begin(struct sg_copy_stream *st, const uint8_t *at) {
    struct sg_rows *rows = &st->rows;
    rows->line = at;
    rows->is_begun = false;
    rows->head_len = 0;
    rows->field = 0;
    rows->mark = 0;
    find_mark(st);
    for (size_t i = 0; i < st->copy->marks_len; i++)
        sg_capture_clear(&st->captures[i]);
    rows->is_none_kept = false;
    if (rows->next_mark == 0) {
        rows->is_none_kept = st->copy->marks[rows->mark].change == SG_COPY_DROP;
        open_mark(st, at, at);
    }
}

static void put_repeated(struct sg_copy_stream *st, size_t i) {
    const struct sg_copy_mark *mark = &st->copy->marks[i];
    const struct sg_capture *capture = &st->captures[i];
    if (st->rows.is_header) {
        sg_put(st, delimiter_of(st), 1);
        sg_put(st, mark->repeated.ptr, mark->repeated.len);
    } else if (capture->at && mark->column > 0 && capture->at > st->rows.chunk) {
        sg_put(st, capture->at - 1, capture->len + 1); /* with the delimiter before it */
    } else {
        struct sg_span bytes = sg_capture_bytes(capture);
        sg_put(st, delimiter_of(st), 1);
        sg_put(st, bytes.ptr, bytes.len);
    }
}

/* A row too short may not become one of the right length because a dropped field was among those it lacks. */
static bool looks_complete(const struct sg_copy_stream *st, uint32_t fields) {
    const struct sg_copy *copy = st->copy;
    uint32_t left = fields;
    for (size_t i = 0; i < copy->marks_len; i++)
        left -= copy->marks[i].change == SG_COPY_DROP && copy->marks[i].column < fields;
    left = left ? left : 1; /* an empty line has one field */
    return left == (uint32_t)copy->columns - copy->drops + copy->repeats;
}

void sg_rows_line_end(struct sg_copy_stream *st, const uint8_t *at) {
    struct sg_rows *rows = &st->rows;
    const struct sg_copy *copy = st->copy;
    if (rows->is_open)
        close_mark(st, at);
    uint32_t fields = rows->field + 1;
    bool is_skipped = rows->is_header && copy->header == SG_COPY_HEADER;
    if (!is_skipped && fields >= copy->columns && copy->repeats > 0) {
        put_to(st, at);
        for (size_t i = 0; i < copy->marks_len; i++)
            if (copy->marks[i].change == SG_COPY_REPEAT)
                put_repeated(st, i);
    } else if (!is_skipped && fields < copy->columns && looks_complete(st, fields)) {
        put_to(st, at);
        sg_put(st, delimiter_of(st), 1);
    }
    rows->is_header = false;
}

void sg_rows_last_line_end(struct sg_copy_stream *st, const uint8_t *at) {
    uint32_t fields = st->rows.field + 1;
    bool is_gone = st->rows.is_none_kept && !looks_complete(st, fields);
    sg_rows_line_end(st, at);
    if (is_gone)
        sg_put(st, "\n", 1); /* all it had was dropped: without this the server would not see that there was a line */
}

void sg_rows_lone_backslash(struct sg_copy_stream *st) {
    if (looks_complete(st, 1))
        sg_put(st, delimiter_of(st), 1);
    else
        sg_put(st, "\\", 1);
}

bool sg_rows_line_is(const struct sg_copy_stream *st, const uint8_t *at, struct sg_span text) {
    const struct sg_rows *rows = &st->rows;
    size_t here = (size_t)(at - rows->line);
    return rows->head_len + here == text.len && memcmp(rows->head, text.ptr, rows->head_len) == 0 &&
           memcmp(rows->line, text.ptr + rows->head_len, here) == 0;
}

/* ---- Chunks ---- */

void sg_rows_init(struct sg_copy_stream *st) {
    static const uint8_t none;
    st->rows.chunk = st->rows.run = &none;
    st->rows.is_header = st->copy->header != SG_COPY_NO_HEADER;
    sg_rows_line_begin(st, &none);
    sg_rows_chunk_end(st, &none);
}

void sg_rows_chunk(struct sg_copy_stream *st, const uint8_t *chunk) {
    st->rows.chunk = st->rows.run = st->rows.line = chunk;
}

static bool save_captures(struct sg_copy_stream *st, const uint8_t *end) {
    const struct sg_rows *rows = &st->rows;
    bool fits = true;
    for (size_t i = 0; i < st->copy->marks_len; i++) {
        struct sg_capture *capture = &st->captures[i];
        bool is_open = rows->is_open && i == rows->mark && st->copy->marks[i].change != SG_COPY_DROP;
        const uint8_t *at = capture->at ? capture->at : rows->chunk;
        capture->at = NULL;
        if (is_open)
            fits &= sg_capture_save(capture, at, (size_t)(end - at));
        else if (at != rows->chunk || capture->len > 0)
            fits &= sg_capture_save(capture, at, capture->len);
        capture->len = 0;
    }
    return fits;
}

void sg_rows_chunk_end(struct sg_copy_stream *st, const uint8_t *end) {
    struct sg_rows *rows = &st->rows;
    if (!rows->is_withheld)
        put_to(st, end);
    if (!save_captures(st, end))
        sg_copy_pass(st);
    for (const uint8_t *p = rows->line; p < end && rows->head_len < sizeof rows->head; p++)
        rows->head[rows->head_len++] = *p;
    rows->is_begun |= rows->line < end;
}

void sg_rows_inject(struct sg_copy_stream *st, const char *bytes, size_t len) {
    struct sg_rows *rows = &st->rows;
    if (!rows->is_withheld)
        sg_put(st, bytes, len);
    if (rows->is_open && st->copy->marks[rows->mark].change != SG_COPY_DROP &&
        !sg_capture_save(&st->captures[rows->mark], (const uint8_t *)bytes, len))
        sg_copy_pass(st);
    rows->is_begun = true;
}
