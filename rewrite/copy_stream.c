#include "copy_stream.h"

#include <stdlib.h>
#include <string.h>

#define FIELD_MAX_BYTES 0x3fffffffu /* PostgreSQL's MaxAllocSize: no line is longer */

/* ---- Captures ---- */

static void make_room(struct sg_capture *capture, size_t bytes) {
    size_t cap = capture->saved_cap ? capture->saved_cap : 64;
    while (cap < bytes)
        cap *= 2;
    uint8_t *bigger = realloc(capture->saved, cap);
    if (!bigger)
        abort();
    capture->saved = bigger;
    capture->saved_cap = cap;
}

bool sg_capture_save(struct sg_capture *capture, const uint8_t *bytes, size_t len) {
    if (len == 0)
        return true;
    if (len > FIELD_MAX_BYTES - capture->saved_len)
        return false;
    if (capture->saved_len + len > capture->saved_cap)
        make_room(capture, capture->saved_len + len);
    memcpy(capture->saved + capture->saved_len, bytes, len);
    capture->saved_len += len;
    return true;
}

/* What a huge field took is given back with the next row. */
void sg_capture_clear(struct sg_capture *capture) {
    enum { KEEP_BYTES = 1 << 16 };
    capture->at = NULL;
    capture->len = capture->saved_len = 0;
    if (capture->saved_cap > KEEP_BYTES) {
        free(capture->saved);
        capture->saved = NULL;
        capture->saved_cap = 0;
    }
}

/* ---- The stream ---- */

struct sg_copy_stream *sg_copy_stream_new(const struct sg_copy *copy, sg_copy_put *put, void *owner) {
    struct sg_copy_stream *st = calloc(1, sizeof *st + sizeof *st->captures * copy->marks_len);
    if (!st)
        abort();
    st->copy = copy;
    st->put = put;
    st->owner = owner;
    if (copy->format != SG_COPY_BINARY) {
        sg_lines_init(st);
        sg_rows_init(st);
    }
    return st;
}

void sg_copy_stream_feed(struct sg_copy_stream *st, const uint8_t *bytes, size_t len) {
    const uint8_t *end = bytes + len;
    if (len == 0)
        return;
    if (st->place == SG_COPY_AFTER_END) {
        sg_put(st, bytes, len);
        return;
    }
    if (st->copy->format == SG_COPY_BINARY) {
        sg_binary_feed(st, bytes, end);
        return;
    }
    sg_rows_chunk(st, bytes);
    const uint8_t *done = st->copy->format == SG_COPY_TEXT ? sg_text_scan(st, bytes, end) : sg_csv_scan(st, bytes, end);
    if (st->place == SG_COPY_IN_ROWS)
        sg_rows_chunk_end(st, done);
    else
        sg_put(st, st->rows.run, (size_t)(end - st->rows.run));
}

void sg_copy_stream_end(struct sg_copy_stream *st) {
    if (st->place == SG_COPY_AFTER_END)
        return;
    switch (st->copy->format) {
    case SG_COPY_TEXT:
        sg_text_end(st);
        break;
    case SG_COPY_CSV:
        sg_csv_end(st);
        break;
    case SG_COPY_BINARY:
        sg_binary_end(st);
        break;
    }
    sg_copy_pass(st);
}

void sg_copy_stream_free(struct sg_copy_stream *st) {
    if (!st)
        return;
    for (size_t i = 0; i < st->copy->marks_len; i++)
        free(st->captures[i].saved);
    free(st);
}

const struct sg_copy *sg_copy_clone(struct sg_arena *arena, const struct sg_copy *copy) {
    struct sg_copy *clone = sg_arena_copy(arena, copy, sizeof *copy);
    struct sg_copy_mark *marks = sg_arena_copy(arena, copy->marks, sizeof *marks * copy->marks_len);
    for (size_t i = 0; i < copy->marks_len; i++) {
        marks[i].old_name = sg_arena_strdup(arena, marks[i].old_name);
        marks[i].new_name = sg_arena_strdup(arena, marks[i].new_name);
        marks[i].here.ptr = sg_arena_strndup(arena, marks[i].here.ptr, marks[i].here.len);
        marks[i].repeated.ptr = sg_arena_strndup(arena, marks[i].repeated.ptr, marks[i].repeated.len);
    }
    clone->marks = marks;
    clone->next = copy->next ? sg_copy_clone(arena, copy->next) : NULL;
    return clone;
}
