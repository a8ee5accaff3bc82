/* The growable buffer that messages are built in. */
#include "segue/protocol.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 256u

void sg_buf_free(struct sg_buf *buf) {
    free(buf->data);
    *buf = (struct sg_buf){0};
}

void sg_buf_reserve(struct sg_buf *buf, size_t more) {
    if (buf->cap - buf->len >= more) {
        return;
    }
    if (more > SIZE_MAX / 2 - buf->len) {
        abort();
    }
    size_t need = buf->len + more;
    size_t cap = buf->cap ? buf->cap : FIRST_CAPACITY;
    while (cap < need) {
        cap *= 2; /* need <= SIZE_MAX / 2, so the last doubling cannot overflow */
    }
    uint8_t *data = realloc(buf->data, cap);
    if (!data) {
        abort();
    }
    buf->data = data;
    buf->cap = cap;
}

void sg_buf_put(struct sg_buf *buf, const void *bytes, size_t len) {
    if (len == 0) {
        return; /* bytes may be NULL */
    }
    sg_buf_reserve(buf, len);
    memcpy(buf->data + buf->len, bytes, len);
    buf->len += len;
}

void sg_buf_put_u8(struct sg_buf *buf, uint8_t v) {
    sg_buf_put(buf, &v, sizeof v);
}

void sg_buf_put_u16(struct sg_buf *buf, uint16_t v) {
    sg_buf_put(buf, (const uint8_t[]){(uint8_t)(v >> 8), (uint8_t)v}, 2);
}

void sg_buf_put_u32(struct sg_buf *buf, uint32_t v) {
    sg_buf_put(buf, (const uint8_t[]){(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v}, 4);
}

void sg_buf_put_cstr(struct sg_buf *buf, const char *cstr) {
    sg_buf_put(buf, cstr, strlen(cstr) + 1);
}

void sg_buf_put_span_cstr(struct sg_buf *buf, struct sg_span span) {
    sg_buf_put(buf, span.ptr, span.len);
    sg_buf_put_u8(buf, 0);
}
