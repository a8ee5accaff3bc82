/*
 * copy — what a session must do to the data of a rewritten COPY ... FROM STDIN, and the transformer that does it
 * (PostgreSQL docs, COPY, "File Formats"; "COPY Operations" of the frontend/backend protocol).
 *
 * The rewritten statement names the columns the server gets; the client goes on sending the rows it knows. Each row has
 * fields repeated at its end, or taken out, on the way. Nothing else changes: every other byte is the client's, in the
 * client's order. Data that the server would not accept is passed on so that it still does not: a row that is too short
 * stays too short, and errors name the client's line.
 *
 * Incremental: the data may be cut anywhere. Memory is that of the fields of one row that are to be repeated.
 */
#ifndef SEGUE_COPY_H
#define SEGUE_COPY_H

#include "segue/arena.h"
#include "segue/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sg_copy_format { SG_COPY_TEXT, SG_COPY_CSV, SG_COPY_BINARY };

/* The first line: a row, a line the server skips, or names that it compares. */
enum sg_copy_header { SG_COPY_NO_HEADER, SG_COPY_HEADER, SG_COPY_HEADER_MATCH };

/* How characters whose second byte may be under 0x80 are told from their neighbours. */
enum sg_copy_encoding {
    SG_COPY_SINGLE,  /* every byte under 0x80 is a character: UTF8, LATIN1, EUC_JP, ... */
    SG_COPY_DOUBLE,  /* a high byte begins a character of two: BIG5, GBK, UHC */
    SG_COPY_SJIS,    /* likewise, but 0xa1..0xdf stand alone */
    SG_COPY_GB18030, /* two bytes, or four when the second is a digit */
    SG_COPY_JOHAB,   /* two bytes, or three after 0x8f */
};

enum sg_copy_change {
    SG_COPY_REPEAT, /* the field stands again at the end of the row */
    SG_COPY_DROP,   /* the server does not get it */
    SG_COPY_RENAME, /* only its name in a header differs */
};

/* A column of the client's that is not simply passed. */
struct sg_copy_mark {
    uint32_t column; /* 0-based, in the client's order */
    enum sg_copy_change change;
    /* HEADER_MATCH: the client may call the column by either name; the header gets here, and repeated at the end of
     * the line for REPEAT: both as they stand in the data, quoted and escaped. */
    const char *old_name, *new_name;
    struct sg_span here, repeated;
};

/* Immutable. Lives in the arena of its plan. */
struct sg_copy {
    const struct sg_copy *next; /* of the same text; NULL: the last */
    uint32_t index;             /* so many COPY ... FROM STDIN of the text come before it, changed or not */
    enum sg_copy_format format;
    enum sg_copy_header header;
    enum sg_copy_encoding encoding;
    uint8_t delimiter, quote, escape; /* text: delimiter only */
    uint16_t columns;                 /* that the client sends */
    uint16_t repeats, drops;          /* so many of the marks are */
    const struct sg_copy_mark *marks; /* by column; at least one */
    uint16_t marks_len;
};

/* A copy of its own in arena, and of what follows. */
const struct sg_copy *sg_copy_clone(struct sg_arena *arena, const struct sg_copy *copy);

struct sg_copy_stream;

/* Output in order; bytes are valid during the call only. */
typedef void sg_copy_put(void *owner, const uint8_t *bytes, size_t len);

/* copy must outlive the stream. */
struct sg_copy_stream *sg_copy_stream_new(const struct sg_copy *copy, sg_copy_put *put, void *owner);
/* The bodies of CopyData messages, cut in any way. */
void sg_copy_stream_feed(struct sg_copy_stream *stream, const uint8_t *bytes, size_t len);
/* CopyDone: what the last line still needs if nothing ends it. Not for CopyFail, after which nothing counts. */
void sg_copy_stream_end(struct sg_copy_stream *stream);
void sg_copy_stream_free(struct sg_copy_stream *stream);

#endif
