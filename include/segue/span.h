/* A view of bytes that somebody else owns. Never NUL-terminated unless the owner says so. */
#ifndef SEGUE_SPAN_H
#define SEGUE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct sg_span {
    const char *ptr;
    size_t len; /* bytes */
};

#define SG_SPAN_LIT(s) ((struct sg_span){(s), sizeof(s) - 1})

static inline struct sg_span sg_span_of(const char *cstr) {
    return (struct sg_span){cstr, cstr ? strlen(cstr) : 0};
}

static inline bool sg_span_eq(struct sg_span a, struct sg_span b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool sg_span_eq_cstr(struct sg_span a, const char *cstr) {
    return sg_span_eq(a, sg_span_of(cstr));
}

#endif
