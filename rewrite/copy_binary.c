/*
 * Binary format (PostgreSQL docs, COPY, "Binary Format").
 *
 *      SIGNATURE -> FLAGS -> EXTENSION_LENGTH -> EXTENSION -> COUNT -> LENGTH -> VALUE -.
 *                                                              ^        ^--next_field--+
 *                                                              '------- end_tuple -----'
 *
 * Numbers of fixed size are gathered in head. A field is its length and its value: both are repeated or dropped. A
 * number that the server will not accept ends the work: it is passed, and so is all that follows.
 */
#include "copy_stream.h"

#include <string.h>

#define VALUE_MAX_BYTES 0x3fffffffu

static const char signature[11] = "PGCOPY\n\377\r\n";

static void put_to(struct sg_copy_stream *st, const uint8_t *at) {
    sg_put(st, st->rows.run, (size_t)(at - st->rows.run));
    st->rows.run = at;
}

/* True when head has bytes of them; *p moves behind those that are there. */
static bool gather(struct sg_binary *bin, const uint8_t **p, const uint8_t *end, uint8_t bytes) {
    while (bin->head_len < bytes && *p < end)
        bin->head[bin->head_len++] = *(*p)++;
    return bin->head_len == bytes;
}

static uint32_t take_u32(struct sg_binary *bin) {
    bin->head_len = 0;
    return (uint32_t)bin->head[0] << 24 | (uint32_t)bin->head[1] << 16 | (uint32_t)bin->head[2] << 8 | bin->head[3];
}

static const uint8_t *skip(struct sg_binary *bin, const uint8_t *p, const uint8_t *end) {
    size_t there = (size_t)(end - p);
    size_t n = bin->left < there ? bin->left : there;
    bin->left -= (uint32_t)n;
    return p + n;
}

/* The next tuple's count is not put before it is known. */
static void begin_count(struct sg_copy_stream *st, const uint8_t *at) {
    st->binary.at = SG_BINARY_COUNT;
    put_to(st, at);
    st->rows.is_withheld = true;
}

static void on_extension(struct sg_copy_stream *st, const uint8_t *p, uint32_t len) {
    st->binary.left = len;
    st->binary.at = SG_BINARY_EXTENSION;
    if (len > INT32_MAX)
        sg_copy_pass(st);
    else if (len == 0)
        begin_count(st, p);
}

static void put_count(struct sg_copy_stream *st, uint32_t count) {
    uint8_t bytes[2] = {(uint8_t)(count >> 8), (uint8_t)count};
    sg_put(st, bytes, sizeof bytes);
}

/* p: behind the count. A count that is wrong must not become right. */
static void on_count(struct sg_copy_stream *st, const uint8_t *p) {
    struct sg_binary *bin = &st->binary;
    const struct sg_copy *copy = st->copy;
    uint32_t count = (uint32_t)bin->head[0] << 8 | bin->head[1];
    uint32_t wanted = (uint32_t)copy->columns - copy->drops + copy->repeats;
    bin->head_len = 0;
    st->rows.is_withheld = false;
    st->rows.run = p;
    if (count == copy->columns) {
        put_count(st, wanted);
        bin->at = SG_BINARY_LENGTH;
        sg_rows_line_begin(st, p);
    } else {
        put_count(st, count == wanted ? copy->columns : count); /* also -1, which ends the data */
        sg_copy_pass(st);
    }
}

static void end_tuple(struct sg_copy_stream *st, const uint8_t *at) {
    put_to(st, at);
    for (size_t i = 0; i < st->copy->marks_len; i++) {
        struct sg_span bytes = sg_capture_bytes(&st->captures[i]);
        if (st->copy->marks[i].change == SG_COPY_REPEAT)
            sg_put(st, bytes.ptr, bytes.len);
        sg_capture_clear(&st->captures[i]);
    }
    begin_count(st, at);
}

static void end_field(struct sg_copy_stream *st, const uint8_t *at) {
    bool is_last = st->rows.field + 1 == st->copy->columns;
    sg_rows_next_field(st, at);
    if (is_last)
        end_tuple(st, at);
    else
        st->binary.at = SG_BINARY_LENGTH;
}

static void on_length(struct sg_copy_stream *st, const uint8_t *p) {
    struct sg_binary *bin = &st->binary;
    uint32_t len = take_u32(bin);
    if (len == UINT32_MAX) { /* NULL */
        end_field(st, p);
    } else if (len > VALUE_MAX_BYTES) {
        if (st->rows.is_withheld) {
            st->rows.run = p;
            sg_put(st, bin->head, 4);
        }
        sg_copy_pass(st);
    } else {
        bin->left = len;
        bin->at = SG_BINARY_VALUE;
        if (len == 0)
            end_field(st, p);
    }
}

static const uint8_t *step(struct sg_copy_stream *st, const uint8_t *p, const uint8_t *end) {
    struct sg_binary *bin = &st->binary;
    switch (bin->at) {
    case SG_BINARY_SIGNATURE:
        if (gather(bin, &p, end, sizeof signature)) {
            bin->head_len = 0;
            bin->at = SG_BINARY_FLAGS;
            if (memcmp(bin->head, signature, sizeof signature) != 0)
                sg_copy_pass(st);
        }
        return p;
    case SG_BINARY_FLAGS:
        if (gather(bin, &p, end, 4)) {
            bin->at = SG_BINARY_EXTENSION_LENGTH;
            if (take_u32(bin) >> 16 != 0) /* critical flags: none is known */
                sg_copy_pass(st);
        }
        return p;
    case SG_BINARY_EXTENSION_LENGTH:
        if (gather(bin, &p, end, 4))
            on_extension(st, p, take_u32(bin));
        return p;
    case SG_BINARY_EXTENSION:
        p = skip(bin, p, end);
        if (bin->left == 0)
            begin_count(st, p);
        return p;
    case SG_BINARY_COUNT:
        if (gather(bin, &p, end, 2))
            on_count(st, p);
        return p;
    case SG_BINARY_LENGTH:
        if (gather(bin, &p, end, 4))
            on_length(st, p);
        return p;
    case SG_BINARY_VALUE:
        p = skip(bin, p, end);
        if (bin->left == 0)
            end_field(st, p);
        return p;
    }
    return end;
}

void sg_binary_feed(struct sg_copy_stream *st, const uint8_t *p, const uint8_t *end) {
    sg_rows_chunk(st, p);
    while (p < end && st->place == SG_COPY_IN_ROWS)
        p = step(st, p, end);
    if (st->place == SG_COPY_IN_ROWS)
        sg_rows_chunk_end(st, end);
    else
        sg_put(st, st->rows.run, (size_t)(end - st->rows.run));
}

void sg_binary_end(struct sg_copy_stream *st) {
    /* Data that end inside of a dropped field would look complete. No tuple has no fields. */
    if (st->rows.is_open && st->rows.is_withheld)
        put_count(st, 0);
}
