#include "decode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                   \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                       \
        }                                                                                  \
    } while (0)

static void say(struct decoder *decoder, const char *line) {
    sg_buf_put(&decoder->text, line, strlen(line));
}

void decoder_init(struct decoder *decoder, enum side side, uint32_t max_body_bytes) {
    *decoder = (struct decoder){.side = side, .scanner = {.max_body_bytes = max_body_bytes}};
}

void decoder_free(struct decoder *decoder) {
    sg_buf_free(&decoder->held);
    sg_buf_free(&decoder->text);
    guard_free(&decoder->guard);
}

static void refuse(struct decoder *decoder) {
    decoder->bad = true;
    decoder->held.len = 0;
    say(decoder, "BAD\n");
}

/* A message that has a builder must come out of it byte for byte. */
static void check_rebuild(struct decoder *decoder, const uint8_t *body) {
    struct sg_buf again = {0};
    size_t len = decoder->scanner.frame.body_bytes;
    if (rebuild(&again, decoder->side, decoder->scanner.frame.type, body, len)) {
        CHECK(again.len == SG_FRAME_HEADER_BYTES + len);
        CHECK(memcmp(again.data, decoder->scanner.header, SG_FRAME_HEADER_BYTES) == 0);
        CHECK(len == 0 || memcmp(again.data + SG_FRAME_HEADER_BYTES, body, len) == 0);
    }
    sg_buf_free(&again);
}

static void finish_message(struct decoder *decoder) {
    const struct sg_frame *frame = &decoder->scanner.frame;
    CHECK(decoder->held.len == frame->body_bytes);
    const uint8_t *body = guard_place(&decoder->guard, decoder->held.data, decoder->held.len);
    check_rebuild(decoder, body);
    tell_message(&decoder->text, decoder->side, frame->type, body, decoder->held.len);
    decoder->held.len = 0;
    decoder->bind_head_bytes = 0;
}

/* The head of a Bind is asked for while it grows: what is answered once must stay the answer. */
static void look_at_bind(struct decoder *decoder) {
    struct sg_bind_head head;
    const uint8_t *body = guard_place(&decoder->guard, decoder->held.data, decoder->held.len);
    if (sg_bind_head_read(body, decoder->held.len, &head) != SG_READ_OK) {
        CHECK(decoder->bind_head_bytes == 0);
        return;
    }
    CHECK(head.head_bytes == head.portal.len + head.statement.len + 2 && head.head_bytes <= decoder->held.len);
    CHECK(decoder->bind_head_bytes == 0 || decoder->bind_head_bytes == head.head_bytes);
    decoder->bind_head_bytes = head.head_bytes;
}

static size_t decode_message(struct decoder *decoder, const uint8_t *piece, size_t len) {
    size_t taken = 0;
    uint32_t left_before = decoder->scanner.left;
    switch (sg_scan(&decoder->scanner, piece, len, &taken)) {
    case SG_SCAN_HEAD:
        CHECK(taken >= 1 && taken <= SG_FRAME_HEADER_BYTES && taken <= len);
        CHECK(decoder->scanner.header[0] == decoder->scanner.frame.type);
        CHECK(decoder->scanner.left == decoder->scanner.frame.body_bytes);
        if (decoder->scanner.left == 0) {
            finish_message(decoder);
        }
        break;
    case SG_SCAN_BODY:
        CHECK(taken >= 1 && taken <= len && decoder->scanner.left == left_before - taken);
        sg_buf_put(&decoder->held, piece, taken);
        if (decoder->side == SIDE_FRONTEND && decoder->scanner.frame.type == 'B') {
            look_at_bind(decoder);
        }
        if (decoder->scanner.left == 0) {
            finish_message(decoder);
        }
        break;
    case SG_SCAN_MORE:
        CHECK(taken == len && !sg_scanner_at_boundary(&decoder->scanner));
        break;
    case SG_SCAN_BAD:
        CHECK(taken == 0 && sg_scan(&decoder->scanner, piece, len, &taken) == SG_SCAN_BAD && taken == 0);
        refuse(decoder);
        break;
    }
    return taken;
}

/* Start-up packets are short and held whole, as the proxy does. */
static size_t decode_startup(struct decoder *decoder, const uint8_t *piece, size_t len) {
    struct sg_startup startup;
    size_t had = decoder->held.len;
    sg_buf_put(&decoder->held, piece, len);
    const uint8_t *packet = guard_place(&decoder->guard, decoder->held.data, decoder->held.len);
    switch (sg_startup_read(packet, decoder->held.len, &startup)) {
    case SG_READ_OK:
        CHECK(startup.bytes > had && startup.bytes <= decoder->held.len);
        tell_startup(&decoder->text, &startup);
        decoder->in_startup = startup.kind == SG_STARTUP_SSL || startup.kind == SG_STARTUP_GSSENC;
        decoder->held.len = 0;
        return startup.bytes - had;
    case SG_READ_MORE:
        return len;
    case SG_READ_BAD:
        break;
    }
    refuse(decoder);
    return len;
}

static size_t decode_byte(struct decoder *decoder, const uint8_t *piece) {
    char line[] = "Byte ?\n";
    line[5] = (char)piece[0];
    say(decoder, line);
    decoder->bytes_first--;
    return 1;
}

void decode(struct decoder *decoder, const uint8_t *piece, size_t len) {
    while (len > 0 && !decoder->bad) {
        size_t taken;
        if (decoder->in_startup) {
            taken = decode_startup(decoder, piece, len);
        } else if (decoder->bytes_first > 0) {
            taken = decode_byte(decoder, piece);
        } else {
            taken = decode_message(decoder, piece, len);
        }
        piece += taken;
        len -= taken;
    }
}

void decode_end(struct decoder *decoder) {
    if (!decoder->bad && (decoder->held.len > 0 || !sg_scanner_at_boundary(&decoder->scanner))) {
        say(decoder, "UNFINISHED\n");
    }
}
