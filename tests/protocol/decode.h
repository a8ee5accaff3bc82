/*
 * A stream of messages told as text, a line a message: what the scanner and the views made of it.
 *
 * The text does not depend on how the stream was cut into pieces; that is the property which the transcript tests and
 * fuzz_frames check. Anything that must hold of every message whatever its bytes (iterators stay in the body, what was
 * read can be built again) is checked here and ends the process.
 */
#ifndef SEGUE_TESTS_DECODE_H
#define SEGUE_TESTS_DECODE_H

#include "guard.h"
#include "segue/protocol.h"

enum side { SIDE_FRONTEND, SIDE_BACKEND };

struct decoder {
    enum side side;
    bool in_startup;      /* frontend: packets without a type byte until the session's own */
    unsigned bytes_first; /* backend: how many one-byte answers to SSLRequest and GSSENCRequest come first */
    bool bad;             /* the stream ended in SG_*_BAD; nothing is decoded any more */
    struct sg_scanner scanner;
    struct sg_buf held;     /* body so far, or start-up packet so far */
    struct sg_buf text;     /* the telling; not NUL-terminated */
    size_t bind_head_bytes; /* of the Bind being read, once known; 0 before */
    struct guard guard;
};

void decoder_init(struct decoder *decoder, enum side side, uint32_t max_body_bytes);
void decoder_free(struct decoder *decoder);
void decode(struct decoder *decoder, const uint8_t *piece, size_t len);
/* Says what is left unfinished, if anything. */
void decode_end(struct decoder *decoder);

/* tell.c: one complete message; start-up packets. */
void tell_message(struct sg_buf *text, enum side side, uint8_t type, const uint8_t *body, size_t len);
void tell_startup(struct sg_buf *text, const struct sg_startup *startup);
/* rebuild.c: builds the message again from its view. False when there is no builder for it, or its body is bad. */
bool rebuild(struct sg_buf *buf, enum side side, uint8_t type, const uint8_t *body, size_t len);

#endif
