/* sg_frame_header and sg_scan: every split, every limit. */
#include "guard.h"
#include "segue/protocol.h"

#include <criterion/criterion.h>
#include <string.h>

static enum sg_read read_at_page_end(const char *bytes, size_t len, uint32_t max_body_bytes, struct sg_frame *frame) {
    struct guard guard = {0};
    enum sg_read read = sg_frame_header(guard_place(&guard, bytes, len), len, max_body_bytes, frame);
    guard_free(&guard);
    return read;
}

Test(frame, a_header_is_five_bytes) {
    struct sg_frame frame = {.type = 'x', .body_bytes = 77};
    for (size_t len = 0; len < 5; len++) {
        cr_assert(read_at_page_end("Q\0\0\0\x06", len, 100, &frame) == SG_READ_MORE);
    }
    cr_assert(frame.type == 'x' && frame.body_bytes == 77, "an answer other than OK leaves the output alone");
    cr_assert(read_at_page_end("Q\0\0\0\x06", 5, 100, &frame) == SG_READ_OK);
    cr_assert(frame.type == 'Q' && frame.body_bytes == 2);
}

Test(frame, length_limits) {
    struct sg_frame frame;
    struct {
        const char *bytes;
        uint32_t max;
        enum sg_read read;
    } const cases[] = {
        {"Q\0\0\0\0", 100, SG_READ_BAD},
        {"Q\0\0\0\x03", 100, SG_READ_BAD},
        {"Q\0\0\0\x04", 100, SG_READ_OK},
        {"Q\0\0\0\x04", 0, SG_READ_OK},
        {"Q\0\0\0\x05", 0, SG_READ_BAD},
        {"Q\0\0\0\x68", 100, SG_READ_OK},
        {"Q\0\0\0\x69", 100, SG_READ_BAD},
        {"Q\x40\0\0\x03", SG_FRAME_MAX_BYTES, SG_READ_OK},
        {"Q\x40\0\0\x04", SG_FRAME_MAX_BYTES, SG_READ_BAD},
        {"Q\x7f\xff\xff\xff", SG_FRAME_MAX_BYTES, SG_READ_BAD},
        {"Q\x7f\xff\xff\xff", UINT32_MAX, SG_READ_OK},
        {"Q\x80\0\0\0", UINT32_MAX, SG_READ_BAD},
        {"Q\xff\xff\xff\xff", UINT32_MAX, SG_READ_BAD},
        {"Q\xff\xff\xff\xff", SG_FRAME_MAX_BYTES, SG_READ_BAD},
        {"Q\0\0\0\x03", UINT32_MAX, SG_READ_BAD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect(read_at_page_end(cases[i].bytes, 5, cases[i].max, &frame) == cases[i].read, "case %zu", i);
    }
}

Test(frame, garbage_is_known_by_its_first_bytes) {
    struct sg_frame frame;
    cr_assert(read_at_page_end("GE", 2, SG_FRAME_MAX_BYTES, &frame) == SG_READ_BAD);
    cr_assert(read_at_page_end("Q\x01", 2, 0xfffffb, &frame) == SG_READ_BAD);
    cr_assert(read_at_page_end("Q\0\xff", 3, 0xffffff, &frame) == SG_READ_MORE);
    cr_assert(read_at_page_end("Q\0\0\0", 4, 0, &frame) == SG_READ_MORE);
}

/* Three messages: bodies of 3, 0 and 1 bytes. */
static const char STREAM[] = "Q\0\0\0\x07"
                             "abc"
                             "S\0\0\0\x04"
                             "Z\0\0\0\x05I";
#define STREAM_BYTES (sizeof STREAM - 1)

struct walk {
    struct sg_scanner scanner;
    char types[8];
    char bodies[16];
    size_t heads, body_bytes, header_bytes, boundaries;
};

static void walk_chunk(struct walk *walk, const uint8_t *chunk, size_t len) {
    while (len > 0) {
        size_t taken = SIZE_MAX;
        switch (sg_scan(&walk->scanner, chunk, len, &taken)) {
        case SG_SCAN_HEAD:
            walk->types[walk->heads++] = (char)walk->scanner.frame.type;
            walk->header_bytes += taken;
            break;
        case SG_SCAN_BODY:
            memcpy(walk->bodies + walk->body_bytes, chunk, taken);
            walk->body_bytes += taken;
            break;
        case SG_SCAN_MORE:
            cr_assert(taken == len, "MORE takes the whole chunk");
            walk->header_bytes += taken;
            break;
        case SG_SCAN_BAD:
            cr_assert_fail("a legal stream was refused");
        }
        cr_assert(taken >= 1 && taken <= len, "an event takes bytes, and only of its chunk");
        walk->boundaries += sg_scanner_at_boundary(&walk->scanner);
        chunk += taken;
        len -= taken;
    }
}

static void check_walk(const struct walk *walk) {
    cr_assert_str_eq(walk->types, "QSZ");
    cr_assert(walk->body_bytes == 4 && memcmp(walk->bodies, "abcI", 4) == 0);
    cr_assert(walk->header_bytes == 15);
    cr_assert(walk->boundaries == 3, "a boundary is seen once a message, also behind an empty body");
}

Test(scan, same_events_at_every_two_cuts) {
    struct guard guard = {0};
    for (size_t a = 0; a <= STREAM_BYTES; a++) {
        for (size_t b = a; b <= STREAM_BYTES; b++) {
            struct walk walk = {.scanner = {.max_body_bytes = 100}};
            walk_chunk(&walk, guard_place(&guard, STREAM, a), a);
            walk_chunk(&walk, guard_place(&guard, STREAM + a, b - a), b - a);
            walk_chunk(&walk, guard_place(&guard, STREAM + b, STREAM_BYTES - b), STREAM_BYTES - b);
            check_walk(&walk);
        }
    }
    guard_free(&guard);
}

Test(scan, same_events_byte_by_byte) {
    struct guard guard = {0};
    struct walk walk = {.scanner = {.max_body_bytes = 100}};
    for (size_t i = 0; i < STREAM_BYTES; i++) {
        walk_chunk(&walk, guard_place(&guard, STREAM + i, 1), 1);
    }
    check_walk(&walk);
    guard_free(&guard);
}

Test(scan, header_is_whole_wherever_its_bytes_came_from) {
    for (size_t cut = 1; cut < SG_FRAME_HEADER_BYTES; cut++) {
        struct sg_scanner scanner = {.max_body_bytes = 100};
        const uint8_t *bytes = (const uint8_t *)STREAM;
        size_t taken;
        cr_assert(sg_scan(&scanner, bytes, cut, &taken) == SG_SCAN_MORE && taken == cut);
        cr_assert(!sg_scanner_at_boundary(&scanner));
        cr_assert(sg_scan(&scanner, bytes + cut, STREAM_BYTES - cut, &taken) == SG_SCAN_HEAD);
        cr_assert(taken == SG_FRAME_HEADER_BYTES - cut);
        cr_assert(memcmp(scanner.header, STREAM, SG_FRAME_HEADER_BYTES) == 0);
        cr_assert(scanner.left == 3 && !sg_scanner_at_boundary(&scanner));
    }
}

Test(scan, an_empty_chunk_is_more_in_every_state) {
    struct sg_scanner scanner = {.max_body_bytes = 100};
    size_t taken = 9;
    cr_assert(sg_scan(&scanner, NULL, 0, &taken) == SG_SCAN_MORE && taken == 0);
    cr_assert(sg_scanner_at_boundary(&scanner));
    cr_assert(sg_scan(&scanner, (const uint8_t *)STREAM, 3, &taken) == SG_SCAN_MORE);
    taken = 9;
    cr_assert(sg_scan(&scanner, NULL, 0, &taken) == SG_SCAN_MORE && taken == 0);
    cr_assert(sg_scan(&scanner, (const uint8_t *)STREAM + 3, 2, &taken) == SG_SCAN_HEAD);
    taken = 9;
    cr_assert(sg_scan(&scanner, NULL, 0, &taken) == SG_SCAN_MORE && taken == 0);
    cr_assert(scanner.left == 3);
}

Test(scan, bad_stays_bad_at_every_split) {
    static const uint8_t bad[] = {'Q', 0, 0, 0, 3, 'S', 0, 0, 0, 4};
    for (size_t cut = 0; cut < sizeof bad; cut++) {
        struct sg_scanner scanner = {.max_body_bytes = 100};
        size_t taken = 99;
        enum sg_scan_event event = sg_scan(&scanner, bad, cut, &taken);
        cr_assert(event == (cut < 5 ? SG_SCAN_MORE : SG_SCAN_BAD));
        taken = 99;
        cr_assert(sg_scan(&scanner, bad + cut, sizeof bad - cut, &taken) == SG_SCAN_BAD);
        cr_assert(taken == 99, "BAD leaves the output alone");
        cr_assert(sg_scan(&scanner, bad + 5, 5, &taken) == SG_SCAN_BAD, "not even good bytes help");
        cr_assert(sg_scan(&scanner, NULL, 0, &taken) == SG_SCAN_BAD);
        cr_assert(!sg_scanner_at_boundary(&scanner));
    }
}

Test(scan, largest_legal_body_is_counted_down_not_held) {
    static const uint8_t header[] = {'d', 0x40, 0, 0, 3};
    static uint8_t megabyte[1 << 20];
    struct sg_scanner scanner = {.max_body_bytes = SG_FRAME_MAX_BYTES};
    size_t taken;
    uint64_t body = 0;
    cr_assert(sg_scan(&scanner, header, sizeof header, &taken) == SG_SCAN_HEAD);
    while (scanner.left > 0) {
        cr_assert(sg_scan(&scanner, megabyte, sizeof megabyte, &taken) == SG_SCAN_BODY);
        body += taken;
    }
    cr_assert(body == SG_FRAME_MAX_BYTES && sg_scanner_at_boundary(&scanner));
    cr_assert(taken == sizeof megabyte - 1, "the byte behind the body is the next message's");
}
