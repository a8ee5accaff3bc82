/* utf8 — names and statements of clients, whose encoding is their own, in places where it must be UTF-8. */
#ifndef SEGUE_UTF8_H
#define SEGUE_UTF8_H

#include "segue/arena.h"

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the UTF-8 character at p, which a NUL follows somewhere; 0 when it is none (a name in another encoding, or a
 * cut message). */
size_t sg_utf8_bytes(const unsigned char *p);
/* A copy with a question mark for each byte that is no part of a character. */
const char *sg_utf8_clean(struct sg_arena *arena, const char *text);

#endif
