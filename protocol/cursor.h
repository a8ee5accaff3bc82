/*
 * The bounds-checked walk that every view is written with. Private to protocol/.
 *
 * A take that fails leaves the cursor where it was. Remaining bytes are always computed as end - at, never as an offset
 * plus a length from the wire, so that no length can overflow.
 */
#ifndef SEGUE_PROTOCOL_CURSOR_H
#define SEGUE_PROTOCOL_CURSOR_H

#include "segue/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct sg_cursor {
    const uint8_t *at, *end;
};

static inline uint16_t sg_load_u16(const uint8_t *p) {
    return (uint16_t)((uint32_t)p[0] << 8 | p[1]);
}

static inline uint32_t sg_load_u32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* An empty body may come as NULL; adding to NULL or searching it is undefined even for no bytes. */
static inline struct sg_cursor sg_cursor_of(const uint8_t *body, size_t len) {
    static const uint8_t nothing[1];
    if (len == 0) {
        return (struct sg_cursor){nothing, nothing};
    }
    return (struct sg_cursor){body, body + len};
}

static inline size_t sg_cursor_left(const struct sg_cursor *cursor) {
    return (size_t)(cursor->end - cursor->at);
}

static inline bool sg_cursor_at_end(const struct sg_cursor *cursor) {
    return cursor->at == cursor->end;
}

static inline bool sg_take_u8(struct sg_cursor *cursor, uint8_t *ret) {
    if (sg_cursor_left(cursor) < 1) {
        return false;
    }
    *ret = *cursor->at++;
    return true;
}

static inline bool sg_take_u16(struct sg_cursor *cursor, uint16_t *ret) {
    if (sg_cursor_left(cursor) < 2) {
        return false;
    }
    *ret = sg_load_u16(cursor->at);
    cursor->at += 2;
    return true;
}

static inline bool sg_take_u32(struct sg_cursor *cursor, uint32_t *ret) {
    if (sg_cursor_left(cursor) < 4) {
        return false;
    }
    *ret = sg_load_u32(cursor->at);
    cursor->at += 4;
    return true;
}

/* The span is without its NUL, but the NUL is there, behind it. */
static inline bool sg_take_cstr(struct sg_cursor *cursor, struct sg_span *ret) {
    const uint8_t *nul = memchr(cursor->at, 0, sg_cursor_left(cursor));
    if (!nul) {
        return false;
    }
    *ret = (struct sg_span){(const char *)cursor->at, (size_t)(nul - cursor->at)};
    cursor->at = nul + 1;
    return true;
}

static inline bool sg_take_bytes(struct sg_cursor *cursor, size_t len, struct sg_span *ret) {
    if (sg_cursor_left(cursor) < len) {
        return false;
    }
    *ret = (struct sg_span){(const char *)cursor->at, len};
    cursor->at += len;
    return true;
}

/* The wire's signed integers, without the implementation-defined conversion. */
static inline int32_t sg_signed32(uint32_t v) {
    int32_t out;
    memcpy(&out, &v, sizeof out);
    return out;
}

static inline int16_t sg_signed16(uint16_t v) {
    int16_t out;
    memcpy(&out, &v, sizeof out);
    return out;
}

#endif
