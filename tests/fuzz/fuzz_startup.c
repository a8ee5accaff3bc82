/*
 * One start-up packet, grown byte by byte.
 *
 * Properties: the answer goes MORE* then OK* or BAD*, never back; OK says the same packet whatever follows it; every
 * span lies in the packet and ends in a NUL there; the parameters' bytes are exactly their names and values.
 */
#include "check.h"
#include "segue/protocol.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(const struct sg_startup *startup, struct sg_span span) {
    CHECK(span.ptr >= startup->params.ptr);
    CHECK(span.ptr + span.len < startup->params.ptr + startup->params.len);
    CHECK(span.ptr[span.len] == 0 && memchr(span.ptr, 0, span.len) == NULL);
}

static void check_params(const struct sg_startup *startup) {
    size_t cursor = 0, total = 0;
    struct sg_span name, value;
    while (sg_startup_param_next(startup, &cursor, &name, &value)) {
        check_inside(startup, name);
        check_inside(startup, value);
        CHECK(name.len > 0);
        total += name.len + value.len + 2;
        CHECK(cursor == total);
        struct sg_span last = sg_startup_param(startup, name.ptr);
        CHECK(last.ptr >= value.ptr); /* this one, or a later one of the same name */
    }
    CHECK(total == startup->params.len);
}

static void check_packet(const uint8_t *data, size_t size, const struct sg_startup *startup) {
    CHECK(startup->bytes >= SG_STARTUP_MIN_BYTES && startup->bytes <= SG_STARTUP_MAX_BYTES && startup->bytes <= size);
    switch (startup->kind) {
    case SG_STARTUP_SSL:
    case SG_STARTUP_GSSENC:
        CHECK(startup->bytes == SG_STARTUP_MIN_BYTES);
        break;
    case SG_STARTUP_CANCEL:
        CHECK(startup->cancel_key.len >= 4 && startup->cancel_key.len <= SG_CANCEL_KEY_MAX_BYTES);
        CHECK(startup->cancel_key.ptr + startup->cancel_key.len == (const char *)data + startup->bytes);
        break;
    case SG_STARTUP_SESSION:
        if (startup->major == 3) {
            CHECK(startup->params.ptr + startup->params.len + 1 == (const char *)data + startup->bytes);
        } else {
            CHECK(startup->params.len == 0);
        }
        check_params(startup);
        break;
    }
}

/* The same bytes, alone in memory of their own size. */
static enum sg_read read_exact(const uint8_t *data, size_t len, uint32_t *ret_bytes) {
    struct sg_startup startup;
    uint8_t *copy = malloc(len ? len : 1);
    CHECK(copy);
    memcpy(copy, data, len);
    enum sg_read read = sg_startup_read(copy, len, &startup);
    if (read == SG_READ_OK) {
        check_packet(copy, len, &startup);
        *ret_bytes = startup.bytes;
    }
    free(copy);
    return read;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum sg_read before = SG_READ_MORE;
    uint32_t bytes_before = 0;
    size_t most = size < SG_STARTUP_MAX_BYTES + 64 ? size : SG_STARTUP_MAX_BYTES + 64;
    for (size_t len = 0; len <= most; len++) {
        uint32_t bytes = 0;
        enum sg_read read = read_exact(data, len, &bytes);
        CHECK(before == SG_READ_MORE || read == before);
        CHECK(before != SG_READ_OK || bytes == bytes_before);
        CHECK(read != SG_READ_OK || bytes <= len);
        before = read;
        bytes_before = bytes;
    }
    return 0;
}
