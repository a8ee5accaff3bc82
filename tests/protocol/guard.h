/* Input placed so that its last byte is the last byte of a page, with an unreadable page behind: an over-read by one
 * byte ends the test with SIGSEGV, with or without sanitizers. */
#ifndef SEGUE_TESTS_GUARD_H
#define SEGUE_TESTS_GUARD_H

#include <stddef.h>
#include <stdint.h>

struct guard {
    uint8_t *base; /* readable part of the mapping; NULL until first used */
    size_t bytes;
};

/* The copy is valid until the next call on the same guard. Never NULL, also for no bytes. */
const uint8_t *guard_place(struct guard *guard, const void *bytes, size_t len);
void guard_free(struct guard *guard);

#endif
