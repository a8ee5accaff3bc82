/*
 * A stream of messages in any pieces.
 *
 * Input: one byte of choices (bit 0: which side speaks; bit 1: begins with start-up packets; bit 2: a small limit on
 * bodies; bits 3..: the seed of the cuts), then the stream.
 *
 * Properties: whole, byte by byte and in pieces of random length, the stream tells the same; what decode.h demands of
 * every message holds (iterators stay inside, a view's message can be built again byte for byte).
 */
#include "check.h"
#include "decode.h"

#include <string.h>

#define SMALL_LIMIT_BYTES 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t next_random(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 16;
}

static void start(struct decoder *decoder, uint8_t choices) {
    enum side side = choices & 1 ? SIDE_BACKEND : SIDE_FRONTEND;
    decoder_init(decoder, side, choices & 4 ? SMALL_LIMIT_BYTES : SG_FRAME_MAX_BYTES);
    decoder->in_startup = side == SIDE_FRONTEND && (choices & 2);
    decoder->bytes_first = side == SIDE_BACKEND && (choices & 2) ? 1 : 0;
}

/* Pieces of 1 to most bytes; each a copy of its own, so that reading past a piece is seen. */
static void feed(struct decoder *decoder, const uint8_t *stream, size_t len, uint32_t most, uint32_t seed) {
    while (len > 0) {
        size_t piece = most ? 1 + next_random(&seed) % most : len;
        piece = piece < len ? piece : len;
        uint8_t *copy = malloc(piece);
        CHECK(copy);
        memcpy(copy, stream, piece);
        decode(decoder, copy, piece);
        free(copy);
        stream += piece;
        len -= piece;
    }
    decode_end(decoder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) {
        return 0;
    }
    static const uint32_t most[] = {1, 3, 11, 64};
    struct decoder whole;
    start(&whole, data[0]);
    feed(&whole, data + 1, size - 1, 0, 0);
    for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
        struct decoder pieces;
        start(&pieces, data[0]);
        feed(&pieces, data + 1, size - 1, most[i], data[0]);
        CHECK(pieces.bad == whole.bad && pieces.text.len == whole.text.len);
        CHECK(whole.text.len == 0 || memcmp(pieces.text.data, whole.text.data, whole.text.len) == 0);
        decoder_free(&pieces);
    }
    decoder_free(&whole);
    return 0;
}
