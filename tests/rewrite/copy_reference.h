/*
 * What COPY data must become, computed the slow way: the whole of it at once, cut into lines and fields first and put
 * together again afterwards. For comparison with the transformer, which does neither.
 */
#ifndef SEGUE_TESTS_COPY_REFERENCE_H
#define SEGUE_TESTS_COPY_REFERENCE_H

#include "segue/copy.h"

struct copy_bytes {
    uint8_t *v;
    size_t n, cap;
};

void copy_bytes_put(struct copy_bytes *bytes, const void *more, size_t len);

/* The caller frees the result's memory. */
struct copy_bytes copy_reference(const struct sg_copy *copy, const uint8_t *in, size_t len);

/* The same through the transformer, in pieces of at most `most` bytes (0: in one), each in memory of its own size. */
struct copy_bytes copy_transform(const struct sg_copy *copy, const uint8_t *in, size_t len, size_t most);

/* Some plan for data, made of 8 bytes: any of the formats, header choices and encodings, up to four columns, marks.
 * Points into *marks, which has room for 4. */
struct sg_copy copy_make(const uint8_t seed[8], struct sg_copy_mark *marks);

#endif
