/* Any data under any plan for them: the same whatever pieces they come in, and the same as the slow way finds. */
#include "check.h"
#include "copy_reference.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct copy_bytes *a, const struct copy_bytes *b) {
    CHECK(a->n == b->n && memcmp(a->v, b->v, a->n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { CONFIG_BYTES = 8, DATA_MAX_BYTES = 4000 };
    if (size <= CONFIG_BYTES || size > CONFIG_BYTES + DATA_MAX_BYTES) {
        return 0;
    }
    struct sg_copy_mark marks[4];
    struct sg_copy copy = copy_make(data, marks);
    const uint8_t *in = data + CONFIG_BYTES;
    size_t len = size - CONFIG_BYTES;
    struct copy_bytes whole = copy_transform(&copy, in, len, 0);
    struct copy_bytes bytes = copy_transform(&copy, in, len, 1);
    struct copy_bytes pieces = copy_transform(&copy, in, len, 2 + data[0] / 3);
    struct copy_bytes slow = copy_reference(&copy, in, len);
    check_same(&whole, &bytes);
    check_same(&whole, &pieces);
    check_same(&whole, &slow);
    free(whole.v);
    free(bytes.v);
    free(pieces.v);
    free(slow.v);
    return 0;
}
