/*
 * copy_stream — the parts of a COPY transformer.
 *
 *      feed --> scanner (copy_text, copy_csv): where fields and lines end --> rows (copy_rows): what is put, what is
 *         \                                                                   kept back, what is put again --> put
 *          \-> copy_binary: both in one, because lengths are written out
 *
 * Invariants of the rows:
 *   1. Bytes of the chunk before run have been put, dropped or saved; none at or after it has.
 *   2. A capture is open from the start of its field to its end. Its bytes are in the chunk (at, len), or, when the
 *      field began in an earlier chunk, in saved.
 *   3. Between two feeds nothing points into a chunk.
 */
#ifndef SEGUE_REWRITE_COPY_STREAM_H
#define SEGUE_REWRITE_COPY_STREAM_H

#include "segue/copy.h"

/* A field of the row in hand that will be needed again. */
struct sg_capture {
    const uint8_t *at; /* in the chunk; NULL: in saved */
    size_t len;
    uint8_t *saved;
    size_t saved_len, saved_cap;
};

enum sg_copy_place {
    SG_COPY_IN_ROWS,
    SG_COPY_AFTER_END, /* the end marker was seen, or the server will refuse what comes: all is passed */
};

struct sg_rows {
    const uint8_t *chunk, *run; /* inv. 1 */
    const uint8_t *line;        /* where the line in hand begins; with is_begun, chunk */
    uint32_t field;             /* in hand, 0-based */
    uint32_t next_mark;         /* column of the next mark; UINT32_MAX: none is left in this line */
    uint16_t mark;
    bool is_open;      /* the field in hand is the mark's */
    bool is_withheld;  /* and its bytes are not put */
    bool is_none_kept; /* all fields so far were dropped: the next has no delimiter before it */
    bool is_header;    /* the line in hand is the first, and is not a row */
    bool is_begun;     /* the line has bytes in earlier chunks */
    uint8_t head[3];   /* the first of those */
    uint8_t head_len;
};

/* Where a scanner of text or CSV is between two bytes. */
struct sg_lines {
    bool is_quoted, is_escaped; /* CSV */
    bool has_backslash;         /* text: held back at the end of a chunk */
    bool is_after_cr;           /* a line feed now belongs to the line before */
    bool is_second;             /* GB18030: the next byte says how long the character is */
    uint8_t skip;               /* bytes of the character in hand that are still to come */
    uint8_t is_special[256];    /* to stop at, outside of quotes */
    uint8_t is_special_quoted[256];
};

struct sg_binary {
    enum {
        SG_BINARY_SIGNATURE,
        SG_BINARY_FLAGS,
        SG_BINARY_EXTENSION_LENGTH,
        SG_BINARY_EXTENSION,
        SG_BINARY_COUNT,
        SG_BINARY_LENGTH,
        SG_BINARY_VALUE,
    } at;
    uint8_t head[12]; /* of what has a fixed size */
    uint8_t head_len;
    uint32_t left; /* bytes of the value or extension still to come */
};

struct sg_copy_stream {
    const struct sg_copy *copy;
    sg_copy_put *put;
    void *owner;
    enum sg_copy_place place;
    struct sg_rows rows;
    struct sg_lines lines;
    struct sg_binary binary;
    struct sg_capture captures[]; /* one a mark */
};

static inline void sg_put(struct sg_copy_stream *st, const void *bytes, size_t len) {
    if (len > 0)
        st->put(st->owner, bytes, len);
}

/* False when it is more than any field the server takes. */
bool sg_capture_save(struct sg_capture *capture, const uint8_t *bytes, size_t len);
void sg_capture_clear(struct sg_capture *capture);
static inline struct sg_span sg_capture_bytes(const struct sg_capture *capture) {
    if (capture->at)
        return (struct sg_span){(const char *)capture->at, capture->len};
    return (struct sg_span){(const char *)capture->saved, capture->saved_len};
}

/* Everything from here on is passed. */
static inline void sg_copy_pass(struct sg_copy_stream *st) {
    st->place = SG_COPY_AFTER_END;
}

/* ---- Rows (copy_rows.c): called by the scanners, with points of the chunk ---- */

void sg_rows_init(struct sg_copy_stream *st);
void sg_rows_chunk(struct sg_copy_stream *st, const uint8_t *chunk);
void sg_rows_chunk_end(struct sg_copy_stream *st, const uint8_t *end);
/* Bytes that were held back from the chunk before belong to the field in hand. */
void sg_rows_inject(struct sg_copy_stream *st, const char *bytes, size_t len);
/* What a delimiter means where a mark begins or ends. */
void sg_rows_marked_delimiter(struct sg_copy_stream *st, const uint8_t *at);
/* The line ends before at: adds what the row lacks. */
void sg_rows_line_end(struct sg_copy_stream *st, const uint8_t *at);
/* The same for a line that only the end of the data ends, or the end marker. */
void sg_rows_last_line_end(struct sg_copy_stream *st, const uint8_t *at);
/* Text: the last line is a backslash and no more: one field, of no value, where more were wanted. */
void sg_rows_lone_backslash(struct sg_copy_stream *st);
/* And the next begins at at. */
void sg_rows_line_begin(struct sg_copy_stream *st, const uint8_t *at);
static inline bool sg_rows_line_is_empty(const struct sg_copy_stream *st, const uint8_t *at) {
    return !st->rows.is_begun && st->rows.line == at;
}
bool sg_rows_line_is(const struct sg_copy_stream *st, const uint8_t *at, struct sg_span text);

/* Binary: the field in hand ends at at, and the next, if there is one, begins there. */
void sg_rows_next_field(struct sg_copy_stream *st, const uint8_t *at);

static inline void sg_rows_delimiter(struct sg_copy_stream *st, const uint8_t *at) {
    struct sg_rows *rows = &st->rows;
    if (rows->is_open || rows->is_none_kept || rows->field + 1 == rows->next_mark)
        sg_rows_marked_delimiter(st, at);
    else
        rows->field++;
}

/* ---- Lines (copy_lines.c): what text and CSV have in common ---- */

void sg_lines_init(struct sg_copy_stream *st);
/* at: the first byte of a character of several, or of one that cannot be told from one. Gives the byte behind it, as
 * far as it is in the chunk. */
const uint8_t *sg_lines_wide(struct sg_copy_stream *st, const uint8_t *at, const uint8_t *end);
/* The rest of a character that began in the chunk before. */
const uint8_t *sg_lines_resume(struct sg_copy_stream *st, const uint8_t *p, const uint8_t *end);
/* at: a carriage return or line feed that ends a line. */
const uint8_t *sg_lines_break(struct sg_copy_stream *st, const uint8_t *at);

/* ---- Scanners: give the byte up to which the chunk is dealt with ---- */

const uint8_t *sg_text_scan(struct sg_copy_stream *st, const uint8_t *p, const uint8_t *end);
void sg_text_end(struct sg_copy_stream *st);
const uint8_t *sg_csv_scan(struct sg_copy_stream *st, const uint8_t *p, const uint8_t *end);
void sg_csv_end(struct sg_copy_stream *st);

void sg_binary_feed(struct sg_copy_stream *st, const uint8_t *p, const uint8_t *end);
void sg_binary_end(struct sg_copy_stream *st);

#endif
