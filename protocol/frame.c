/*
 * Frames and the scanner that walks them through chunks of any size.
 *
 * Invariants of a scanner:
 *   1. left > 0 implies header_have == 0: a header is only gathered between bodies.
 *   2. header_have bytes at the front of header[] are a prefix of the next header. 0 with left == 0 is a boundary.
 *   3. A bad prefix stays in header[]: the verdict depends on nothing else, so every later call says BAD again.
 *
 *             take_header: MORE                       take_body: left > 0
 *               +------+                                 +------+
 *               v      |                                 v      |
 *           [ boundary or part of a header ] --HEAD--> [ in a body ]
 *               |      ^                                      |
 *     BAD <-----+      +----------- take_body: left == 0 -----+
 */
#include "cursor.h"
#include "segue/protocol.h"

/* A length is an int32: one that is negative on the wire is refused whatever the caller's limit says. */
#define LENGTH_BYTES    4u
#define BODY_BYTES_MOST (0x7fffffffu - LENGTH_BYTES)

/* Lengths under 4 wrap around to values over any limit: one comparison refuses both ends. */
static bool is_body_legal(uint32_t body_bytes, uint32_t max_body_bytes) {
    return body_bytes <= max_body_bytes && body_bytes <= BODY_BYTES_MOST;
}

/* The smallest length that part of a header can still become is judged, so that garbage is known by its first bytes.
 * Small lengths cannot be told before the last byte. */
static enum sg_read judge_partial_header(const uint8_t *buf, size_t len, uint32_t max_body_bytes) {
    uint8_t whole[SG_FRAME_HEADER_BYTES] = {0};
    if (len > 0) {
        memcpy(whole, buf, len);
    }
    uint32_t length = sg_load_u32(whole + 1);
    if (length < LENGTH_BYTES) {
        return SG_READ_MORE;
    }
    return is_body_legal(length - LENGTH_BYTES, max_body_bytes) ? SG_READ_MORE : SG_READ_BAD;
}

enum sg_read sg_frame_header(const uint8_t *buf, size_t len, uint32_t max_body_bytes, struct sg_frame *ret_frame) {
    if (len < SG_FRAME_HEADER_BYTES) {
        return judge_partial_header(buf, len, max_body_bytes);
    }
    uint32_t body_bytes = sg_load_u32(buf + 1) - LENGTH_BYTES;
    if (!is_body_legal(body_bytes, max_body_bytes)) {
        return SG_READ_BAD;
    }
    *ret_frame = (struct sg_frame){.type = buf[0], .body_bytes = body_bytes};
    return SG_READ_OK;
}

static enum sg_scan_event take_body(struct sg_scanner *scanner, size_t len, size_t *ret_bytes) {
    size_t take = len < scanner->left ? len : scanner->left;
    scanner->left -= (uint32_t)take;
    *ret_bytes = take;
    return take > 0 ? SG_SCAN_BODY : SG_SCAN_MORE;
}

static enum sg_scan_event take_header(struct sg_scanner *scanner, const uint8_t *chunk, size_t len, size_t *ret_bytes) {
    size_t missing = SG_FRAME_HEADER_BYTES - (size_t)scanner->header_have;
    size_t take = len < missing ? len : missing;
    if (take > 0) {
        memcpy(scanner->header + scanner->header_have, chunk, take);
    }
    size_t have = scanner->header_have + take;
    switch (sg_frame_header(scanner->header, have, scanner->max_body_bytes, &scanner->frame)) {
    case SG_READ_OK:
        scanner->header_have = 0;
        scanner->left = scanner->frame.body_bytes;
        *ret_bytes = take;
        return SG_SCAN_HEAD;
    case SG_READ_MORE:
        scanner->header_have = (uint8_t)have;
        *ret_bytes = take;
        return SG_SCAN_MORE;
    case SG_READ_BAD:
        break;
    }
    scanner->header_have = (uint8_t)have;
    return SG_SCAN_BAD;
}

enum sg_scan_event sg_scan(struct sg_scanner *scanner, const uint8_t *chunk, size_t len, size_t *ret_bytes) {
    if (scanner->left > 0) {
        return take_body(scanner, len, ret_bytes);
    }
    return take_header(scanner, chunk, len, ret_bytes);
}

bool sg_scanner_at_boundary(const struct sg_scanner *scanner) {
    return scanner->left == 0 && scanner->header_have == 0;
}
